//go:build unix

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// processCPU is the CPU time of this process so far. The whole process counts
// as the generator: all of it runs on the generator's processor.
func processCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
