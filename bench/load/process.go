//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// The server has the first core for itself, whatever generates load the second.
const (
	serverCore    = 0
	generatorCore = 1
)

// process is a program under way, pinned to one core.
type process struct {
	cmd    *exec.Cmd
	clock  int32 // its CPU clock
	stdout bytes.Buffer
	stderr bytes.Buffer
	done   chan struct{}
	err    error // of Wait, once done is closed
}

// start runs argv on the core. It dies with ctx, and with this process.
func start(ctx context.Context, core int, argv ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startOn(core, p.cmd); err != nil {
		return nil, showdown.Errorf(showdown.Environment, "", "start %s: %w", argv[0], err)
	}
	p.clock = cpuClock(p.cmd.Process.Pid)
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// startOn starts cmd from a thread that is pinned to core for the moment: children inherit that.
func startOn(core int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, pinned unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	pinned.Set(core)
	if err := unix.SchedSetaffinity(0, &pinned); err != nil {
		return err
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	return cmd.Start()
}

// cpuClock is the clock that ticks while a thread of pid runs (clock_getcpuclockid(3)).
func cpuClock(pid int) int32 { return int32(^pid<<3 | 2) }

// cpu is the processor time used so far, user and system, of all threads.
func (p *process) cpu() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(p.clock, &t); err != nil {
		return p.used() // it has ended
	}
	return time.Duration(t.Nano())
}

// used is the processor time of a process that has ended.
func (p *process) used() time.Duration {
	<-p.done
	if s := p.cmd.ProcessState; s != nil {
		return s.UserTime() + s.SystemTime()
	}
	return 0
}

// wait waits for the process's own end and gives what it printed.
func (p *process) wait() (string, error) {
	<-p.done
	if p.err != nil {
		return "", showdown.Errorf(showdown.Environment, "", "%s: %w: %s", p.name(), p.err, lastWords(p.stderr.String()))
	}
	return p.stdout.String(), nil
}

func (p *process) name() string { return p.cmd.Args[0] }

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// alive reports whether the process has not ended.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// kill ends the process, stopped or not, and waits for that.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// lastWords are the last two lines: often an error and its hint.
func lastWords(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-2):], " ")
}
