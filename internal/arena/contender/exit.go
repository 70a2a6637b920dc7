package contender

import (
	"fmt"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// String says how a contender ended: "exit status 1 after 0.2 s, 2 processes had to be killed".
func (e Exit) String() string {
	words := fmt.Sprintf("exit status %d after %.1f s", e.Status, e.Took.Seconds())
	if e.Signal != "" {
		words = fmt.Sprintf("ended by %s after %.1f s", e.Signal, e.Took.Seconds())
	}
	if e.Killed > 0 {
		words += ", " + showdown.Plural(e.Killed, "process") + " had to be killed"
	}
	return words
}
