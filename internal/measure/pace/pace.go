// Package pace says when to send. A schedule is pure arithmetic: the k-th
// arrival has an intended offset from the start of the load, whatever the
// server, the clock or the connections do. Nothing here sleeps or reads a clock.
package pace

import (
	"math"
	"math/rand/v2"
	"time"
)

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
	return &poisson{bounds{rate, length}, seed}
}

// poissonStream keeps the arrivals' random numbers apart from others of the same seed.
const poissonStream = 0x706f6973736f6e

type bounds struct {
	rate   float64
	length time.Duration
}

func (b bounds) Rate() float64         { return b.rate }
func (b bounds) Length() time.Duration { return b.length }

type poisson struct {
	bounds
	seed uint64
}

func (p *poisson) Arrivals() Arrivals {
	return &poissonWalk{poisson: p, rng: rand.New(rand.NewPCG(p.seed, poissonStream))}
}

type poissonWalk struct {
	*poisson
	rng *rand.Rand
	at  float64 // seconds; a float64 keeps nanoseconds for 100 days
}

func (p *poissonWalk) Next() (time.Duration, bool) {
	p.at += p.rng.ExpFloat64() / p.rate
	if p.at >= p.length.Seconds() {
		p.at = math.Inf(1)
		return 0, false
	}
	return time.Duration(p.at * 1e9), true
}

// Constant spaces arrivals evenly: the k-th at k/rate. It ends at length or
// after count arrivals, whichever comes first; a count of 0 means no limit.
func Constant(rate float64, length time.Duration, count uint64) Schedule {
	return &constant{bounds{rate, length}, count}
}

type constant struct {
	bounds
	count uint64
}

func (c *constant) Arrivals() Arrivals { return &constantWalk{constant: c} }

type constantWalk struct {
	*constant
	k uint64
}

func (c *constantWalk) Next() (time.Duration, bool) {
	// Each offset is computed from k, not added up, so that rounding cannot drift.
	at := time.Duration(math.MaxInt64)
	if s := float64(c.k) / c.rate; s < math.MaxInt64/1e9 {
		at = time.Duration(s * 1e9)
	}
	if at >= c.length || c.count > 0 && c.k >= c.count {
		return 0, false
	}
	c.k++
	return at, true
}
