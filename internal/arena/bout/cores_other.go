//go:build !linux

package bout

import "github.com/backend-showdown/showdown/internal/showdown"

// Cores plans nothing where processes cannot be pinned.
func Cores() showdown.CPUPlan { return showdown.CPUPlan{Shared: true} }

// Pin does nothing where processes cannot be pinned.
func Pin([]int) error { return nil }
