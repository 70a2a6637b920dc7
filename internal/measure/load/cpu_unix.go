//go:build unix

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// processCPU is the CPU time of this process so far. The whole process counts
// as the generator: all of it runs on the generator's processor.
func processCPU() time.Duration { return usedBy(unix.RUSAGE_SELF) }

// usedBy is the CPU time, user and system, that getrusage knows of.
func usedBy(who int) time.Duration {
	var u unix.Rusage
	if unix.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
