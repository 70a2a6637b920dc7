package load

import (
	"maps"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// beat is how often loops hand over what happened, and snapshots are given.
const beat = 200 * time.Millisecond

// watched says whether anybody looks at the window while it goes on.
func (w *Window) watched() bool { return w.Progress != nil || w.Second != nil }

// interval is what happened in one loop during one beat.
type interval struct {
	until                time.Duration
	due, sent, ok, bytes uint64
	failures             map[showdown.Failure]uint64
	latency, lag         *hdrhistogram.Histogram
	inFlight             int
	connections          int
	cpu                  time.Duration // of the loop's thread; 0 if unknown
}

func newInterval() *interval {
	return &interval{failures: map[showdown.Failure]uint64{}, latency: newHistogram(coarse), lag: newHistogram(coarse)}
}

func (i *interval) reset() {
	clear(i.failures)
	i.latency.Reset()
	i.lag.Reset()
	*i = interval{failures: i.failures, latency: i.latency, lag: i.lag}
}

// chronicle joins the intervals of all loops into snapshots and seconds.
type chronicle struct {
	window  *Window
	began   time.Duration // processCPU at the start
	total   Snapshot
	second  Second
	cpu     time.Duration // processCPU when the second began
	at      time.Duration // end of the last beat
	busiest time.Duration // thread time of the busiest loop in this beat
}

func newChronicle(w *Window) *chronicle {
	cpu := processCPU()
	return &chronicle{window: w, began: cpu, cpu: cpu, second: Second{
		Failures: map[showdown.Failure]uint64{}, Latency: newHistogram(coarse), Lag: newHistogram(coarse),
	}}
}

// add takes one loop's part of the beat.
func (c *chronicle) add(i *interval) {
	s := &c.second
	s.Due += i.due
	s.Sent += i.sent
	s.OK += i.ok
	s.Bytes += i.bytes
	s.InFlight += i.inFlight
	s.Connections += i.connections
	s.Latency.Merge(i.latency)
	s.Lag.Merge(i.lag)
	for kind, n := range i.failures {
		s.Failures[kind] += n
		c.total.Failed += n
	}
	c.total.Due += i.due
	c.total.OK += i.ok
	c.busiest = max(c.busiest, i.cpu)
}

// beat ends a beat at an offset, when all loops' parts are in.
func (c *chronicle) beat(until time.Duration) {
	s := &c.second
	s.Length = until - s.At
	cpu := processCPU()
	c.total.Elapsed, c.total.InFlight, c.total.Connections, c.total.CPU = until, s.InFlight, s.Connections, cpu-c.began
	c.total.P50, c.total.P99 = quantile(s.Latency, 0.5), quantile(s.Latency, 0.99)
	if until > c.at {
		c.total.Busiest = min(1, float64(c.busiest)/float64(until-c.at))
	}
	if p := c.window.Progress; p != nil {
		p(c.total)
	}
	if s.Length >= time.Second-beat/2 {
		c.turn(cpu)
	}
	c.at, c.busiest, s.InFlight, s.Connections = until, 0, 0, 0
}

// turn gives the second away and begins the next.
func (c *chronicle) turn(cpu time.Duration) {
	s := &c.second
	s.CPU, c.cpu = cpu-c.cpu, cpu
	if f := c.window.Second; f != nil {
		given := *s
		given.Failures = maps.Clone(s.Failures)
		f(given)
	}
	clear(s.Failures)
	s.Latency.Reset()
	s.Lag.Reset()
	*s = Second{At: s.At + s.Length, Failures: s.Failures, Latency: s.Latency, Lag: s.Lag}
}

// end gives away what is left of the last second.
func (c *chronicle) end(until time.Duration) {
	if c.second.Length = until - c.second.At; c.second.Length > 0 && c.second.Due+c.second.OK+uint64(len(c.second.Failures)) > 0 {
		c.turn(processCPU())
	}
}
