package contender

import (
	"encoding/json"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// guardVariable turns this program into a guard.
const guardVariable = "SHOWDOWN_GUARD"

// The guard stands between Showdown and one command. It starts the command, lets
// it run, and outlives Showdown just long enough to leave nothing behind: when its
// standard input ends, Showdown is gone, and the guard kills the whole tree.
//
// It shares the contender's machine, so it sleeps in reads and waits; only while
// it kills does it poll.
type guard struct {
	tree     *tree
	events   *json.Encoder
	log      *boundedLog // nil where the output goes to Showdown
	commands chan request
	reaped   chan reaped // closed when no process is left
	pumped   chan struct{}
	flooded  chan struct{}

	down     bool        // the command itself has ended
	kill     *time.Timer // when to kill next
	deadline time.Time   // when the killing shall begin, or zero
	killing  time.Time   // when it began, or zero
	killed   map[int]bool
}

// orders come first on a guard's standard input.
type orders struct {
	Program string   `json:"program"` // absolute
	Args    []string `json:"args"`    // args[0] included
	Dir     string   `json:"dir"`
	Env     []string `json:"env"`
	CPUs    []int    `json:"cpus,omitempty"`
	Log     string   `json:"log,omitempty"`   // empty: the output goes to the guard's standard error
	Flood   int64    `json:"flood,omitempty"` // bytes of log that are too many
}

// request follows the orders: stop the command, with so much time for it to end
// by itself. Without grace, everything is killed at once.
type request struct {
	Grace time.Duration `json:"grace_ns"`
}

// event is what a guard says on its standard output, one JSON object a line.
type event struct {
	Kind    eventKind `json:"kind"`
	Pid     int       `json:"pid,omitempty"`     // started
	Message string    `json:"message,omitempty"` // failed
	Status  int       `json:"status,omitempty"`  // exited
	Signal  string    `json:"signal,omitempty"`  // exited
	Killed  int       `json:"killed,omitempty"`  // gone: how many had to be killed
	Left    int       `json:"left,omitempty"`    // gone: how many could not be killed
}

type eventKind string

const (
	started eventKind = "started"
	failed  eventKind = "failed"  // instead of started; the last one
	flooded eventKind = "flooded" // too much log; it is being killed
	exited  eventKind = "exited"  // the command itself
	gone    eventKind = "gone"    // the whole tree; the last one
)

const (
	settleTime  = 250 * time.Millisecond // for children to follow a command that ended
	sweepPause  = 10 * time.Millisecond
	killingTime = 5 * time.Second // until a process that cannot be killed is given up
)

// RunGuardIfAsked makes this process a guard and never returns, if Showdown
// started it as one. It must be the first line of main, and of every TestMain
// whose tests start contenders.
func RunGuardIfAsked() {
	if os.Getenv(guardVariable) == "" {
		return
	}
	// Ctrl-C is Showdown's business. Note: Notify and not Ignore, because ignored
	// signals would stay ignored in the command.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	runGuard(os.Stdin, os.Stdout, os.Stderr)
	os.Exit(0)
}

func runGuard(in io.Reader, out io.Writer, output *os.File) {
	g := &guard{
		events: json.NewEncoder(out), commands: make(chan request),
		reaped: make(chan reaped), pumped: make(chan struct{}), flooded: make(chan struct{}, 1),
		killed: map[int]bool{},
	}
	decoder := json.NewDecoder(in)
	var o orders
	if err := decoder.Decode(&o); err != nil {
		return // Showdown died before it had an order
	}
	if err := g.start(o, output); err != nil {
		g.tell(event{Kind: failed, Message: err.Error()})
		return
	}
	g.tell(event{Kind: started, Pid: g.tree.pid})
	go g.listen(decoder)
	go g.tree.reap(g.reaped)
	left := g.watch()
	g.finishLog(left == 0)
	g.tell(event{Kind: gone, Killed: len(g.killed), Left: left})
}

// start starts the command with its output going to a log, or to output.
func (g *guard) start(o orders, output *os.File) error {
	if o.Log == "" {
		close(g.pumped)
		return g.plant(o, output)
	}
	log, err := newBoundedLog(o.Log)
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	g.log = log
	defer write.Close()
	if err := g.plant(o, write); err != nil {
		read.Close()
		return err
	}
	go g.pump(read, o.Flood)
	return nil
}

func (g *guard) plant(o orders, output *os.File) (err error) {
	g.tree, err = plant(o, output)
	return err
}

// pump moves the command's output to the log.
func (g *guard) pump(from io.ReadCloser, flood int64) {
	defer close(g.pumped)
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		g.log.Write(buffer[:n])
		if flood > 0 && g.log.Total() > flood {
			flood = 0
			g.flooded <- struct{}{}
		}
		if err != nil {
			return
		}
	}
}

func (g *guard) listen(decoder *json.Decoder) {
	defer close(g.commands)
	for {
		var r request
		if decoder.Decode(&r) != nil {
			return
		}
		g.commands <- r
	}
}

// watch waits until nothing is left of the tree, and gives the number of
// processes that could not be killed.
func (g *guard) watch() (left int) {
	g.kill = time.NewTimer(time.Hour)
	g.kill.Stop()
	commands := g.commands
	for {
		select {
		case r, more := <-g.reaped:
			if !more {
				return 0
			}
			if r.pid == g.tree.pid {
				g.down = true
				g.tell(event{Kind: exited, Status: r.status, Signal: r.signal})
				g.killWithin(settleTime)
			}
		case r, more := <-commands:
			if !more {
				commands = nil // Showdown is gone
			}
			g.stop(r)
		case <-g.flooded:
			g.tell(event{Kind: flooded})
			g.killWithin(0)
		case <-g.kill.C:
			alive := g.sweep()
			if time.Since(g.killing) > killingTime {
				return alive
			}
			g.kill.Reset(sweepPause)
		}
	}
}

func (g *guard) stop(r request) {
	if r.Grace > 0 && !g.down {
		g.tree.terminate()
	}
	g.killWithin(r.Grace)
}

// killWithin lets the killing begin after d, unless it begins sooner already.
func (g *guard) killWithin(d time.Duration) {
	at := time.Now().Add(d)
	if g.killing.IsZero() && (g.deadline.IsZero() || at.Before(g.deadline)) {
		g.deadline = at
		g.kill.Reset(d)
	}
}

// sweep kills every process of the tree that it sees. One sweep is not enough: a
// process may fork between being seen and being killed.
func (g *guard) sweep() (alive int) {
	if g.killing.IsZero() {
		g.killing = time.Now()
	}
	pids := g.tree.kill()
	for _, pid := range pids {
		g.killed[pid] = true
	}
	return len(pids)
}

// finishLog completes the log. Where no process is left, all that was written is
// waited for.
func (g *guard) finishLog(alone bool) {
	if g.log == nil {
		return
	}
	if alone {
		<-g.pumped
	}
	g.log.Close()
}

// tell sends an event. That Showdown no longer listens is no reason to stop.
func (g *guard) tell(e event) {
	_ = g.events.Encode(e)
}
