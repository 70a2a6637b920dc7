//go:build !linux

package load

import "github.com/backend-showdown/showdown/internal/showdown"

// New makes an engine for the target.
func New(target Target) (Engine, error) {
	if target.Engine != "" && target.Engine != "goroutines" {
		return nil, showdown.Usage("leave the engine open", "the %s engine needs Linux", target.Engine)
	}
	return NewGoroutines(target), nil
}
