// Package pace says when to send. A schedule is pure arithmetic: the k-th
// arrival has an intended offset from the start of the load, whatever the
// server, the clock or the connections do. Nothing here sleeps or reads a clock.
package pace

import "time"

// Schedule describes arrivals. It is immutable: each walk over it gives the same
// offsets, so that several event loops can share one.
type Schedule interface {
	// Arrivals starts a walk from the first arrival on.
	Arrivals() Arrivals
	// Rate is the mean number of arrivals per second over the whole length.
	Rate() float64
	// Length is the time that the schedule covers; the last arrival lies before it.
	Length() time.Duration
}

// Arrivals is one walk over a schedule.
type Arrivals interface {
	// Next is the offset of the next arrival from the start; offsets never fall.
	// ok is false after the last.
	Next() (at time.Duration, ok bool)
}

// Poisson draws arrivals whose gaps are exponential and independent: the open
// loop of many users who do not wait for each other. The same seed gives the
// same arrivals. It ends at length.
func Poisson(rate float64, length time.Duration, seed uint64) Schedule {
	return Random(Profile{Hold(rate, length)}, seed)
}

// Constant spaces arrivals evenly: the k-th at k/rate. It ends at length or
// after count arrivals, whichever comes first; a count of 0 means no limit.
func Constant(rate float64, length time.Duration, count uint64) Schedule {
	return &even{Profile{Hold(rate, length)}, count}
}

// Share is every n-th arrival of s, beginning with the i-th; i counts from 0.
// The n shares together are s.
func Share(s Schedule, i, n int) Schedule { return &share{s, i, n} }

type share struct {
	Schedule
	i, n int
}

func (s *share) Rate() float64      { return s.Schedule.Rate() / float64(s.n) }
func (s *share) Arrivals() Arrivals { return &shareWalk{s.Schedule.Arrivals(), s.i, s.n} }

type shareWalk struct {
	all     Arrivals
	skip, n int
}

func (w *shareWalk) Next() (time.Duration, bool) {
	for range w.skip {
		if _, ok := w.all.Next(); !ok {
			return 0, false
		}
	}
	w.skip = w.n - 1
	return w.all.Next()
}
