package record

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// doomedVariable names the record to which this program adds bouts until it is killed.
const doomedVariable = "RECORD_DOOMED"

func TestMain(m *testing.M) {
	if file := os.Getenv(doomedVariable); file != "" {
		fmt.Fprintln(os.Stderr, addForever(file))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// addForever prints the number of bouts after each.
func addForever(file string) error {
	ctx := context.Background()
	s, err := Open(ctx, file)
	if err != nil {
		return err
	}
	if err := s.Create(ctx, newRun("a", noon)); err != nil {
		return err
	}
	for k := 0; ; k++ {
		if err := s.Add(ctx, "a", sampleBout(k)); err != nil {
			return err
		}
		fmt.Println(k + 1)
	}
}

func TestAKillLosesOnlyTheBoutInFlight(t *testing.T) {
	program, err := os.Executable()
	check(t, err)
	for _, when := range []int{1, 4, 17} {
		file := filepath.Join(t.TempDir(), "r.db")
		c := exec.Command(program)
		c.Env, c.Stderr = append(os.Environ(), doomedVariable+"="+file), os.Stderr
		out, err := c.StdoutPipe()
		check(t, err)
		check(t, c.Start())
		told := 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			_, err := fmt.Sscan(lines.Text(), &told)
			check(t, err)
			if told == when {
				check(t, c.Process.Kill())
			}
		}
		_ = c.Wait()
		if told < when {
			t.Fatalf("the child ended after %d bouts", told)
		}

		run, err := open(t, file).Run(t.Context(), "a")
		check(t, err)
		if n := len(run.Bouts); n < told || n > told+1 {
			t.Errorf("%d bouts survived, want the %d that were told of, and perhaps the next", n, told)
		}
		for k, b := range run.Bouts {
			if b.Block != 1+k/3 || b.Slot != k%3 {
				t.Errorf("bout %d is in the place of bout %d", 3*(b.Block-1)+b.Slot, k)
			}
		}
		wantWhole(t, run.Bouts)
		check(t, open(t, file).Add(t.Context(), "a", sampleBout(len(run.Bouts))))
	}
}
