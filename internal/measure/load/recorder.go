package load

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/backend-showdown/showdown/internal/measure/wire"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// The range of the histograms. Values outside are recorded at its ends; the
// exact maximum is kept beside them.
const (
	lowest  = int64(100 * time.Nanosecond)
	highest = int64(100 * time.Second)
	fine    = 3 // significant digits of a window's histograms
	coarse  = 2 // and of a second's
)

// heldBytes bounds the answers kept for checking. They are checked when the
// window is over, so that checking does not disturb it, or when the bound is met.
const heldBytes = 32 << 20

// moment is when a request was due, sent and answered, as offsets from the start.
type moment struct{ due, sent, done time.Duration }

// held is an answer kept for checking; its body is body[from:to] of the recorder.
type held struct {
	k        uint64
	moment   moment
	from, to int
}

// recorder gathers what one event loop, or one pool of goroutines, measured in a
// window. It is not safe for concurrent use.
type recorder struct {
	Result
	traffic   Traffic
	threshold uint64 // an answer is sampled when its hash is below it
	seed      uint64
	pending   []held
	bodies    []byte
	interval  *interval // what happened since the last rotation; nil when nobody wants to know
}

func newRecorder(w *Window, t Traffic, engine string) *recorder {
	r := &recorder{traffic: t, seed: w.Seed, threshold: showdown.Portion(w.Sample)}
	r.Engine, r.Closed = engine, w.Schedule == nil && !w.Listen
	r.Failures = map[showdown.Failure]uint64{}
	r.Latency, r.Service, r.Lag = newHistogram(fine), newHistogram(fine), newHistogram(fine)
	if w.watched() {
		r.interval = newInterval()
	}
	return r
}

func newHistogram(digits int) *hdrhistogram.Histogram {
	return hdrhistogram.New(lowest, highest, digits)
}

// sampled decides by a hash, so that a server cannot know which answers are checked.
func (r *recorder) sampled(k uint64) bool {
	if r.threshold == 0 {
		return false
	}
	return showdown.Scatter(k+r.seed+0x9e3779b97f4a7c15) < r.threshold
}

// due notes that an arrival fell due.
func (r *recorder) due() {
	r.Due++
	if r.interval != nil {
		r.interval.due++
	}
}

// takeBack unsays due, for an arrival that the window did not wait for.
func (r *recorder) takeBack() {
	r.Due--
	if r.interval != nil {
		r.interval.due--
	}
}

// sent notes that a request was written, and when it could have been: when it
// was due and there was a connection for it.
func (r *recorder) sent(possible, sent time.Duration) {
	r.Sent++
	if r.interval != nil {
		r.interval.sent++
	}
	if r.Closed {
		return // nothing is ever due
	}
	record(r.Lag, sent-possible)
	if r.interval != nil {
		record(r.interval.lag, sent-possible)
	}
}

// received notes bytes that arrived.
func (r *recorder) received(n int) {
	r.Bytes += uint64(n)
	if r.interval != nil {
		r.interval.bytes += uint64(n)
	}
}

// answered judges a whole answer. Sampled bodies are kept and judged later.
func (r *recorder) answered(k uint64, m moment, status, want int, sampled bool, body []byte) {
	if status != want && (want != 0 || status >= 400) {
		r.fail(statusFailure(status), statusError{status, want})
		return
	}
	if r.interval != nil { // a sampled answer counts as good in its second, and may turn out wrong later
		r.interval.ok++
		record(r.interval.latency, m.done-m.due)
	}
	if !sampled {
		r.good(m)
		return
	}
	if len(r.bodies)+len(body) > heldBytes {
		r.check()
	}
	from := len(r.bodies)
	r.bodies = append(r.bodies, body...)
	r.pending = append(r.pending, held{k, m, from, len(r.bodies)})
}

// delivered counts a message that came unasked: the first one that a connection
// k got by the time since it was opened, the others by the gap before them.
func (r *recorder) delivered(k uint64, wait, gap time.Duration, first, sampled bool, payload []byte) {
	if sampled {
		r.Verified++
		if err := r.traffic.Check(k, payload); err != nil {
			r.fail(showdown.FailBody, err)
			return
		}
	}
	r.OK++
	if r.interval != nil {
		r.interval.ok++
	}
	if !first {
		record(r.Service, gap)
		return
	}
	record(r.Latency, wait)
	r.Max = max(r.Max, wait)
	if r.interval != nil {
		record(r.interval.latency, wait)
	}
}

func statusFailure(status int) showdown.Failure {
	switch status / 100 {
	case 4:
		return showdown.FailClient
	case 5:
		return showdown.FailServer
	}
	return showdown.FailStatus
}

// statusError is put into words only when it is the example.
type statusError struct{ status, want int }

func (e statusError) Error() string {
	if e.want == 0 {
		return fmt.Sprintf("status %d", e.status)
	}
	return fmt.Sprintf("status %d, want %d", e.status, e.want)
}

func (r *recorder) good(m moment) {
	r.OK++
	latency := m.done - m.due
	record(r.Latency, latency)
	record(r.Service, m.done-m.sent)
	r.Max = max(r.Max, latency)
}

// check judges the kept answers.
func (r *recorder) check() {
	for _, h := range r.pending {
		r.Verified++
		if err := r.traffic.Check(h.k, r.bodies[h.from:h.to]); err != nil {
			r.fail(showdown.FailBody, err)
		} else {
			r.good(h.moment)
		}
	}
	r.pending, r.bodies = r.pending[:0], r.bodies[:0]
}

// fail counts a failed request. Its words are kept only for the first.
func (r *recorder) fail(kind showdown.Failure, err error) {
	r.Failures[kind]++
	if r.interval != nil {
		r.interval.failures[kind]++
	}
	if r.Example == "" && err != nil {
		r.Example = string(kind) + ": " + err.Error()
	}
}

// merge adds what another loop measured in the same window.
func (r *Result) merge(o *Result) {
	r.Due += o.Due
	r.Sent += o.Sent
	r.OK += o.OK
	r.Verified += o.Verified
	r.Bytes += o.Bytes
	r.Connections += o.Connections
	for kind, n := range o.Failures {
		r.Failures[kind] += n
	}
	r.Latency.Merge(o.Latency)
	r.Service.Merge(o.Service)
	r.Lag.Merge(o.Lag)
	r.Max = max(r.Max, o.Max)
	r.Elapsed = max(r.Elapsed, o.Elapsed)
	r.Busiest = max(r.Busiest, o.Busiest)
	r.Aborted = r.Aborted || o.Aborted
	if r.Example == "" {
		r.Example = o.Example
	}
}

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 0), highest)) // within range, so it cannot fail
}

// failureOf sorts what broke a connection into the closed set.
func failureOf(err error, connecting bool) showdown.Failure {
	if _, ok := errors.AsType[*wire.ProtocolError](err); ok {
		return showdown.FailProtocol
	}
	if refused, ok := errors.AsType[*wire.RefusedError](err); ok {
		return statusFailure(refused.Status)
	}
	switch timeout, _ := errors.AsType[interface {
		error
		Timeout() bool
	}](err); {
	case errors.Is(err, syscall.ECONNREFUSED):
		return showdown.FailRefused
	case timeout != nil && timeout.Timeout(), errors.Is(err, syscall.ETIMEDOUT):
		return showdown.FailTimeout
	case connecting:
		return showdown.FailConnect
	}
	return showdown.FailReset
}
