package contender

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		version, want string
		ok            bool
	}{
		{"1.26.8", ">=1.25", true},
		{"1.24.9", ">=1.25", false},
		{"1.25", ">=1.25", true},
		{"25", ">=21", true},
		{"17.0.15", ">=21", false},
		{"1.8.0", ">=21", false},
		{"20.20.2", "^22 || ^24", false},
		{"24.1.0", "^22 || ^24", true},
		{"3.13.2", ">=3.12, <4", true},
		{"8.4.1.2", "~8.4", true},
		{"", ">=1", false},
		{"1.0", "nonsense", false},
	} {
		if within(c.version, c.want) != c.ok {
			t.Errorf("within(%q, %q) = %v", c.version, c.want, !c.ok)
		}
	}
}

func TestFindVersion(t *testing.T) {
	for out, want := range map[string]string{
		"go version go1.26.8 linux/amd64":                               "1.26.8",
		"v20.20.2\n":                                                    "20.20.2",
		"rustc 1.95.0 (59807616e 2026-04-14)":                           "1.95.0",
		`openjdk version "17.0.15" 2025-04-15`:                          "17.0.15",
		`openjdk version "25" 2025-09-16`:                               "25",
		"\x1b[1mApache Maven 3.8.7\x1b[m":                               "3.8.7",
		"Running uvicorn 0.38.0 with CPython 3.11.7":                    "0.38.0",
		"registry+https://github.com/rust-lang/crates.io#axum@0.8.6":    "0.8.6",
		"v2.0.0-rc.1.":                                                  "2.0.0-rc.1",
		"Spring Boot (4.0.1)":                                           "4.0.1",
		"no version at all":                                             "",
		"PHP 8.4.1-dev+build (cli) (built: Jan  1 2026 00:00:00) (NTS)": "8.4.1-dev+build",
	} {
		if got := findVersion(out); got != want {
			t.Errorf("findVersion(%q) = %q, want %q", out, got, want)
		}
	}
}

func TestParseCandidate(t *testing.T) {
	policy := func(v string) string {
		return "x:\n  Installed: (none)\n  Candidate: " + v + "\n  Version table:\n     " + v + " 500\n"
	}
	for _, c := range []struct{ tool, version, want string }{
		{"go", "2:1.19~1", "1.19"},
		{"java", "2:1.17-74", "17"},
		{"node", "18.20.4+dfsg-1~deb12u1", "18.20.4"},
		{"ruby", "1:3.1", "3.1"},
		{"go", "(none)", ""},
	} {
		if got := parseCandidate(c.tool, policy(c.version)); got != c.want {
			t.Errorf("candidate %q of %s = %q, want %q", c.version, c.tool, got, c.want)
		}
	}
	if parseCandidate("go", "") != "" {
		t.Error("a version from nothing")
	}
}

// fakeTools makes a PATH of programs that print what is given.
func fakeTools(t *testing.T, outputs map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, out := range outputs {
		script := "#!/bin/sh\necho x >>'" + dir + "/" + name + ".calls'\n" + out + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	t.Setenv("JAVA_HOME", "")
	forgetProbes()
	t.Cleanup(forgetProbes)
}

func TestMissing(t *testing.T) {
	fakeTools(t, map[string]string{
		"go":      "echo go version go1.24.1 linux/amd64",
		"ruby":    "echo ruby 4.0.0",
		"php":     "echo broken >&2; exit 3",
		"python3": `if [ "$1" = -c ]; then echo no module >&2; exit 1; fi; echo Python 3.14.0`,
	})
	m := &Manifest{
		Requires: map[string]string{"go": ">=1.25", "ruby": ">=3", "php": ">=8", "python": ">=3.12"},
		Build:    [][]string{{"go", "build"}, {"no-such-program-here"}, {"./own"}, {"python3", "x"}},
		Start:    []string{"no-such-program-here"},
	}
	list := m.Missing(t.Context())
	byTool := map[string]Missing{}
	for _, lacks := range list {
		byTool[lacks.Tool] = lacks
	}
	if len(list) != 4 {
		t.Fatalf("%d missing: %+v", len(list), list)
	}
	if g := byTool["go"]; g.Have != "1.24.1" || g.Want != ">=1.25" || g.Reason != "version 1.24.1 is not >=1.25" ||
		len(g.Packages) > 0 || !strings.Contains(g.Remedy, "https://go.dev/dl/") {
		t.Errorf("go: %+v", g)
	}
	if p := byTool["php"]; !strings.Contains(p.Reason, "php --version failed: exit status 3: broken") || len(p.Packages) > 0 {
		t.Errorf("php: %+v", p)
	}
	if p := byTool["python"]; len(p.Packages) != 1 || p.Packages[0] != "python3-venv" {
		t.Errorf("python: %+v", p)
	}
	if x := byTool["no-such-program-here"]; x.Reason != "not installed" {
		t.Errorf("program: %+v", x)
	}
}

func TestMissingAbsent(t *testing.T) {
	fakeTools(t, map[string]string{"apt-cache": "exit 1"})
	t.Setenv("PATH", os.Getenv("PATH")[:strings.IndexByte(os.Getenv("PATH"), ':')])
	lacks, missing := toolchains["node"].missing(t.Context(), ">=24")
	if !missing || lacks.Reason != "not installed" || lacks.Have != "" || lacks.Packages[0] != "nodejs" {
		t.Errorf("%+v", lacks)
	}
}

func TestMissingAndTooOldInTheDistribution(t *testing.T) {
	if !debianLike() {
		t.Skip("not Debian")
	}
	fakeTools(t, map[string]string{"apt-cache": "echo '  Candidate: 18.1.0-1'"})
	t.Setenv("PATH", os.Getenv("PATH")[:strings.IndexByte(os.Getenv("PATH"), ':')])
	lacks, _ := toolchains["node"].missing(t.Context(), ">=24")
	if lacks.Reason != "not installed, and the distribution's package has version 18.1.0" || lacks.Packages != nil {
		t.Errorf("%+v", lacks)
	}
	if lacks, _ = toolchains["node"].missing(t.Context(), ">=18"); len(lacks.Packages) == 0 {
		t.Errorf("%+v", lacks)
	}
}

// TestProbedOnce also wants that a caller who gives up does not spoil the answer.
func TestProbedOnce(t *testing.T) {
	fakeTools(t, map[string]string{"ruby": "echo ruby 4.0.0"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		if v, err := toolchains["ruby"].probe(ctx); v != "4.0.0" || err != nil {
			t.Fatal(v, err)
		}
	}
	dir, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	if calls, _ := os.ReadFile(filepath.Join(dir, "ruby.calls")); string(calls) != "x\n" {
		t.Errorf("asked %q", calls)
	}
}

func TestToolchainTable(t *testing.T) {
	for _, tool := range Toolchains() {
		if tool.Name == "" || len(tool.Version) < 2 || len(tool.Packages) == 0 || !strings.Contains(tool.Remedy, "https://") {
			t.Errorf("%+v", tool)
		}
	}
	if n := len(Toolchains()); n != 10 {
		t.Errorf("%d toolchains", n)
	}
}
