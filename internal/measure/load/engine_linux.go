package load

// New makes the engine that suits the target: the event loop for plain TCP,
// goroutines for TLS.
func New(target Target) (Engine, error) {
	if target.TLS != nil {
		return NewGoroutines(target), nil
	}
	return newEpoll(target)
}
