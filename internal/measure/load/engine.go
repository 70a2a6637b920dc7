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

// isSafe reports whether a request may be sent twice (RFC 9110 §9.2.1).
func isSafe(request []byte) bool {
	return isHead(request) || len(request) > 4 && string(request[:4]) == "GET "
}

func isHead(request []byte) bool { return len(request) > 5 && string(request[:5]) == "HEAD " }
