//go:build unix

package contender

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
	"github.com/backend-showdown/showdown/internal/testkit/stub"
)

// project writes a contender that is built with the given commands, each a YAML
// list, and loads it.
func project(t *testing.T, build ...string) *Manifest {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "demo")
	writeFiles(t, dir, map[string]string{
		"main.txt": "one\n",
		ManifestName: fmt.Sprintf(`name: demo
title: Demo
language: sh
framework: none
requires: {}
build: [%s]
start: [sh]
workers: not at all
versions:
  runtime: {name: sh, command: [echo, "sh version 5.2.1-beta (x)"]}
  framework: {name: none, command: [cat, version.txt]}
  server: {name: none, same_as: framework}
implements: [json]
`, strings.Join(build, ", ")),
	})
	return mustLoad(t, dir)
}

func mustLoad(t *testing.T, dir string) *Manifest {
	t.Helper()
	m, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	writeVersion = `[sh, -c, "echo building; echo v1.2 >version.txt"]`
	countBuilds  = `[sh, -c, "pwd; ls; cat main.txt"]`
)

func mustPrepare(t *testing.T, m *Manifest, cache string) *Prepared {
	t.Helper()
	p, err := Prepare(t.Context(), m, cache, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// inCache lists what a cache holds, hashes replaced by stars.
func inCache(t *testing.T, cache string) string {
	t.Helper()
	entries, err := os.ReadDir(cache)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if folder, ext, _ := strings.Cut(name, "."); isBuildOf(folder, "demo") {
			name = strings.TrimSuffix("demo-*."+ext, ".")
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	m, cache := project(t, writeVersion, countBuilds), t.TempDir()
	var steps []string
	p, err := Prepare(t.Context(), m, cache, func(step, of int, argv []string, line string) {
		steps = append(steps, fmt.Sprintf("%d/%d %s %s", step, of, argv[0], line))
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []showdown.Version{
		{Role: "runtime", Name: "sh", Version: "5.2.1-beta"},
		{Role: "framework", Name: "none", Version: "1.2"},
		{Role: "server", Name: "none", Version: "1.2"},
	}
	if !p.Built || p.Took <= 0 || !slices.Equal(p.Versions, want) {
		t.Errorf("%+v", p)
	}
	if filepath.Dir(p.Dir) != cache || filepath.Base(p.Dir) != "demo-"+p.Hash[:shortHash] {
		t.Errorf("built in %s", p.Dir)
	}
	if c := p.Contender(); c.Hash != p.Hash || len(c.Versions) != 3 || c.Name != "demo" {
		t.Errorf("%+v", c)
	}
	log, _ := os.ReadFile(p.BuildLog)
	if !strings.Contains(string(log), "building\n$ sh -c \"pwd; ls; cat main.txt\"\n"+p.Dir+"\nmain.txt\nshowdown.yaml\nversion.txt\none\n") {
		t.Errorf("log:\n%s", log)
	}
	if !slices.Contains(steps, "1/2 sh ") || !slices.Contains(steps, "1/2 sh building") || !slices.Contains(steps, "2/2 sh ") {
		t.Errorf("progress: %q", steps)
	}

	again := mustPrepare(t, m, cache)
	if again.Built || again.Dir != p.Dir || again.Hash != p.Hash || !slices.Equal(again.Versions, want) {
		t.Errorf("again: %+v", again)
	}
	if got := inCache(t, cache); got != "demo-* demo-*.log demo.lock" {
		t.Errorf("cache holds %s", got)
	}
}

func TestPrepareHash(t *testing.T) {
	t.Parallel()
	m, cache := project(t, writeVersion), t.TempDir()
	file := func(name string) string { return filepath.Join(m.Dir, name) }
	first := mustPrepare(t, m, cache).Hash
	for _, c := range []struct {
		name   string
		change func() error
		same   bool
	}{
		{"a file that is built", func() error { return os.MkdirAll(file("target/x"), 0o755) }, true},
		{"dependencies below", func() error { return os.MkdirAll(file("web/node_modules/x"), 0o755) }, true},
		{"a hidden file", func() error { return os.WriteFile(file(".env"), []byte("TOKEN=1"), 0o644) }, true},
		{"the time", func() error { return os.Chtimes(file("main.txt"), time.Now(), time.Now().Add(time.Hour)) }, true},
		{"a kept hidden file", func() error { return os.WriteFile(file(".npmrc"), []byte("x=1"), 0o644) }, false},
		{"bytes", func() error { return os.WriteFile(file("main.txt"), []byte("two\n"), 0o644) }, false},
		{"mode", func() error { return os.Chmod(file("main.txt"), 0o755) }, false},
		{"a folder bin below", func() error { return os.MkdirAll(file("web/bin"), 0o755) }, false},
		{"a new name", func() error { return os.Rename(file("main.txt"), file("core.txt")) }, false},
		{"a link", func() error { return os.Symlink("core.txt", file("link.txt")) }, false},
		{"a new target", func() error {
			return errors.Join(os.Remove(file("link.txt")), os.Symlink("./core.txt", file("link.txt")))
		}, false},
	} {
		before := hashOf(t, m)
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		if c.name == "dependencies below" {
			before = hashOf(t, m) // the folder web itself is new
		}
		if after := hashOf(t, m); (after == before) != c.same {
			t.Errorf("%s: same hash: %v", c.name, !c.same)
		}
	}
	p := mustPrepare(t, m, cache)
	if p.Hash == first || !p.Built {
		t.Error("changed source is not built anew")
	}
	if target, err := os.Readlink(filepath.Join(p.Dir, "link.txt")); target != "./core.txt" || err != nil {
		t.Errorf("link: %q, %v", target, err)
	}
	if info, err := os.Stat(filepath.Join(p.Dir, "core.txt")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode: %v, %v", info, err)
	}
	for _, absent := range []string{".env", "target", "web/node_modules"} {
		if _, err := os.Stat(filepath.Join(p.Dir, absent)); err == nil {
			t.Errorf("%s is copied", absent)
		}
	}
}

func hashOf(t *testing.T, m *Manifest) string {
	t.Helper()
	src, err := openSource(m.Name, m.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.root.Close()
	sum, err := src.hash(nil)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestPrepareKeepsTwoBuilds(t *testing.T) {
	t.Parallel()
	m, cache := project(t, writeVersion), t.TempDir()
	writeFiles(t, cache, map[string]string{
		"demo-0123456789ab/theirs": "", // looks like ours, but has no marker
		"demo-two-0123456789ab/x":  "", // another contender's
		"demo-ba9876543210.log":    "", // of a build that failed
	})
	var builds []*Prepared
	for i := range 4 {
		writeFiles(t, m.Dir, map[string]string{"main.txt": fmt.Sprint(i)})
		p := mustPrepare(t, m, cache)
		if i > 0 {
			p.held.Close() // only the first one is in use
		}
		builds = append(builds, p)
	}
	for i, kept := range []bool{true, false, true, true} {
		_, err := os.Stat(builds[i].Dir)
		_, logErr := os.Stat(builds[i].BuildLog)
		if (err == nil) != kept || (logErr == nil) != kept {
			t.Errorf("build %d: %v, %v", i, err, logErr)
		}
	}
	if got := inCache(t, cache); got != "demo-* demo-* demo-*.log demo-* demo-*.log demo-* demo-*.log demo-two-0123456789ab demo.lock" {
		t.Errorf("cache holds %s", got)
	}
	builds[0].held.Close()
}

func TestPrepareFailingBuild(t *testing.T) {
	t.Parallel()
	m, cache := project(t, writeVersion, `[sh, -c, "for i in $(seq 30); do echo line $i; done; printf '\\033[31mcannot find it\\n' >&2; exit 3"]`, countBuilds), t.TempDir()
	_, err := Prepare(t.Context(), m, cache, nil)
	wantError(t, err, showdown.BadContender, "build demo: sh -c \"", " failed with status 3\n", "\n  line 30\n  cannot find it", "the whole log: "+cache)
	if strings.Contains(err.Error(), "line 9\n") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("tail: %v", err)
	}
	if got := inCache(t, cache); got != "demo-*.log demo.lock" {
		t.Errorf("cache holds %s", got)
	}
	_, path, _ := strings.Cut(showdown.HintOf(err), "the whole log: ")
	if log, err := os.ReadFile(path); err != nil || !strings.Contains(string(log), "line 1\n") {
		t.Errorf("log: %v\n%s", err, log)
	}
}

func TestPrepareErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		build string
		words []string
	}{
		"no program": {"[no-such-program-here]", []string{`build demo: "no-such-program-here": not found on the PATH`}},
		"killed":     {`[sh, -c, "kill -9 $$"]`, []string{"was ended by SIGKILL"}},
		"no version": {`[sh, -c, "echo soon >version.txt"]`, []string{"find framework version of demo", "printed no version", "see versions"}},
		"no command": {`["true"]`, []string{"find framework version of demo", "cat version.txt failed", "version.txt"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Prepare(t.Context(), project(t, c.build), t.TempDir(), nil)
			wantError(t, err, showdown.BadContender, c.words...)
		})
	}
}

// TestPrepareInterrupted cancels a build that has put processes in the background.
func TestPrepareInterrupted(t *testing.T) {
	t.Parallel()
	tag := fmt.Sprintf("%d.%09d", 1000+os.Getpid(), time.Now().Nanosecond())
	m, cache := project(t, fmt.Sprintf(`[sh, -c, "trap '' TERM; setsid sleep %s & sleep %s & echo started; wait"]`, tag, tag)), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Prepare(ctx, m, cache, func(_, _ int, _ []string, line string) {
		if line == "started" {
			cancel()
		}
	})
	wantError(t, err, showdown.Interrupted, "prepare demo: context canceled")
	stub.NoneSurvives(t, tag, 0)
	if got := inCache(t, cache); got != "demo-*.log demo.lock" {
		t.Errorf("cache holds %s", got)
	}
}

// TestPrepareAfterKill finds what a Showdown left that was killed while it built.
func TestPrepareAfterKill(t *testing.T) {
	t.Parallel()
	m, cache := project(t, writeVersion), t.TempDir()
	whole := mustPrepare(t, m, cache)
	whole.held.Close()
	half, ok := readMarker(whole.Dir)
	if !ok {
		t.Fatal("no marker")
	}
	half.Built = time.Time{}
	for name, damage := range map[string]func() error{
		"unfinished": func() error { return writeMarker(whole.Dir, half) },
		"no marker":  func() error { return os.Remove(filepath.Join(whole.Dir, markerName)) },
		"torn":       func() error { return os.WriteFile(filepath.Join(whole.Dir, markerName), []byte(`{"dir`), 0o644) },
		"moved": func() error {
			return os.WriteFile(filepath.Join(whole.Dir, markerName), []byte(`{"dir":"/elsewhere","built":"2026-01-01T00:00:00Z"}`), 0o644)
		},
	} {
		writeFiles(t, whole.Dir, map[string]string{"debris": ""})
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		p := mustPrepare(t, m, cache)
		p.held.Close()
		if _, err := os.Stat(filepath.Join(p.Dir, "debris")); !p.Built || err == nil {
			t.Errorf("%s: built %v, debris %v", name, p.Built, err)
		}
	}
	// One of other source is removed along the way.
	other := filepath.Join(cache, "demo-0123456789ab")
	writeFiles(t, other, map[string]string{"debris": ""})
	if err := writeMarker(other, marker{Dir: other}); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, m.Dir, map[string]string{"main.txt": "two\n"})
	mustPrepare(t, m, cache)
	if _, err := os.Stat(other); err == nil {
		t.Error("unfinished build of other source is left")
	}
}

func TestPrepareWaitsForAnother(t *testing.T) {
	t.Parallel()
	m, cache := project(t, writeVersion), t.TempDir()
	other, err := lock(t.Context(), cache, m.Name, func() {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Prepare(ctx, m, cache, func(step, _ int, _ []string, line string) {
		if step == 0 && line == "another Showdown is building it" {
			cancel()
		}
	})
	wantError(t, err, showdown.Interrupted, "prepare demo")
	other.Close()
	mustPrepare(t, m, cache)
}

func TestPrepareRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(path string) error
		want string
	}{
		"absolute link": {func(p string) error { return os.Symlink("/etc/passwd", p) }, "x: the symbolic link leaves the contender's folder"},
		"link up":       {func(p string) error { return os.Symlink("../../x", p) }, "x: the symbolic link leaves"},
		"dangling link": {func(p string) error { return os.Symlink("nowhere", p) }, "leads nowhere"},
		"link by link": {func(p string) error {
			return errors.Join(os.Mkdir(filepath.Dir(p)+"/d", 0o755), os.Symlink("d/../../../etc", p))
		}, "x: the symbolic link leaves"},
		"pipe": {func(p string) error { return syscall.Mkfifo(p, 0o644) }, "x is neither a file, a folder nor a link"},
		"much": {func(p string) error {
			return errors.Join(os.WriteFile(p, nil, 0o644), os.Truncate(p, maxSourceBytes+1))
		}, "holds more than 20000 files or 256 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, cache := project(t, writeVersion), t.TempDir()
			if err := c.make(filepath.Join(m.Dir, "x")); err != nil {
				t.Fatal(err)
			}
			_, err := Prepare(t.Context(), m, cache, nil)
			wantError(t, err, showdown.BadUsage, c.want)
			if entries, _ := os.ReadDir(cache); len(entries) > 0 {
				t.Errorf("cache holds %v", entries)
			}
		})
	}
}

// TestPrepareStartStop goes the whole way, as a bout does.
func TestPrepareStartStop(t *testing.T) {
	t.Parallel()
	folder, tag := stub.Write(t, t.TempDir(), "whole", stub.OK, time.Minute)
	cache := t.TempDir()
	p := mustPrepare(t, mustLoad(t, folder), cache)
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	process, err := p.Start(t.Context(), StartOptions{Port: port, Log: filepath.Join(cache, "log")})
	if err != nil {
		t.Fatal(err)
	}
	_, readyErr := process.WaitReady(t.Context())
	exit, err := process.Stop(t.Context())
	if readyErr != nil || err != nil || !exit.Clean {
		t.Errorf("%v, %v, %+v", readyErr, err, exit)
	}
	stub.NoneSurvives(t, tag, 0)
}

func TestCacheDir(t *testing.T) {
	t.Setenv("SHOWDOWN_CACHE", "/x")
	if dir, err := CacheDir(); dir != "/x/contenders" || err != nil {
		t.Error(dir, err)
	}
	t.Setenv("SHOWDOWN_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "/y")
	if dir, err := CacheDir(); dir != "/y/showdown/contenders" || err != nil {
		t.Error(dir, err)
	}
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	_, err := CacheDir()
	wantError(t, err, showdown.Environment, "SHOWDOWN_CACHE")
}

func TestIsBuildOf(t *testing.T) {
	names := map[string]bool{"gin-0123456789ab": true, "gin-0123456789aX": false, "gin-two-0123456789ab": false, "gin": false, "gin-0123": false}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if isBuildOf(name, "gin") != names[name] {
			t.Errorf("isBuildOf(%q) = %v", name, !names[name])
		}
	}
}
