package pace

import (
	"math"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// Throttle is the most bytes a second that a slow client reads.
type Throttle showdown.Bytes

// Next says when a client may read again that has read n bytes at the offset
// now, where due is when it was allowed to, at first 0. A read that came late is
// made good, but by no more than its own time: a stall is not followed by a
// burst. A Throttle of 0 or less does not slow anything down.
func (t Throttle) Next(due, now time.Duration, n int) time.Duration {
	if t <= 0 {
		return now
	}
	took := float64(n) / float64(t) * 1e9
	if took >= float64(math.MaxInt64-due) {
		return math.MaxInt64
	}
	return max(due+time.Duration(took), now)
}
