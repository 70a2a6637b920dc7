package bout

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// Cores plans the processors that this process may use: the first for the
// contender, the last for everything of Showdown's. They share one where there
// is only one.
func Cores() showdown.CPUPlan {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return showdown.CPUPlan{Shared: true}
	}
	first, last := -1, -1
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			if first < 0 {
				first = cpu
			}
			last = cpu
		}
	}
	if first < 0 {
		return showdown.CPUPlan{Shared: true}
	}
	return showdown.CPUPlan{Contender: []int{first}, Generator: []int{last}, Shared: first == last}
}

// Pin keeps all threads of this process on the given processors, and with them
// the threads that they will start.
func Pin(cpus []int) error {
	if len(cpus) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	// Twice: a thread that was not yet pinned may have started another meanwhile.
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			if err := unix.SchedSetaffinity(id, &set); err != nil && err != unix.ESRCH {
				return showdown.Errorf(showdown.Environment, "", "pin to CPUs %v: %w", cpus, err)
			}
		}
	}
	return nil
}
