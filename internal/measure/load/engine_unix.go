//go:build unix && !linux

package load

// New makes an engine for the target.
func New(target Target) (Engine, error) { return NewGoroutines(target), nil }
