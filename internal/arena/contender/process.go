package contender

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// stopGrace is how long a contender may take to stop (rule J11).
const stopGrace = 5 * time.Second

// StartOptions say where and with what a contender runs.
type StartOptions struct {
	Host    string            // address to bind; empty means 127.0.0.1
	Port    int               // see FreePort
	Workers int               // CPUs that it may use; 0 means 1
	DataDir string            // the scenario's data
	CPUs    []int             // affinity, on Linux; empty means any
	Log     string            // file for its output, needed; its folder must exist
	Env     map[string]string // added last, such as a database's address
}

// variables are what start and env of a manifest may refer to.
func (o StartOptions) variables() map[string]string {
	return map[string]string{
		"HOST": o.Host, "PORT": strconv.Itoa(o.Port),
		"WORKERS": strconv.Itoa(o.Workers), "DATA_DIR": o.DataDir,
	}
}

// Process is one running contender.
type Process struct {
	name     string
	ready    Ready
	options  StartOptions
	guarded  *guarded
	wildcard atomic.Bool

	mu       sync.Mutex
	asked    time.Time // when Stop asked it to stop, or zero
	failed   chan struct{}
	err      error         // holds once failed is closed
	judged   chan struct{} // closed when it is known whether it failed
	prepared *Prepared     // must stay in use as long as it runs
}

// Exit says how a contender ended.
type Exit struct {
	Status int           // -1 where a signal ended it
	Signal string        // such as "SIGKILL", or empty
	Clean  bool          // asked to stop, it did so in time, with status 0 and leaving no process behind
	Took   time.Duration // from being asked until it ended; 0 if it ended by itself
	Killed int           // processes that had to be killed
}

// Start starts the contender. ctx bounds the starting only: the process lives
// until Stop.
func (p *Prepared) Start(ctx context.Context, o StartOptions) (*Process, error) {
	m := p.Manifest
	if err := ctx.Err(); err != nil {
		return nil, showdown.Errorf(showdown.Interrupted, "", "start %s: %w", m.Name, err)
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	o.Workers = max(1, o.Workers)
	log, err := filepath.Abs(o.Log)
	if err != nil {
		return nil, showdown.Errorf(showdown.Environment, "", "start %s: %w", m.Name, err)
	}
	o.Log = log
	guarded, err := p.spawn(o)
	if _, known := errors.AsType[*showdown.Error](err); known {
		return nil, err
	}
	if err != nil {
		return nil, showdown.Errorf(showdown.BadContender, "see start in its "+ManifestName, "start %s: %w", m.Name, err)
	}
	process := &Process{name: m.Name, ready: m.Ready, options: o, guarded: guarded, failed: make(chan struct{}), judged: make(chan struct{}), prepared: p}
	go process.watch()
	return process, nil
}

func (p *Prepared) spawn(o StartOptions) (*guarded, error) {
	args := make([]string, 0, len(p.Manifest.Start))
	for _, arg := range p.Manifest.Start {
		args = append(args, expand(arg, o.variables()))
	}
	program, err := programPath(p.Dir, args[0])
	if err != nil {
		return nil, err
	}
	return spawn(orders{
		Program: program, Args: args, Dir: p.Dir, Env: p.Manifest.startEnviron(o),
		CPUs: o.CPUs, Log: o.Log, Flood: logFlood,
	}, nil)
}

// Pid is the contender itself, the root of its tree.
func (p *Process) Pid() int { return p.guarded.pid }

// URL is where it listens, without a path: "http://127.0.0.1:21873".
func (p *Process) URL() string {
	return "http://" + net.JoinHostPort(p.options.Host, strconv.Itoa(p.options.Port))
}

// Wildcard reports whether WaitReady saw it listen on all addresses, although it
// was given one. Always false except on Linux.
func (p *Process) Wildcard() bool { return p.wildcard.Load() }

// Failed is closed when it ended by itself or flooded its log.
func (p *Process) Failed() <-chan struct{} { return p.failed }

// Err says how it failed, once Failed is closed; before that it is nil.
func (p *Process) Err() error {
	select {
	case <-p.failed:
		return p.err
	default:
		return nil
	}
}

// Tail gives the last n lines of its log without control characters.
func (p *Process) Tail(n int) string { return tailOf(p.options.Log, n) }

// Stop asks the contender to stop, gives it five seconds, and kills what is left
// of its tree then, or as soon as ctx ends. It returns when nothing is left, and
// may be called again. The error tells of processes that could not be killed.
func (p *Process) Stop(ctx context.Context) (Exit, error) {
	p.mu.Lock()
	if p.asked.IsZero() {
		p.asked = time.Now()
		p.guarded.ask(stopGrace)
	}
	p.mu.Unlock()
	select {
	case <-p.guarded.gone:
	case <-ctx.Done():
		p.guarded.ask(0)
		<-p.guarded.gone
	}
	<-p.judged
	return p.exit(), p.guarded.trouble(p.name)
}

// exit describes an end that is over.
func (p *Process) exit() Exit {
	g := p.guarded
	e := Exit{Status: g.status, Signal: g.signal, Killed: g.killed, Took: max(0, g.ended.Sub(p.asked))}
	e.Clean = p.Err() == nil && e.Status == 0 && e.Signal == "" && e.Killed == 0 && g.left == 0 && !g.lost
	return e
}

// watch closes failed when the contender ends unasked.
func (p *Process) watch() {
	defer close(p.judged)
	select {
	case <-p.guarded.flooded:
	case <-p.guarded.exited:
	}
	if p.err = p.judge(); p.err != nil {
		close(p.failed)
	}
}

// judge says why its end is a failure, if it is one.
func (p *Process) judge() error {
	select {
	case <-p.guarded.flooded: // first of all: it is also the reason why it is killed
		return showdown.Errorf(showdown.BadContender, "turn its access log off: writing it would be measured, too; see "+p.options.Log,
			"%s wrote more than %d MiB of log", p.name, logFlood>>20)
	default:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.asked.IsZero() && p.asked.Before(p.guarded.ended) {
		return nil
	}
	return p.ending()
}

// ending says that and how it ended by itself.
func (p *Process) ending() error {
	g := p.guarded
	how, hint := "status "+strconv.Itoa(g.status), "its log: "+p.options.Log
	switch {
	case g.signal == "SIGKILL":
		how, hint = g.signal, "something killed it: if memory ran out, the kernel's log tells; "+hint
	case g.signal != "":
		how = g.signal
	case g.status < 0:
		how = "with its guard"
	}
	return showdown.Errorf(showdown.BadContender, hint, "%s stopped %.1f s after start (%s)", p.name, g.ended.Sub(g.began).Seconds(), how)
}

// FreePort finds a TCP port that nobody listens on. It keeps away from the ports
// that systems give to outgoing connections, among which the load generator's
// own could take it before the contender does.
func FreePort() (int, error) {
	const first, last = 20000, 29999
	for range 100 {
		port := first + rand.IntN(last-first+1)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, showdown.Errorf(showdown.Environment, "stop what listens there", "find a free port: none of 100 tried between %d and %d is free", first, last)
}
