package load

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Traffic says what to ask and judges what came back. An engine calls it from
// one goroutine at a time.
type Traffic interface {
	// Append appends the whole k-th request to dst and says which status it
	// must get; 0 means any below 400.
	Append(dst []byte, k uint64) (request []byte, status int)
	// Check judges the body of a sampled answer that had the right status.
	Check(k uint64, body []byte) error
}

// Target is where an engine connects.
type Target struct {
	Address string      // host:port
	TLS     *tls.Config // nil for plain TCP
	Open    int         // connections opened before the load starts, at least 1
	Max     int         // the most connections, at least Open; further arrivals wait for a free one
	Timeout time.Duration
}

// Window is one stretch of load.
type Window struct {
	// Schedule says when to send; nil asks for a closed loop.
	Schedule pace.Schedule
	// Length and Count bound a closed loop; a Count of 0 means no such bound.
	Length time.Duration
	Count  uint64
	// Sample is the share of answers whose body is kept and checked.
	Sample float64
	// Seed decides which answers are sampled.
	Seed uint64
	// GiveUp ends the window when a due request has gone unanswered for that
	// long: the server is past its capacity, and waiting tells nothing more.
	// 0 never gives up.
	GiveUp time.Duration
	// Progress, if not nil, is called about five times a second on the engine's
	// own thread; it must be quick.
	Progress func(Snapshot)
}

// Snapshot is the state of a window under way.
type Snapshot struct {
	Elapsed          time.Duration
	Due, OK, Failed  uint64
	InFlight         int
	P50, P99         time.Duration
	GeneratorSeconds float64 // CPU time used so far
}

// Result is what a window measured. The histograms hold nanoseconds.
type Result struct {
	Engine      string
	Due         uint64 // arrivals that fell due (open loop) or were sent (closed loop)
	Sent        uint64
	OK          uint64
	Failures    map[showdown.Failure]uint64
	Verified    uint64 // bodies checked, right or wrong
	Bytes       uint64
	Latency     *hdrhistogram.Histogram // of good answers, from the intended send
	Service     *hdrhistogram.Histogram // of good answers, from the actual send
	Lag         *hdrhistogram.Histogram // by which the generator itself was late: actual send minus the moment when it was due and a connection was free
	Max         time.Duration           // exact maximum of Latency
	Elapsed     time.Duration           // until the last answer
	CPU         time.Duration           // of this whole process, user and system
	Connections int                     // opened over the engine's life
	Closed      bool                    // closed loop: no latency claims
	Aborted     bool                    // given up
	Example     string                  // one failure in words, or ""
}

// Engine sends windows of load to one target, keeping its connections between them.
type Engine interface {
	// Name is "epoll" or "goroutines".
	Name() string
	// Run plays one window. A request that fails is counted; an error means that
	// the engine itself could not go on. A cancelled context ends the window
	// early, with what was measured so far and the context's error.
	Run(ctx context.Context, w Window, t Traffic) (*Result, error)
	Close()
}

// Summary is the latency part of a window's record.
func (r *Result) Summary() showdown.Load {
	return showdown.Load{
		Due: r.Due, Sent: r.Sent, OK: r.OK, Failures: r.Failures, Verified: r.Verified, Bytes: r.Bytes,
		LagP99: quantile(r.Lag, 0.99), Aborted: r.Aborted,
		Latency: showdown.Latency{
			P50: quantile(r.Latency, 0.5), P90: quantile(r.Latency, 0.9), P95: quantile(r.Latency, 0.95),
			P99: quantile(r.Latency, 0.99), P999: quantile(r.Latency, 0.999),
			Max: r.Max, Mean: time.Duration(r.Latency.Mean()),
		},
	}
}

// quantile reads a histogram; q is between 0 and 1.
func quantile(h *hdrhistogram.Histogram, q float64) time.Duration {
	return time.Duration(h.ValueAtQuantile(100 * q))
}
