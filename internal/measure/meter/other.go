//go:build !linux

package meter

import (
	"runtime"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

func treeCPU(int) time.Duration                    { return 0 }
func treeMemory(int) (showdown.Bytes, string, int) { return 0, "", 0 }
func ownCPU() time.Duration                        { return 0 }
func readMachine() machine                         { return machine{at: time.Now(), pressureUnknown: true} }

// Machine describes this machine for the record.
func Machine() showdown.Machine {
	return showdown.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU()}
}
