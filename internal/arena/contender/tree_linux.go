package contender

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// childAttributes make the kernel kill the command if the guard dies. The signal
// is tied to the thread that forks, so forkPinned never lets go of that thread.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// forkPinned runs fork on a thread that has the CPU affinity which the child shall
// inherit, and makes this process the parent of all orphans below it.
func forkPinned(cpus []int, fork func() (int, error)) (int, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 0, os.NewSyscallError("become subreaper", err)
	}
	runtime.LockOSThread()
	if len(cpus) == 0 {
		return fork()
	}
	var before, pinned unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return 0, os.NewSyscallError("sched_getaffinity", err)
	}
	for _, cpu := range cpus {
		pinned.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &pinned); err != nil {
		return 0, os.NewSyscallError("sched_setaffinity", err)
	}
	pid, err := fork()
	_ = unix.SchedSetaffinity(0, &before) // it was allowed a moment ago
	return pid, err
}

// kill sends SIGKILL to all that is below the guard, and gives the pids of those
// that were alive.
func (t *tree) kill() (alive []int) {
	for _, p := range descendants(os.Getpid()) {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		if !p.zombie {
			alive = append(alive, p.pid)
		}
	}
	return alive
}

type process struct {
	pid, parent int
	zombie      bool
}

// descendants lists the processes below root, without root. Zombies are among
// them: the leader of a thread group may be one while its threads live on.
func descendants(root int) []process {
	children := map[int][]process{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		if p, ok := readProcess(file); ok {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	var all []process
	for queue := children[root]; len(queue) > 0; queue = queue[1:] {
		all = append(all, queue[0])
		queue = append(queue, children[queue[0].pid]...)
	}
	return all
}

// readProcess reads /proc/PID/stat.
func readProcess(file string) (process, bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return process{}, false
	}
	// The name in parentheses may hold anything, parentheses and spaces included.
	end := bytes.LastIndexByte(data, ')')
	fields := bytes.Fields(data[end+1:])
	if end < 0 || len(fields) < 2 {
		return process{}, false
	}
	pid, err1 := strconv.Atoi(filepath.Base(filepath.Dir(file)))
	parent, err2 := strconv.Atoi(string(fields[1]))
	return process{pid, parent, fields[0][0] == 'Z'}, err1 == nil && err2 == nil
}

func signalName(s syscall.Signal) string { return unix.SignalName(s) }
