package load

import (
	"context"
	"sync"
	"time"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/showdown"
)

const (
	// tending is how often what no event tells is looked at: timeouts,
	// cancellation, a server past its capacity.
	tending = 20 * time.Millisecond
	// crowding is how often the dispatcher looks whether so many arrivals wait that
	// another connection should be opened.
	crowding = time.Millisecond
	// bulky requests are written by goroutines of their own: the server may be slow
	// to take them, and neither arrivals nor answers should wait for that.
	bulky = 16 << 10
)

// shift is one window under way. The engine's mutex guards it; methods want it
// held unless they say otherwise.
type shift struct {
	*goroutines
	window   *Window
	traffic  Traffic
	rec      *recorder
	arrivals pace.Arrivals // nil in a closed loop
	start    time.Time
	k        uint64        // the number of the next arrival
	next     time.Duration // when it is due
	more     bool          // whether there is one
	inFlight int
	blocked  bool          // the dispatcher waits for a free connection
	wake     chan struct{} // tells it that there is one
	vacant   []listener    // listening connections to be opened
	before   int           // connections opened before the window
	spare    *interval
	over     context.Context
	finish   context.CancelFunc
	err      error // why it ended early
}

func newShift(g *goroutines, w *Window, t Traffic) *shift {
	s := &shift{goroutines: g, window: w, traffic: t, rec: newRecorder(w, t, g.Name()), wake: make(chan struct{}, 1), more: !w.Listen}
	s.over, s.finish = context.WithCancel(context.Background())
	if w.Schedule != nil {
		s.arrivals = w.Schedule.Arrivals()
		s.advance()
	}
	for i := range g.target.Open {
		s.vacant = append(s.vacant, listener{number: uint64(i)})
	}
	return s
}

// run plays the window. The mutex is not held.
func (s *shift) run(ctx context.Context) error {
	cpu := processCPU()
	s.begin()
	var dispatching sync.WaitGroup
	if s.arrivals != nil {
		dispatching.Go(s.dispatch)
	}
	s.watch(ctx)
	dispatching.Wait()
	s.rec.CPU, s.rec.Start = processCPU()-cpu, s.start
	s.rec.check()
	if s.window.Listen {
		s.hangUp()
	}
	return s.err
}

// begin starts the window's clock, and everything that needs no schedule. The
// mutex is not held.
func (s *shift) begin() {
	s.mu.Lock()
	s.start = time.Now()
	s.shift, s.before = s, s.opened
	s.free = fifo{}
	for _, l := range s.links {
		l.since, l.queued = 0, false
		s.offer(l)
	}
	s.mu.Unlock()
	s.tend(nil)
}

// settle ends the window when nothing is left to do.
func (s *shift) settle() {
	if !s.more && s.inFlight == 0 && !s.window.Listen {
		s.end()
	}
}

func (s *shift) end() {
	if s.shift == s {
		s.shift = nil
		s.rec.Elapsed, s.rec.Connections = s.now(), s.opened
		s.finish()
	}
}

func (s *shift) now() time.Duration { return time.Since(s.start) }

// advance moves to the next arrival of the schedule.
func (s *shift) advance() {
	s.next, s.more = s.arrivals.Next()
	if s.window.Slot > 0 {
		s.next -= s.next % s.window.Slot
	}
}

// due says whether a request should be sent now.
func (s *shift) due(now time.Duration) bool {
	if s.arrivals == nil && s.more {
		s.next = now
		s.more = s.window.goesOn(s.k, now)
	}
	return s.more && s.next <= now
}

// arrive takes the next arrival, which is due.
func (s *shift) arrive() (k uint64) {
	k = s.k
	s.k++
	s.rec.due()
	if s.arrivals != nil {
		s.advance()
	}
	return k
}

// room says whether l can carry another request.
func (s *shift) room(l *link) bool {
	if s.arrivals == nil {
		return !l.lost && len(l.asked) < min(1, l.limit) && s.inFlight < s.target.Open
	}
	return !l.lost && len(l.asked) < l.limit
}

// offer puts l among the links with room, if it has.
func (s *shift) offer(l *link) {
	if l.queued || !s.room(l) {
		return
	}
	s.free.push(l)
	s.rouse()
}

