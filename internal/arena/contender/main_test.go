package contender

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
	"github.com/backend-showdown/showdown/internal/testkit/stub"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestMain(m *testing.M) {
	RunGuardIfAsked()
	stub.RunIfAsked()
	if folder := os.Getenv("TEST_MIDDLE"); folder != "" {
		middle(folder, os.Getenv("TEST_MIDDLE_CACHE"))
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector lets every guard linger for a second
	os.Exit(m.Run())
}

// middle is a Showdown that is about to be killed: it prints its contender's and
// its guard's pid.
func middle(folder, cache string) {
	m, err := Load(folder)
	check(err)
	p, err := Prepare(context.Background(), m, cache, nil)
	check(err)
	port, err := FreePort()
	check(err)
	process, err := p.Start(context.Background(), StartOptions{Port: port, Log: cache + "/log"})
	check(err)
	_, err = process.WaitReady(context.Background())
	check(err)
	fmt.Println(process.Pid(), process.guarded.guard.Process.Pid)
	time.Sleep(time.Minute)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// wantError wants an error with a code whose message and hint hold the words.
func wantError(t *testing.T, err error, code showdown.Code, words ...string) {
	t.Helper()
	if err == nil || showdown.CodeOf(err) != code {
		t.Fatalf("error %v has code %d, want %d", err, showdown.CodeOf(err), code)
	}
	whole := err.Error() + "\n" + showdown.HintOf(err)
	for _, w := range words {
		if !strings.Contains(whole, w) {
			t.Errorf("error lacks %q:\n%s", w, whole)
		}
	}
}
