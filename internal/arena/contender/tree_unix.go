//go:build unix

package contender

import (
	"errors"
	"os"
	"syscall"
)

// tree is the command that a guard started, and all that came from it.
type tree struct {
	pid int
}

// reaped is a process of the tree that ended.
type reaped struct {
	pid    int
	status int
	signal string // "SIGKILL", or empty where it exited
}

// plant starts the command as the leader of a process group of its own.
func plant(o orders, output *os.File) (*tree, error) {
	raiseFileLimit()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	pid, err := forkPinned(o.CPUs, func() (int, error) {
		return syscall.ForkExec(o.Program, o.Args, &syscall.ProcAttr{
			Dir: o.Dir, Env: o.Env,
			Files: []uintptr{null.Fd(), output.Fd(), output.Fd()},
			Sys:   childAttributes(),
		})
	})
	if err != nil {
		return nil, os.NewSyscallError("exec", err)
	}
	return &tree{pid}, nil
}

// raiseFileLimit gives every contender the same, ample number of connections.
// Some runtimes raise the soft limit themselves and some do not, and the usual
// 1,024 would decide some comparisons.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = min(limit.Max, 65536)
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // at worst it stays as it was
	}
}

// reap waits for every process of the tree, and closes to when none is left.
func (t *tree) reap(to chan<- reaped) {
	defer close(to)
	for {
		var w syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &w, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return
		case w.Exited():
			to <- reaped{pid: pid, status: w.ExitStatus()}
		case w.Signaled():
			to <- reaped{pid: pid, status: -1, signal: signalName(w.Signal())}
		}
	}
}

// terminate asks the command itself to stop; what it started is its own business.
func (t *tree) terminate() { _ = syscall.Kill(t.pid, syscall.SIGTERM) }
