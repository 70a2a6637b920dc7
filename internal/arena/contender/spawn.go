package contender

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

const guardStartLimit = 20 * time.Second

// guarded is a command under a guard, seen from Showdown's side.
type guarded struct {
	pid   int
	began time.Time
	guard *exec.Cmd

	mu       sync.Mutex // for requests
	requests io.WriteCloser

	flooded chan struct{} // closed when it wrote too much log
	exited  chan struct{} // closed when the command itself ended; then the next three hold
	gone    chan struct{} // closed when nothing is left; then the rest holds
	ended   time.Time
	status  int    // -1 where a signal ended it, or where that is not known
	signal  string // empty where it exited, or where that is not known
	killed  int
	left    int
	lost    bool // the guard died first
}

// spawn starts a command under a guard. What the command prints goes to o.Log or,
// where that is empty, to output. Whatever happens, the caller must wait for gone.
func spawn(o orders, output io.Writer) (*guarded, error) {
	if os.Getenv(guardVariable) != "" {
		return nil, guardError("start", errors.New("this is a guard already"))
	}
	cmd := exec.Command(ownProgram())
	cmd.Args = []string{"showdown-guard"}
	env := bareEnviron()
	pick(env, []string{"GORACE", "GOCOVERDIR"}) // the guard is this program, as it was built for tests
	env[guardVariable] = "1"
	cmd.Env = pairs(env)
	cmd.Stderr = output
	cmd.WaitDelay = time.Second
	ownSession(cmd)
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, guardError("start", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, guardError("start", err)
	}
	g := &guarded{
		guard: cmd, requests: stdin,
		flooded: make(chan struct{}), exited: make(chan struct{}), gone: make(chan struct{}),
	}
	events := json.NewDecoder(stdout)
	if err := g.order(o, events); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, err
	}
	go g.follow(events)
	return g, nil
}

// guardError is one of Showdown's own; the other errors of spawn are the command's.
func guardError(verb string, err error) error {
	return showdown.Errorf(showdown.Internal, "RunGuardIfAsked must be the first line of main and of TestMain", "%s guard: %w", verb, err)
}

// ownProgram is this program, even if its file was replaced meanwhile.
func ownProgram() string {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe"
	}
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// order gives the guard its orders and waits until the command runs.
func (g *guarded) order(o orders, events *json.Decoder) error {
	late := time.AfterFunc(guardStartLimit, func() { _ = g.guard.Process.Kill() })
	defer late.Stop()
	if err := json.NewEncoder(g.requests).Encode(o); err != nil {
		return guardError("order", err)
	}
	var e event
	if err := events.Decode(&e); err != nil {
		return guardError("hear from", err)
	}
	if e.Kind == failed {
		return errors.New(e.Message)
	}
	g.pid, g.began = e.Pid, time.Now()
	return nil
}

// follow listens to the guard until it ends.
func (g *guarded) follow(events *json.Decoder) {
	over, lost := false, true
	for {
		var e event
		if events.Decode(&e) != nil {
			break
		}
		switch e.Kind {
		case flooded:
			close(g.flooded)
		case exited:
			g.ended, g.status, g.signal = time.Now(), e.Status, e.Signal
			over = true
			close(g.exited)
		case gone:
			g.killed, g.left, lost = e.Killed, e.Left, false
		}
	}
	if lost {
		killGroup(g.pid) // the most that can be done without the guard
	}
	if !over {
		g.ended, g.status = time.Now(), -1
		close(g.exited)
	}
	_ = g.guard.Wait()
	g.lost = lost
	close(g.gone)
}

// ask lets the guard stop the command, all of it at once where grace is 0.
func (g *guarded) ask(grace time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = json.NewEncoder(g.requests).Encode(request{Grace: grace}) // a guard that is gone needs no request
}

// trouble is an error where something is left of the tree.
func (g *guarded) trouble(name string) error {
	switch {
	case g.lost:
		return showdown.Errorf(showdown.Internal, "processes of it may be left: look with ps", "stop %s: its guard died", name)
	case g.left > 0:
		return showdown.Errorf(showdown.Environment, "they hang in the kernel, perhaps on a disk: look with ps",
			"stop %s: %s could not be killed", name, showdown.Plural(g.left, "process"))
	}
	return nil
}
