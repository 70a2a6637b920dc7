//go:build unix && !linux

package contender

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Without a subreaper, a tree is what stays in the command's process group.

func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func forkPinned(_ []int, fork func() (int, error)) (int, error) {
	runtime.LockOSThread()
	return fork()
}

func (t *tree) kill() []int {
	if syscall.Kill(-t.pid, syscall.SIGKILL) != nil {
		return nil
	}
	return []int{t.pid}
}

func signalName(s syscall.Signal) string { return unix.SignalName(s) }