// rouse wakes a dispatcher that waits for a connection.
func (s *shift) rouse() {
	if s.blocked {
		s.blocked = false
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// claim gives l the arrival that is due, if there is one, to be asked.
func (s *shift) claim(l *link, now time.Duration) *exchange {
	if !s.room(l) || !s.due(now) {
		return nil
	}
	x := l.take()
	x.due, x.free = s.next, l.since
	x.k = s.arrive()
	x.sampled = s.rec.sampled(x.k)
	s.inFlight++
	return x
}

// serve gives work to a link that has just become free for it.
func (s *shift) serve(l *link) *exchange {
	now := s.now()
	if len(l.asked) == l.limit-1 {
		l.since = now
	}
	if s.window.Listen {
		return s.subscribe(l, now)
	}
	if a := l.again; a != nil && a.shift == s {
		l.again = nil
		x := l.take()
		x.k, x.due, x.free, x.sampled = a.k, a.due, now, s.rec.sampled(a.k)
		return x
	}
	x := s.claim(l, now)
	s.offer(l)
	s.settle()
	return x
}

// ask sends a claimed request. The mutex is not held.
func (s *shift) ask(l *link, x *exchange) {
	x.request, x.want = s.traffic.Append(x.request[:0], x.k)
	if len(x.request) > bulky {
		s.tasks.Go(func() { s.send(l, x) })
	} else {
		s.send(l, x)
	}
}

func (s *shift) send(l *link, x *exchange) {
	s.mu.Lock()
	if x.over {
		s.mu.Unlock()
		return
	}
	x.asked, x.sent = true, s.now()
	s.rec.sent(max(x.due, x.free), x.sent)
	s.mu.Unlock()
	if err := l.talk.send(x); err != nil {
		l.lose(err)
		return
	}
	x.written.Store(true)
}

// fail takes a request under way as failed; its link forgets it.
func (s *shift) fail(x *exchange, err error) {
	x.over = true
	s.inFlight--
	if !s.window.Listen { // where the loss of the connection is what counts
		s.rec.fail(failureOf(err, false), err)
	}
}

// askAgain opens a connection for a request that may have met a server which was
// just about to close an idle connection: any client has to expect that (RFC 9112
// §9.3.1). It happens once: the new connection has never been idle.
func (s *shift) askAgain(l *link, x *exchange, err error) bool {
	if _, ok := l.talk.(*http1); !ok || !l.served || x.begun || x.asked && !isSafe(x.request) || failureOf(err, false) != showdown.FailReset {
		return false
	}
	x.over = true
	s.open(&link{again: &again{s, x.k, x.due}})
	return true
}

// refused takes note that a connection could not be opened. It fails the arrival
// that it was opened for.
func (s *shift) refused(l *link, err error) {
	if s.window.Listen {
		s.rec.fail(failureOf(err, true), err)
		s.vacate(l.listener.number)
		if s.opened == s.before && s.opening == 0 {
			s.err = s.unreachable()
			s.end()
		}
		return
	}
	if l.again != nil && l.again.shift == s {
		s.inFlight--
		s.rec.fail(failureOf(err, true), err)
	} else if s.due(s.now()) {
		s.arrive()
		s.rec.fail(failureOf(err, true), err)
	}
	s.rouse()
	s.settle()
}

// dropped takes note that a connection is gone.
func (s *shift) dropped(l *link, err error) {
	switch {
	case s.window.Listen:
		s.vacate(l.listener.number)
		s.rec.fail(failureOf(err, false), err)
	case s.arrivals == nil && s.more && s.roomFor(s.target.Open):
		s.open(&link{})
	}
	s.rouse()
	s.settle()
}

// dispatch sends each arrival of the schedule when it is due. The mutex is not held.
func (s *shift) dispatch() {
	clock := newAlarm()
	defer clock.close()
	for s.over.Err() == nil {
		l, x, patience := s.pick()
		switch {
		case x != nil:
			s.ask(l, x)
		case patience < 0:
			select {
			case <-s.wake:
			case <-s.over.Done():
			case <-time.After(crowding):
			}
		default:
			clock.sleep(s.over, patience)
		}
	}
}

// pick gives the dispatcher a request to send, or else how long to sleep; below
// 0 is until a connection is free. The mutex is not held.
func (s *shift) pick() (*link, *exchange, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.more && s.next > now {
		return nil, nil, s.next - now
	}
	for s.more {
		l := s.free.pop()
		if l == nil {
			break
		}
		if x := s.claim(l, now); x != nil {
			s.offer(l)
			return l, x, 0
		}
	}
	for s.more && s.roomFor(s.target.Max) && s.opening < s.waiting(now) {
		s.open(&link{})
	}
	s.blocked = true
	return nil, nil, -1
}

// waiting estimates how many arrivals are due and unsent.
func (s *shift) waiting(now time.Duration) int {
	return 1 + int((now-s.next).Seconds()*s.window.Schedule.Rate())
}

// watch tends the window until it is over. The mutex is not held.
func (s *shift) watch(ctx context.Context) {
	tick := time.NewTicker(tending)
	defer tick.Stop()
	var c *chronicle
	if s.window.watched() {
		c, s.spare = newChronicle(s.window), newInterval()
	}
	for reported := time.Duration(0); s.over.Err() == nil; {
		select {
		case <-s.over.Done():
		case <-tick.C:
			s.tend(ctx.Err())
		}
		if now := s.now(); c != nil && now-reported >= beat {
			reported = now
			s.report(c)
		}
	}
	if c != nil {
		c.end(s.report(c))
	}
}

// report tells those who watch what happened since it was last called, and until
// when. The mutex is not held.
func (s *shift) report(c *chronicle) (until time.Duration) {
	s.mu.Lock()
	if until = s.now(); s.shift != s {
		until = s.rec.Elapsed
	}
	i := s.rec.interval
	s.rec.interval = s.spare
	i.until, i.inFlight, i.connections = until, s.inFlight, len(s.links)
	s.mu.Unlock()
	c.add(i)
	c.beat(until)
	i.reset()
	s.spare = i
	return until
}

// tend looks after everything that no event tells. The mutex is not held.
func (s *shift) tend(cancelled error) {
	type errand struct {
		l *link
		x *exchange
	}
	var ask, cancel []errand
	s.mu.Lock()
	if s.shift != s {
		s.mu.Unlock()
		return
	}
	now := s.now()
	oldest := now
	for i := len(s.links) - 1; i >= 0; i-- { // dropping one moves the last into its place
		l := s.links[i]
		for j := len(l.asked) - 1; j >= 0; j-- {
			x := l.asked[j]
			if !x.asked || now-x.sent <= s.target.Timeout {
				oldest = min(oldest, x.due)
				continue
			}
			if _, ok := l.talk.(multiplexed); !ok {
				s.drop(l, context.DeadlineExceeded)
				break
			}
			s.fail(x, context.DeadlineExceeded)
			l.forget(x)
			l.since = now
			s.offer(l)
			cancel = append(cancel, errand{l, x})
		}
	}
	if s.arrivals != nil && s.more {
		oldest = min(oldest, s.next)
	}
	if cancelled != nil {
		s.err = cancelled
	}
	switch {
	case s.window.Listen && (cancelled != nil || now >= s.window.Length):
		s.end()
	case s.window.Listen:
		s.occupy(now)
	case cancelled != nil:
		s.stopSending(now) // what is in flight may still be answered
	case s.window.GiveUp > 0 && now-oldest > s.window.GiveUp:
		s.abort(now)
	case s.arrivals != nil && now > s.window.Schedule.Length()+s.target.Timeout:
		s.stopSending(now) // these never got a connection
	case s.arrivals == nil:
		for s.due(now) && s.roomFor(s.target.Open) {
			s.open(&link{})
		}
		for s.inFlight < s.target.Open && s.due(now) {
			l := s.free.pop()
			if l == nil {
				break
			}
			if x := s.claim(l, now); x != nil {
				ask = append(ask, errand{l, x})
			}
		}
	}
	s.settle()
	s.mu.Unlock()
	for _, e := range cancel {
		e.l.talk.(multiplexed).cancel(e.x)
	}
	for _, e := range ask {
		s.ask(e.l, e.x)
	}
}

// stopSending ends the schedule now. Arrivals that fell due and were not sent
// are failures; those still to come are none.
func (s *shift) stopSending(now time.Duration) {
	for s.arrivals != nil && s.due(now) {
		s.arrive()
		s.rec.fail(showdown.FailUnsent, errUnsent)
	}
	s.more = false
}

// abort gives up: nobody waits for what is in flight.
func (s *shift) abort(now time.Duration) {
	s.stopSending(now)
	for i := len(s.links) - 1; i >= 0; i-- {
		if l := s.links[i]; len(l.asked) > 0 {
			s.drop(l, context.DeadlineExceeded)
		}
	}
	for ; s.inFlight > 0; s.inFlight-- { // those that are asked again
		s.rec.fail(showdown.FailTimeout, context.DeadlineExceeded)
	}
	s.rec.Aborted = true
	s.end()
}
