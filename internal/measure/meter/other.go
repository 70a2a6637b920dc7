//go:build !linux

package meter

import (
	"runtime"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

func tree(root int) []int                     { return []int{root} }
func cpuOf([]int) time.Duration               { return 0 }
func memoryOf([]int) (showdown.Bytes, string) { return 0, "" }
func ownCPU() time.Duration                   { return 0 }
func readMachine() machine                    { return machine{at: time.Now()} }

// Machine describes this machine for the record.
func Machine() showdown.Machine {
	return showdown.Machine{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU()}
}
