package stub

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const tagVariable = "STUB_TAG"

// Write makes a contender's folder below dir, called name, that starts this test
// program as a stub. Its ready timeout is as given. tag marks its processes.
func Write(t testing.TB, dir, name string, mode Mode, readyTimeout time.Duration) (folder, tag string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tag = rand.Text()
	folder = filepath.Join(dir, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	// GORACE and GOCOVERDIR: a program built with -race lingers for a second when it
	// ends, and one built with -cover complains, unless told otherwise.
	// Note: a script that sh reads, and not a program of the folder, since another
	// test's fork might hold the fresh file open for writing (text file busy).
	files := map[string]string{
		"run.sh": fmt.Sprintf("exec '%s'\n", self),
		"showdown.yaml": fmt.Sprintf(`name: %s
title: Stub %s
language: Go
framework: none
requires: {}
start: [sh, run.sh]
env: {%s: %s, %s: %s, GORACE: atexit_sleep_ms=0, GOCOVERDIR: %s}
ready: {path: /healthz, timeout: %v}
workers: not at all
versions:
  runtime: {name: sh, command: [echo, "1.0.0"]}
  framework: {name: none, same_as: runtime}
implements: [json]
`, name, name, modeVariable, mode, tagVariable, tag, t.TempDir(), readyTimeout),
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder, tag
}

// Survivors lists the living processes that carry tag in their environment or
// arguments. Linux only; none elsewhere.
func Survivors(tag string) []int {
	var pids []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		environ, _ := os.ReadFile(filepath.Join(dir, "environ")) // empty for zombies
		arguments, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if bytes.Contains(environ, []byte(tag)) || bytes.Contains(arguments, []byte(tag)) {
			if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && pid != os.Getpid() {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// NoneSurvives fails the test if processes with the tag are left. It gives those
// that were just killed a moment to vanish.
func NoneSurvives(t testing.TB, tag string, within time.Duration) {
	t.Helper()
	var left []int
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		if left = Survivors(tag); len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	for _, pid := range left {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		t.Errorf("pid %d survives: %s", pid, strings.ReplaceAll(string(name), "\x00", " "))
	}
}
