//go:build unix && !linux

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// New makes an engine for the target.
func New(target Target) (Engine, error) { return NewGoroutines(target), nil }

func processCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
