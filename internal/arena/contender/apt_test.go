package contender

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backend-showdown/showdown/internal/showdown"
)

func TestInstall(t *testing.T) {
	if !debianLike() {
		t.Skip("not Debian")
	}
	fakeTools(t, map[string]string{
		"apt-get": `echo "apt-get $*, $DEBIAN_FRONTEND"; [ "$2" != -y ] || [ "$4" != broken ]`,
		"sudo":    `exec "$@"`,
		"ruby":    "echo ruby 2.0.0",
	})
	if v, _ := toolchains["ruby"].probe(t.Context()); v != "2.0.0" {
		t.Fatalf("ruby %q", v)
	}
	dir, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	if err := os.WriteFile(filepath.Join(dir, "ruby"), []byte("#!/bin/sh\necho ruby 4.0.0\n"), 0o755); err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	if err := Install(t.Context(), []string{"ruby-full", "composer"}, &out); err != nil {
		t.Fatal(err)
	}
	want := "apt-get update, noninteractive\napt-get install -y --no-install-recommends ruby-full composer, noninteractive\n"
	if out.String() != want {
		t.Errorf("ran\n%s", out.String())
	}
	if v, _ := toolchains["ruby"].probe(t.Context()); v != "4.0.0" {
		t.Errorf("ruby %q is remembered from before the installation", v)
	}

	err := Install(t.Context(), []string{"broken"}, &out)
	wantError(t, err, showdown.Environment, "apt-get install -y --no-install-recommends broken: exit status 1")
	out.Reset()
	if err := Install(t.Context(), nil, &out); err != nil || out.Len() > 0 {
		t.Errorf("nothing to install: %v, %s", err, out.String())
	}
}

func TestInstallElsewhere(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := Install(t.Context(), []string{"ruby-full"}, &bytes.Buffer{})
	wantError(t, err, showdown.Environment, "this is not Debian or Ubuntu", "ruby-full")
}
