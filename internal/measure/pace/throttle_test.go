package pace

import (
	"math"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name     string
		rate     Throttle
		due, now time.Duration
		n        int
		want     time.Duration
	}{
		{"in time", 1000, 0, 0, 100, 100 * ms},
		{"late by less than its time", 1000, 500 * ms, 530 * ms, 100, 600 * ms},
		{"late by more", 1000, 500 * ms, 900 * ms, 100, 900 * ms},
		{"nothing read", 1000, 500 * ms, 500 * ms, 0, 500 * ms},
		{"no throttle", 0, 0, 5 * ms, 1 << 30, 5 * ms},
		{"less than none", -1, 0, 5 * ms, 1 << 30, 5 * ms},
		{"beyond all time", 1, time.Hour, time.Hour, math.MaxInt64, math.MaxInt64},
	} {
		if got := c.rate.Next(c.due, c.now, c.n); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// A reader that is always a little late still reads at its rate; one that was
// stalled does not catch up.
func TestThrottledReading(t *testing.T) {
	const rate, chunk = Throttle(64 << 10), 1 << 10
	read := func(late, stall time.Duration) (bytes int) {
		due, now := time.Duration(0), time.Duration(0)
		for i := 0; now < 10*time.Second; i++ {
			now = max(now, due) + late
			if i == 100 {
				now += stall
			}
			due = rate.Next(due, now, chunk)
			bytes += chunk
		}
		return bytes
	}
	whole := 10 * int(rate)
	if got := read(2*time.Millisecond, 0); math.Abs(float64(got-whole)) > 2*chunk {
		t.Errorf("%d bytes in 10 s, want %d", got, whole)
	}
	if got, want := read(2*time.Millisecond, 5*time.Second), whole/2; math.Abs(float64(got-want)) > 3*chunk {
		t.Errorf("%d bytes in 10 s of which 5 were a stall, want %d", got, want)
	}
}
