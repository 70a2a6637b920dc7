package load

import "time"

// listener is what a listening window knows of one of its connections.
type listener struct {
	number   uint64        // its request's
	intended time.Duration // when it should be opened
	dialled  time.Duration // when it was begun
	heard    uint64        // messages so far
	last     time.Duration // when the last one came
}

// vacate has a listening connection opened again soon; the mutex is held.
func (s *shift) vacate(number uint64) {
	s.vacant = append(s.vacant, listener{number: number, intended: s.now() + reopenAfter})
}

// occupy opens what is missing of a listening window's connections; the mutex is held.
func (s *shift) occupy(now time.Duration) {
	for len(s.vacant) > 0 && s.vacant[0].intended <= now && s.roomFor(s.target.Open) {
		l := &link{listener: s.vacant[0]}
		s.vacant = s.vacant[1:]
		l.listener.dialled = now
		s.rec.due()
		s.open(l)
	}
}

// subscribe gives a new listening connection the request that it begins with, to
// be asked; the mutex is held.
func (s *shift) subscribe(l *link, now time.Duration) *exchange {
	s.occupy(now)
	if s.target.Protocol == WebSocket { // whose handshake was the request
		s.rec.sent(l.listener.intended, l.listener.dialled)
		return nil
	}
	x := l.take()
	x.k, x.due, x.free = l.listener.number, l.listener.intended, now
	s.inFlight++
	return x
}

// subscribed notes that x was granted: what comes from now on is listened to.
func (l *link) subscribed(x *exchange) {
	g := l.engine
	g.mu.Lock()
	defer g.mu.Unlock()
	if !x.over && g.shift != nil {
		x.over = true
		l.forget(x)
		g.shift.inFlight--
	}
}

// wanted says whether l's next message is to be kept and checked. Only the
// goroutine that reads l calls it.
func (l *link) wanted() bool {
	g := l.engine
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.shift
	return s != nil && s.window.Listen && s.rec.sampled(l.listener.number<<32+l.listener.heard)
}

// message takes one that came to a listening connection; body is its content if
// that was wanted.
func (l *link) message(wanted bool, body []byte) {
	g := l.engine
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.shift
	if s == nil || !s.window.Listen {
		return
	}
	now, from := s.now(), &l.listener
	s.rec.delivered(from.number, now-from.intended, now-from.last, from.heard == 0, wanted, body)
	from.heard++
	from.last = now
}
