package load

import "github.com/backend-showdown/showdown/internal/showdown"

// New makes the engine that suits the target: event loops for plain TCP, over
// io_uring where the kernel allows it, goroutines for everything else.
func New(target Target) (Engine, error) {
	if target.TLS != nil || target.Protocol == HTTP2 || target.ReadRate > 0 {
		switch target.Engine {
		case "", "goroutines":
			return NewGoroutines(target), nil
		}
		return nil, showdown.Usage("leave the engine open", "the %s engine speaks plain TCP at full speed only", target.Engine)
	}
	switch target.Engine {
	case "":
		if e, err := newLoops(target, newUring); err == nil {
			return e, nil
		}
		return newLoops(target, newEpoll)
	case "io_uring":
		return newLoops(target, newUring)
	case "epoll":
		return newLoops(target, newEpoll)
	case "goroutines":
		return NewGoroutines(target), nil
	}
	return nil, showdown.Usage("io_uring, epoll and goroutines are the engines", "unknown engine %q", target.Engine)
}
