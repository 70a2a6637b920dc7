package load

import (
	"errors"
	"time"
)

// What all engines hold to.
const (
	mostOpening = 256                    // connections under way at once, so that no server's backlog overflows
	reopenAfter = 100 * time.Millisecond // keeps an audience from storming a server that turns it away
)

var errUnsent = errors.New("no connection became free in time")

// Native names the engine that New chooses on this system for plain HTTP/1.1.
func Native() string {
	e, err := New(Target{Address: "127.0.0.1:1", Open: 1, Max: 1}) // it connects to nothing before a window
	if err != nil {
		return "none"
	}
	defer e.Close()
	return e.Name()
}

// isSafe reports whether a request may be sent twice (RFC 9110 §9.2.1).
func isSafe(request []byte) bool {
	return isHead(request) || len(request) > 4 && string(request[:4]) == "GET "
}

func isHead(request []byte) bool { return len(request) > 5 && string(request[:5]) == "HEAD " }
