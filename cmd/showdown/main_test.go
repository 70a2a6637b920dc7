package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/testkit/shop"
	"github.com/backend-showdown/showdown/internal/testkit/stub"
)

// The test program plays every part: Showdown, its guards and the stub contenders.
func TestMain(m *testing.M) {
	contender.RunGuardIfAsked()
	stub.Handler = shop.Handler(shop.Mode(os.Getenv("STUB_MODE")), os.Getenv("DATA_DIR"))
	stub.RunIfAsked()
	if os.Getenv("PLAY_SHOWDOWN") != "" {
		main()
		return
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // else the race detector lets every process linger for a second
	testscript.Main(m, map[string]func(){"showdown": main})
}

// stubs are the contenders that scripts find in the folder stubs.
var stubs = []stub.Mode{
	stub.OK, stub.Crash, stub.ExitLater, stub.NeverReady, stub.Hang, stub.Fork, stub.Flood, stub.Deaf, stub.WrongPort, stub.BadStop, stub.Everywhere,
	stub.Mode(shop.Lies), stub.Mode(shop.LiesLate), stub.Mode(shop.Caches), stub.Mode(shop.Sleepy), stub.Mode(shop.Faulty), stub.Mode(shop.Serial),
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SHOWDOWN_CACHE", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("TMPDIR", filepath.Join(env.WorkDir, "tmp"))
			env.Setenv("NO_COLOR", "1")
			env.Setenv("FAST", "--warmup=150ms --probe=150ms --measure=200ms")
			if err := os.MkdirAll(filepath.Join(env.WorkDir, "tmp"), 0o755); err != nil {
				return err
			}
			var tags []string
			for _, mode := range stubs {
				_, tag := stub.Write(t, filepath.Join(env.WorkDir, "stubs"), string(mode), mode, 2*time.Second)
				tags = append(tags, tag)
			}
			env.Defer(func() {
				for _, tag := range tags {
					stub.NoneSurvives(t, tag, 2*time.Second)
				}
			})
			return nil
		},
	})
}
