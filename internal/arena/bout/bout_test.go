package bout

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/arena/scenario"
	"github.com/backend-showdown/showdown/internal/showdown"
	"github.com/backend-showdown/showdown/internal/testkit/shop"
	"github.com/backend-showdown/showdown/internal/testkit/stub"
)

func TestMain(m *testing.M) {
	contender.RunGuardIfAsked()
	stub.Handler = shop.Handler(shop.Mode(os.Getenv("STUB_MODE")), os.Getenv("DATA_DIR"))
	stub.RunIfAsked()
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	os.Exit(m.Run())
}

// arena prepares a stub and a player for it.
func arena(t *testing.T, mode stub.Mode) (*Player, *contender.Prepared, string) {
	t.Helper()
	dir := t.TempDir()
	folder, tag := stub.Write(t, dir, string(mode), mode, 10*time.Second)
	m, err := contender.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := contender.Prepare(t.Context(), m, filepath.Join(dir, "cache"), nil)
	if err != nil {
		t.Fatal(err)
	}
	scene := scenario.JSON()
	if err := scene.WriteData(dir); err != nil {
		t.Fatal(err)
	}
	return &Player{Scenario: scene, DataDir: dir, LogDir: dir, Plan: showdown.Plan{
		Objective: scene.Objective(), Seed: 1,
		Timing:     showdown.Timing{Warmup: 200 * time.Millisecond, Probe: 200 * time.Millisecond, Measure: 300 * time.Millisecond},
		Connection: showdown.Connections{Open: 8, Max: 32},
	}}, prepared, tag
}

// A bout that counts holds every kind of window, each with what it cost.
func TestPlayRecordsEveryWindow(t *testing.T) {
	player, prepared, tag := arena(t, stub.Mode(shop.Serial))
	b, err := player.Play(t.Context(), Order{Contender: prepared, Phase: showdown.Block, Block: 1, Guess: 300, Common: 50})
	if err != nil || b.Failure != nil {
		t.Fatalf("%v, %+v", err, b.Failure)
	}
	stub.NoneSurvives(t, tag, time.Second)
	if b.Capacity < 50 || b.Capacity > 600 || b.Ready <= 0 || b.Took <= 0 {
		t.Errorf("capacity %v, ready %v, took %v; the stub cannot serve 500/s", b.Capacity, b.Ready, b.Took)
	}
	for _, kind := range []showdown.WindowKind{showdown.Warmup, showdown.Probe, showdown.AtCapacity, showdown.AtCommon} {
		w := b.Window(kind)
		if w == nil {
			t.Errorf("no window %s", kind)
			continue
		}
		if w.Load.OK == 0 || len(w.Histo) == 0 || w.Load.OK+w.Load.Failed() != w.Load.Due {
			t.Errorf("window %s: %+v", kind, w.Load)
		}
	}
	if w := b.Window(showdown.AtCommon); w != nil && w.Offered != 50 {
		t.Errorf("the common rate was %v", w.Offered)
	}
}

// Somebody else answers on the port that the contender was given.
func TestStolenPortFailsTheContenderOnly(t *testing.T) {
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("needs /proc to see whose port it is")
	}
	player, prepared, tag := arena(t, stub.Deaf)
	go func() {
		for range 500 {
			time.Sleep(10 * time.Millisecond)
			for _, pid := range stub.Survivors(tag) {
				environ, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
				port := regexp.MustCompile(`(?:^|\x00)PORT=(\d+)`).FindSubmatch(environ)
				if port == nil {
					continue
				}
				if l, err := net.Listen("tcp", "127.0.0.1:"+string(port[1])); err == nil {
					t.Cleanup(func() { l.Close() })
					_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }))
					return
				}
			}
		}
	}()
	b, err := player.Play(t.Context(), Order{Contender: prepared, Phase: showdown.Scout})
	if err != nil || b.Failure == nil || !strings.Contains(b.Failure.Reason, "is held by pid "+strconv.Itoa(os.Getpid())) {
		t.Fatalf("error %v, failure %+v", err, b.Failure)
	}
	stub.NoneSurvives(t, tag, time.Second)
}

func TestWrongAnswersUnderLoadAreAFailure(t *testing.T) {
	player, prepared, tag := arena(t, stub.Mode(shop.LiesLate))
	b, err := player.Play(t.Context(), Order{Contender: prepared, Phase: showdown.Block, Block: 1, Guess: 2000, Common: 1000})
	if err != nil || b.Failure == nil || !strings.Contains(b.Failure.Reason, "under load") {
		t.Fatalf("error %v, failure %+v", err, b.Failure)
	}
	stub.NoneSurvives(t, tag, time.Second)
}
