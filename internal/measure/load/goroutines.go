package load

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/measure/wire"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// goroutines is the portable engine: one goroutine and one net.Conn for each
// connection. Each worker takes the next arrival and sleeps until it is due, so
// that an arrival waits only when all workers are busy.
type goroutines struct {
	target  Target
	workers []*worker
	opened  atomic.Int64
}

// worker is one connection and the request that it carries.
type worker struct {
	conn     net.Conn // nil while closed
	answer   wire.Response
	request  []byte
	body     []byte
	buffer   []byte
	received int
	due      time.Duration // of the request under way
	busy     bool
}

// NewGoroutines makes the portable engine, which also speaks TLS.
func NewGoroutines(target Target) Engine { return &goroutines{target: target} }

func (g *goroutines) Name() string { return "goroutines" }

func (g *goroutines) Close() {
	for _, w := range g.workers {
		w.close()
	}
}

func (w *worker) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// shift is one window under way. Its mutex guards the schedule, the recorder,
// the traffic and the workers' due times.
type shift struct {
	*goroutines
	mu       sync.Mutex
	window   Window
	arrivals pace.Arrivals
	rec      *recorder
	start    time.Time
	k        uint64
	next     time.Duration // the next arrival, not yet taken
	more     bool
	inFlight int
}

func (g *goroutines) Run(ctx context.Context, w Window, t Traffic) (*Result, error) {
	clients := g.target.Max
	if w.Schedule == nil {
		clients = g.target.Open
	}
	for len(g.workers) < clients {
		g.workers = append(g.workers, &worker{buffer: make([]byte, 16<<10)})
	}
	if err := g.dial(ctx, g.workers[0]); err != nil {
		return nil, showdown.Errorf(showdown.Environment, "is the server running, and is this its address?", "connect to %s: %w", g.target.Address, err)
	}

	s := &shift{goroutines: g, window: w, rec: newRecorder(&w, t, g.Name()), start: time.Now()}
	if w.Schedule != nil {
		s.arrivals = w.Schedule.Arrivals()
	}
	cpu := processCPU()
	s.advance()
	sending, stop := context.WithCancelCause(ctx)
	var working, watching sync.WaitGroup
	for _, client := range g.workers[:clients] {
		working.Go(func() { s.work(sending, client) })
	}
	watching.Go(func() { s.watch(sending, stop, cpu) })
	working.Wait()
	stop(errOver)
	watching.Wait()

	s.stopSending()
	s.rec.Elapsed = time.Since(s.start)
	s.rec.CPU, s.rec.Connections = processCPU()-cpu, int(g.opened.Load())
	s.rec.check()
	switch cause := context.Cause(sending); {
	case errors.Is(cause, errPiledUp):
		s.rec.Aborted = true
	case !errors.Is(cause, errOver):
		return &s.rec.Result, cause
	}
	return &s.rec.Result, nil
}

var (
	errOver    = errors.New("the window is over")
	errPiledUp = errors.New("answers piled up")
)

// advance moves to the next arrival; the caller holds the mutex or is alone.
func (s *shift) advance() {
	if s.arrivals != nil {
		s.next, s.more = s.arrivals.Next()
	} else {
		s.next = time.Since(s.start)
		s.more = (s.window.Count == 0 || s.k < s.window.Count) && (s.window.Length == 0 || s.next < s.window.Length)
	}
	if s.more {
		s.rec.due()
	}
}

// stopSending ends the schedule now, as the event loop does.
func (s *shift) stopSending() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Since(s.start)
	for s.more && s.next <= now && s.window.Schedule != nil {
		s.rec.fail(showdown.FailUnsent, errors.New("no connection became free in time"))
		s.advance()
	}
	if s.more {
		s.rec.Due--
		s.more = false
	}
}

// errand is one request to be made.
type errand struct {
	k       uint64
	want    int
	sampled bool
	due     time.Duration
	taken   time.Duration // when the worker was free for it
}

func (s *shift) work(sending context.Context, w *worker) {
	for {
		e, ok := s.take(w)
		if !ok {
			return
		}
		if !sleepUntil(sending, s.start.Add(e.due)) {
			s.giveBack(w)
			return
		}
		s.run(sending, w, e)
		if sending.Err() != nil {
			return
		}
	}
}

// take gives w the next arrival and its request.
func (s *shift) take(w *worker) (e errand, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.more {
		return e, false
	}
	if s.window.Schedule == nil {
		s.next = time.Since(s.start)
	}
	e.k, e.due, e.taken = s.k, s.next, time.Since(s.start)
	s.k++
	w.request, e.want = s.rec.traffic.Append(w.request[:0], e.k)
	e.sampled = s.rec.sampled(e.k)
	w.due, w.busy = e.due, true
	s.inFlight++
	s.advance()
	return e, true
}

