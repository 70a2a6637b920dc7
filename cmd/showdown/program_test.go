package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// program is this test program as showdown in a process of its own, working in dir.
func program(t *testing.T, dir string, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PLAY_SHOWDOWN=1")
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// private keeps the program's cache and temporary files in dir.
func private(t *testing.T, cmd *exec.Cmd, dir string) {
	t.Helper()
	temp := filepath.Join(dir, "tmp")
	if err := os.MkdirAll(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "SHOWDOWN_CACHE="+filepath.Join(dir, "cache"), "TMPDIR="+temp)
}

// output collects what a program prints while the test looks at it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// await waits until the output holds text.
func (o *output) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(o.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %q in the output:\n%s", text, o)
		}
	}
}
