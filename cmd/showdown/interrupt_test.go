//go:build unix

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/backend-showdown/showdown/internal/record"
	"github.com/backend-showdown/showdown/internal/showdown"
	"github.com/backend-showdown/showdown/internal/testkit/stub"
)

func bouts(t *testing.T, dir string) []showdown.Bout {
	t.Helper()
	store, err := record.Open(t.Context(), filepath.Join(dir, "showdown-out", "showdown.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	runs, err := store.Runs(t.Context())
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	run, err := store.Run(t.Context(), runs[0].Run.ID)
	if err != nil {
		t.Fatal(err)
	}
	return run.Bouts
}

var fast = []string{"--blocks=3", "--seed=11", "--warmup=150ms", "--probe=150ms", "--measure=300ms"}

// However a run ends in the middle, its finished bouts are kept, nothing of it
// goes on living, and it can be resumed.
func TestInterruptedRunsLoseNothing(t *testing.T) {
	for _, c := range []struct {
		name    string
		signals []os.Signal
		status  int // -1 for killed
	}{
		{"Ctrl-C", []os.Signal{syscall.SIGINT}, 130},
		{"SIGTERM", []os.Signal{syscall.SIGTERM}, 130},
		{"Ctrl-C twice", []os.Signal{syscall.SIGINT, syscall.SIGINT}, 130},
		{"kill -9", []os.Signal{syscall.SIGKILL}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, tag := stub.Write(t, filepath.Join(dir, "stubs"), "ok", stub.OK, 5*time.Second)
			_, tag2 := stub.Write(t, filepath.Join(dir, "stubs"), "serial", "serial", 5*time.Second)
			cmd, out := program(t, dir, append([]string{"run", "./stubs/ok", "./stubs/serial"}, fast...)...)
			private(t, cmd, dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			out.await(t, "block 1")
			for _, s := range c.signals {
				_ = cmd.Process.Signal(s)
				time.Sleep(30 * time.Millisecond)
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != c.status {
				t.Errorf("exit status %d, want %d:\n%s", got, c.status, out)
			}
			stub.NoneSurvives(t, tag, 3*time.Second)
			stub.NoneSurvives(t, tag2, 3*time.Second)
			if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			before := bouts(t, dir)
			if len(before) < 3 || len(before) > 7 {
				t.Fatalf("%d bouts are kept; 3 were finished when the signal came:\n%s", len(before), out)
			}

			command := []string{"run", "--resume"}
			if c.status == 130 {
				found := regexp.MustCompile(`showdown (run --resume=\S+)`).FindStringSubmatch(out.String())
				if found == nil {
					t.Fatalf("the command to resume is not named:\n%s", out)
				}
				command = strings.Fields(found[1])
			}
			cmd, out = program(t, dir, command...)
			private(t, cmd, dir)
			if err := cmd.Run(); err != nil {
				t.Fatalf("resume: %v\n%s", err, out)
			}
			after := bouts(t, dir)
			if len(after) != 8 {
				t.Errorf("%d bouts after resuming, want 2 scouts and 2 × 3 blocks:\n%s", len(after), out)
			}
			for i := range before {
				if !before[i].Started.Equal(after[i].Started) {
					t.Errorf("bout %d was played again", i)
				}
			}
		})
	}
}