// giveBack undoes take for an arrival that had not fallen due when the window ended.
func (s *shift) giveBack(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.busy = false
	s.inFlight--
	s.rec.Due--
}

// run makes one request and records what came of it.
func (s *shift) run(ctx context.Context, w *worker, e errand) {
	m := moment{due: e.due}
	reused := w.conn != nil
	connecting, err := s.attempt(ctx, w, e, &m)
	if err != nil && reused && failureOf(err, connecting) == showdown.FailReset && !w.answer.Begun() && isSafe(w.request) {
		// The server may have closed the idle connection at any time; unlike the
		// event loop, a worker learns of it only now (RFC 9112 §9.3.1).
		w.close()
		connecting, err = s.attempt(ctx, w, e, &m)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	w.busy = false
	s.inFlight--
	if m.sent > 0 {
		s.rec.sent(max(m.due, e.taken), m.sent)
		s.rec.Bytes += uint64(w.received)
	}
	if err != nil {
		w.close()
		s.rec.fail(failureOf(err, connecting), err)
		return
	}
	s.rec.answered(e.k, m, w.answer.Status, e.want, e.sampled, w.body)
	if !w.answer.KeepAlive {
		w.close()
	}
}

// attempt sends the request on w's connection, opening it if need be.
func (s *shift) attempt(ctx context.Context, w *worker, e errand, m *moment) (connecting bool, err error) {
	if err := s.dial(ctx, w); err != nil {
		return true, err
	}
	m.sent = time.Since(s.start)
	err = w.exchange(e.sampled, s.target.Timeout)
	m.done = time.Since(s.start)
	return false, err
}

func isSafe(request []byte) bool {
	return isHead(request) || len(request) > 4 && string(request[:4]) == "GET "
}

func (g *goroutines) dial(ctx context.Context, w *worker) error {
	if w.conn != nil {
		return nil
	}
	dialer := &net.Dialer{Timeout: g.target.Timeout}
	var err error
	if g.target.TLS != nil {
		w.conn, err = (&tls.Dialer{NetDialer: dialer, Config: g.target.TLS}).DialContext(ctx, "tcp", g.target.Address)
	} else {
		w.conn, err = dialer.DialContext(ctx, "tcp", g.target.Address)
	}
	if err != nil {
		w.conn = nil // a typed nil inside the interface would not be nil
		return err
	}
	g.opened.Add(1)
	return nil
}

// exchange sends the request and reads the whole answer.
func (w *worker) exchange(sampled bool, timeout time.Duration) error {
	w.received = 0
	_ = w.conn.SetDeadline(time.Now().Add(timeout))
	if _, err := w.conn.Write(w.request); err != nil {
		return err
	}
	w.answer.Reset(isHead(w.request))
	w.body = w.body[:0]
	var body *[]byte
	if sampled {
		body = &w.body
	}
	for {
		n, err := w.conn.Read(w.buffer)
		w.received += n
		used, done, parseErr := w.answer.Feed(w.buffer[:n], body)
		switch {
		case parseErr != nil:
			return parseErr
		case done && used < n:
			return &wire.ProtocolError{What: "bytes beyond the answer"}
		case done:
			return nil
		case errors.Is(err, io.EOF):
			if !w.answer.Begun() {
				return syscall.ECONNRESET // it said nothing: the connection broke, the protocol did not
			}
			return w.answer.EOF()
		case err != nil:
			return err
		}
	}
}

// watch looks for a server past its capacity, for arrivals that found no
// connection long after the schedule's end, and reports progress.
func (s *shift) watch(sending context.Context, stop context.CancelCauseFunc, cpu time.Duration) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var reported time.Duration
	for {
		select {
		case <-sending.Done():
			return
		case <-tick.C:
		}
		now := time.Since(s.start)
		s.mu.Lock()
		oldest := s.oldest(now)
		snapshot := Snapshot{Elapsed: now, Due: s.rec.Due, OK: s.rec.OK, InFlight: s.inFlight, CPU: processCPU() - cpu}
		s.mu.Unlock()
		if p := s.window.Progress; p != nil && now-reported >= 200*time.Millisecond {
			reported = now
			p(snapshot)
		}
		if s.window.GiveUp > 0 && now-oldest > s.window.GiveUp {
			stop(errPiledUp) // what is in flight ends with its timeout
		}
		if schedule := s.window.Schedule; schedule != nil && now > schedule.Length()+s.target.Timeout {
			stop(errOver)
		}
	}
}

// oldest is when the oldest unanswered request fell due.
func (s *shift) oldest(now time.Duration) time.Duration {
	oldest := now
	if s.more {
		oldest = min(oldest, s.next)
	}
	for _, w := range s.workers {
		if w.busy {
			oldest = min(oldest, w.due)
		}
	}
	return oldest
}

func sleepUntil(ctx context.Context, at time.Time) bool {
	patience := time.Until(at)
	if patience <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
