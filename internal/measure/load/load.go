package load

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Traffic says what to ask and judges what came back. It is called from several
// threads at once: what it gives for a k may depend on nothing but k.
type Traffic interface {
	// Append appends the whole k-th request to dst and says which status it must
	// get; 0 means any below 400. For WebSocket it is the payload of a text
	// message, and the status is ignored.
	Append(dst []byte, k uint64) (request []byte, status int)
	// Check judges the body of a sampled answer that had the right status.
	Check(k uint64, body []byte) error
}

// Protocol is what is spoken to the target.
type Protocol string

// The protocols.
const (
	HTTP1     Protocol = "http/1.1"
	HTTP2     Protocol = "http/2"
	WebSocket Protocol = "websocket" // a request is a message, its answer the next message
	Events    Protocol = "events"    // server-sent events; only for listening windows
)

// Target is where an engine connects, and how.
type Target struct {
	Address   string      // host:port
	TLS       *tls.Config // nil for plain TCP
	Protocol  Protocol    // "" is HTTP1
	Handshake []byte      // WebSocket: the request that opens a connection, but for its Sec-WebSocket-Key line and the last empty line
	Open      int         // connections opened before the load starts, at least 1
	Max       int         // the most connections, at least Open; further arrivals wait for a free one
	Timeout   time.Duration
	ReadRate  showdown.Bytes // bytes a second that each connection reads at most; 0 is as fast as they come
	Engine    string         // "" is the best that this system has; or "io_uring", "epoll", "goroutines"
	Threads   int            // event loops, each on a thread of its own; 0 is one
}

// Window is one stretch of load.
type Window struct {
	// Schedule says when to send; nil asks for a closed loop.
	Schedule pace.Schedule
	// Listen sends nothing but what opens the connections: Target.Open of them,
	// each with the request that Append gives for its number (WebSocket: with the
	// handshake). Every event or message that arrives is one good answer; a
	// connection that ends before Length is a failure and is opened again.
	Listen bool
	// Length and Count bound a closed loop; a Count of 0 means no such bound.
	// A listening window ends at Length.
	Length time.Duration
	Count  uint64
	// Slot, if not 0, rounds sends down to multiples of it: fewer wake-ups, in
	// exchange for small bursts. It is for the generator's sake only and must be disclosed.
	Slot time.Duration
	// Eager wakes an event loop for each answer. Otherwise answers may gather for
	// up to a fifth of a millisecond: in an open loop the kernel tells when each
	// arrived, and in a closed loop what an answer waits, the next one saves.
	Eager bool
	// Sample is the share of answers whose body is kept and checked.
	Sample float64
	// Seed decides which answers are sampled.
	Seed uint64
	// GiveUp ends the window when a due request has gone unanswered for that
	// long: the server is past its capacity, and waiting tells nothing more.
	// 0 never gives up.
	GiveUp time.Duration
	// Progress, if not nil, is called about five times a second, and Second after
	// each second with what that second brought. Neither runs on a thread that sends.
	Progress func(Snapshot)
	Second   func(Second)
}

// goesOn says whether a closed loop still makes its k-th request at an offset.
func (w *Window) goesOn(k uint64, now time.Duration) bool {
	return (w.Count == 0 || k < w.Count) && (w.Length == 0 || now < w.Length)
}

// Snapshot is the state of a window under way.
type Snapshot struct {
	Elapsed     time.Duration
	Due         uint64 // so far
	OK          uint64
	Failed      uint64
	InFlight    int
	Connections int           // open now
	P50, P99    time.Duration // of the last second; 0 without a good answer
	CPU         time.Duration // of this process so far
	Busiest     float64       // share of a CPU that the busiest event loop used in the last interval; 0 if unknown
}

// Second is what one second of a window brought.
type Second struct {
	At          time.Duration // its begin
	Length      time.Duration // a second; the last one may be shorter
	Due         uint64
	Sent        uint64
	OK          uint64
	Failures    map[showdown.Failure]uint64
	Bytes       uint64
	InFlight    int // at its end
	Connections int
	Latency     *hdrhistogram.Histogram // two significant digits; valid only during the call
	Lag         *hdrhistogram.Histogram // the same
	CPU         time.Duration           // of this process
}

// Result is what a window measured. The histograms hold nanoseconds.
type Result struct {
	Engine      string
	Due         uint64 // arrivals that fell due (open loop), were sent (closed loop) or connections asked for (listening)
	Sent        uint64
	OK          uint64
	Failures    map[showdown.Failure]uint64
	Verified    uint64 // bodies checked, right or wrong
	Bytes       uint64
	Latency     *hdrhistogram.Histogram // of good answers, from the intended send; listening: from the intended connect to the first message
	Service     *hdrhistogram.Histogram // of good answers, from the actual send; listening: the gap before each further message
	Lag         *hdrhistogram.Histogram // by which the generator itself was late: actual send minus the moment when it was due and a connection was free
	Max         time.Duration           // exact maximum of Latency
	Elapsed     time.Duration           // until the last answer
	CPU         time.Duration           // of this whole process, user and system
	Busiest     float64                 // share of a CPU that the busiest event loop used; 0 if unknown
	Connections int                     // opened over the engine's life
	Closed      bool                    // closed loop: no latency claims
	Aborted     bool                    // given up
	Start       time.Time               // of offset 0
	Example     string                  // one failure in words, or ""
}

// Engine sends windows of load to one target, keeping its connections between them.
type Engine interface {
	// Name is "io_uring", "epoll" or "goroutines".
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
