package contender

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

const good = `name: gin
title: Gin
language: Go
framework: Gin
homepage: https://gin-gonic.com
requires:
  go: ">=1.25"
build:
  - [go, build, -o, bin/server, .]
start: [./bin/server, "--port=${PORT}"]
env: {GIN_MODE: release}
ready: {path: /healthz, timeout: 20s}
workers: GOMAXPROCS follows WORKERS
versions:
  runtime: {name: Go, command: [go, version]}
  framework: {name: Gin, command: [go, list, -m]}
  server: {name: net/http, same_as: runtime}
implements: [json]
omits: {}
notes:
  - text: Release mode.
    link: https://gin-gonic.com/en/docs/deployment/
`

func TestParse(t *testing.T) {
	m, err := Parse("showdown.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if m.Build[0][3] != "bin/server" || m.Ready.Timeout != 20*time.Second || m.Versions.Server.SameAs != "runtime" {
		t.Errorf("%+v", m)
	}
	c := m.Identity()
	if c.Name != "gin" || c.Title != "Gin" || c.Workers == "" || c.Notes[0].Link == "" {
		t.Errorf("%+v", c)
	}
}

func TestParseDefaults(t *testing.T) {
	m, err := Parse("showdown.yaml", []byte(strings.Replace(good, "ready: {path: /healthz, timeout: 20s}\n", "", 1)))
	if err != nil || m.Ready != (Ready{"/healthz", 30 * time.Second}) {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestParseErrors shows every complaint in testdata/errors.golden.
func TestParseErrors(t *testing.T) {
	var all bytes.Buffer
	for _, c := range []struct{ name, old, new string }{
		{"unknown key", "requires:", "requiers:"},
		{"unknown key without a neighbour", "title: Gin", "title: Gin\nfrobnicate: yes"},
		{"unknown key inside", "timeout: 20s", "timout: 20s"},
		{"missing key", "title: Gin\n", ""},
		{"missing key inside", "{name: Gin, command: [go, list, -m]}", "{command: [go, list, -m]}"},
		{"key twice", "title: Gin\n", "title: Gin\ntitle: Ginn\n"},
		{"number for text", "title: Gin", "title: 1.0"},
		{"number in a command", "[go, list, -m]", "[go, list, 5]"},
		{"truth for text", "GIN_MODE: release", "GIN_MODE: true"},
		{"nothing for text", "title: Gin", "title:"},
		{"nothing for a mapping", "env: {GIN_MODE: release}", "env:"},
		{"text for a list", "start: [./bin/server, \"--port=${PORT}\"]", "start: ./bin/server"},
		{"list for text", "title: Gin", "title: [Gin]"},
		{"text for a command", "- [go, build, -o, bin/server, .]", "- go build"},
		{"anchor", "language: Go", "language: &go Go"},
		{"alias", "language: Go", "language: *go"},
		{"tag", "language: Go", "language: !!str Go"},
		{"merge", "title: Gin", "<<: {title: Gin}"},
		{"syntax", "requires:", "requires: ["},
		{"unclosed quote", `">=1.25"`, `">=1.25`},
		{"tab", "  go: ", "\tgo: "},
		{"two documents", "title: Gin", "---\ntitle: Gin"},
		{"control character", "title: Gin", `title: "Gin\e[2J"`},
		{"wide line", "language: Go", "language: {" + strings.Repeat("é", 200) + ": 1}"},
		{"bad name", "name: gin", "name: Gin"},
		{"empty title", "title: Gin", `title: " "`},
		{"bad homepage", "https://gin-gonic.com\n", "gin-gonic.com\n"},
		{"unknown toolchain", "  go: ", "  golang: "},
		{"misspelt toolchain", "  go: ", "  nod: "},
		{"bad range", ">=1.25", "newer than 1.25"},
		{"empty command", "- [go, build, -o, bin/server, .]", "- []"},
		{"program outside", "./bin/server", "../bin/server"},
		{"absolute program", "./bin/server", "/bin/server"},
		{"unknown variable", "${PORT}", "${POTR}"},
		{"shell variable", "${PORT}", "${HOME}"},
		{"env name", "GIN_MODE:", "gin-mode:"},
		{"env given", "GIN_MODE:", "PORT:"},
		{"ready path", "path: /healthz", "path: healthz"},
		{"ready timeout", "timeout: 20s", "timeout: 20"},
		{"ready timeout's unit", "timeout: 20s", "timeout: 20 seconds"},
		{"ready timeout too long", "timeout: 20s", "timeout: 1h"},
		{"version without a way", "{name: Go, command: [go, version]}", "{name: Go}"},
		{"version with two ways", "same_as: runtime", "same_as: runtime, command: [go]"},
		{"version of nobody", "same_as: runtime", "same_as: kernel"},
		{"version of itself", "same_as: runtime", "same_as: server"},
		{"scenario twice", "[json]", "[json, json]"},
		{"unknown scenario", "[json]", "[jsn]"},
		{"unknown scenario omitted", "omits: {}", `omits: {jsn: "has no parser"}`},
		{"both", "omits: {}", `omits: {json: "has no parser"}`},
		{"omitted without reason", "[json]\nomits: {}", "[]\nomits: {json: \"\"}"},
		{"note without text", "text: Release mode.", `text: ""`},
		{"note's link", "https://gin-gonic.com/en/docs/deployment/", "see the docs"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s: %q is not in the manifest", c.name, c.old)
		}
		showError(t, &all, c.name, []byte(text))
	}
	showError(t, &all, "empty", nil)
	showError(t, &all, "only a comment", []byte("# soon\n"))
	showError(t, &all, "a list", []byte("- name: gin\n"))
	showError(t, &all, "a text", []byte("gin\n"))
	showError(t, &all, "not text", []byte("name: \xff\xfe"))
	showError(t, &all, "too large", bytes.Repeat([]byte("#"), maxManifest+1))
	golden(t, "testdata/errors.golden", all.Bytes())
}

func showError(t *testing.T, to *bytes.Buffer, name string, data []byte) {
	t.Helper()
	m, err := Parse("gin/showdown.yaml", data)
	if err == nil {
		t.Errorf("%s: accepted: %+v", name, m)
		return
	}
	if showdown.CodeOf(err) != showdown.BadUsage {
		t.Errorf("%s: code %d", name, showdown.CodeOf(err))
	}
	fmt.Fprintf(to, "## %s\n%s\n", name, err)
	if hint := showdown.HintOf(err); hint != "" {
		fmt.Fprintf(to, "hint: %s\n", hint)
	}
	to.WriteByte('\n')
}

// golden compares with a file that -update writes.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", file, got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("name: [\n"))
	f.Add([]byte("a: &x [*x]\n"))
	f.Add([]byte("? {a: b}\n: |\n  text\n"))
	f.Add([]byte(strings.Repeat("[", 1000)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("showdown.yaml", data)
		if (m == nil) == (err == nil) {
			t.Fatalf("%v, %v", m, err)
		}
		if err != nil && showdown.CodeOf(err) != showdown.BadUsage {
			t.Fatalf("code %d: %v", showdown.CodeOf(err), err)
		}
	})
}

// TestParseDeep wants hostile nesting to cost little.
func TestParseDeep(t *testing.T) {
	all := time.Now()
	for _, unit := range []string{
		"[", "{a: ", "- ", "[\n", "? ", "- - ", "a: {b: [", "!a ", "&a ", "|\n", "\"", "'", "#", "\t", "a:\n ",
		"- a\n", "[a],", "a, ", "a: b\n", "[]\n", "-\n", ": ", "---\n",
	} {
		began := time.Now()
		if _, err := Parse("showdown.yaml", []byte(strings.Repeat(unit, maxManifest/len(unit)))); err == nil {
			t.Errorf("%q accepted", unit)
		}
		t.Logf("%q took %v", unit, time.Since(began))
	}
	if took := time.Since(all); took > 30*time.Second {
		t.Errorf("all of it took %v", took)
	}
}
