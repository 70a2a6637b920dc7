package load

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// goroutines is the portable engine: a net.Conn and a goroutine that reads for
// each connection. A request is sent by whoever first has an arrival and a free
// connection for it: the dispatcher when an arrival falls due, a reader when an
// answer came while arrivals wait.
//
// Note: one goroutine per connection that sleeps, sends and reads was tried; an
// arrival then also waits for that goroutine to be scheduled.
type goroutines struct {
	target Target
	ctx    context.Context // ends with the engine
	stop   context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex // guards what follows, the links' bookkeeping and the shift
	changed *sync.Cond // a connection was opened, or could not be
	links   []*link
	free    fifo
	opening int
	opened  int
	refusal error  // why the last connection could not be opened
	shift   *shift // nil between windows
}

// NewGoroutines makes the portable engine, which speaks every [Protocol], with
// and without TLS.
//
// A closed loop has one request at a time on each of Target.Open connections,
// with HTTP/2, too. In an open loop HTTP/2 spreads arrivals over the open
// connections in turn, as many streams on each as the server allows; another
// connection, up to Target.Max, is opened when all are full.
func NewGoroutines(target Target) Engine {
	if target.TLS != nil {
		target.TLS = target.TLS.Clone()
		target.TLS.NextProtos = []string{"http/1.1"}
		if target.Protocol == HTTP2 {
			target.TLS.NextProtos = []string{"h2"}
		}
		if host, _, err := net.SplitHostPort(target.Address); err == nil && target.TLS.ServerName == "" {
			target.TLS.ServerName = host
		}
	}
	g := &goroutines{target: target}
	g.ctx, g.stop = context.WithCancel(context.Background())
	g.changed = sync.NewCond(&g.mu)
	return g
}

func (g *goroutines) Name() string { return "goroutines" }

// Close takes leave of the server and waits for all goroutines.
func (g *goroutines) Close() {
	g.stop()
	g.hangUp()
	g.tasks.Wait()
}

// hangUp closes all connections as their protocol wants it, between windows.
func (g *goroutines) hangUp() {
	g.mu.Lock()
	links := slices.Clone(g.links)
	g.mu.Unlock()
	var leaving sync.WaitGroup
	for _, l := range links {
		leaving.Go(func() {
			_ = l.conn.SetDeadline(time.Now().Add(min(g.target.Timeout, leave)))
			l.talk.farewell()
			_ = l.conn.Close()
			l.lose(nil)
		})
	}
	leaving.Wait()
}

// leave is how long a closing handshake may take.
const leave = time.Second

func (g *goroutines) Run(ctx context.Context, w Window, t Traffic) (*Result, error) {
	if g.target.Protocol == Events && !w.Listen {
		return nil, showdown.Usage("server-sent events are only listened to", "play a window of requests over server-sent events")
	}
	if w.Listen {
		g.hangUp() // each connection begins with its own request
	} else if err := g.connect(ctx); err != nil {
		return nil, err
	}
	s := newShift(g, &w, t)
	return &s.rec.Result, s.run(ctx)
}

// connect opens what is missing of the first connections. It fails when not a
// single one can be had.
func (g *goroutines) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, g.target.Timeout, errPatience)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.changed.Broadcast()
	})()
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.refusal = nil; ctx.Err() == nil; g.changed.Wait() {
		for g.refusal == nil && g.roomFor(g.target.Open) {
			g.open(&link{})
		}
		if g.opening == 0 {
			break
		}
	}
	switch {
	case ctx.Err() != nil && context.Cause(ctx) != errPatience:
		return ctx.Err()
	case len(g.links) > 0:
		return nil
	case g.refusal == nil:
		g.refusal = context.DeadlineExceeded
	}
	return g.unreachable()
}

var errPatience = errors.New("the timeout is over")

// roomFor says whether another connection may be opened.
func (g *goroutines) roomFor(most int) bool {
	return g.opening < mostOpening && len(g.links)+g.opening < most
}

func (g *goroutines) unreachable() error {
	return showdown.Errorf(showdown.Environment, "is the server running, and is this its address?", "connect to %s: %w", g.target.Address, g.refusal)
}

// open begins a connection; the caller holds the mutex.
func (g *goroutines) open(l *link) {
	l.engine = g
	g.opening++
	g.tasks.Go(func() {
		if err := l.connect(g.ctx); g.admit(l, err) {
			l.lose(l.talk.listen())
		}
	})
}

// admit takes a new connection into service; it reports whether there is one.
func (g *goroutines) admit(l *link, err error) bool {
	g.mu.Lock()
	g.opening--
	g.changed.Broadcast()
	if err == nil {
		err = g.ctx.Err() // the engine was closed meanwhile
	}
	s := g.shift
	if err != nil {
		g.refusal = err
		if l.raw != nil {
			_ = l.raw.Close()
		}
		if s != nil {
			s.refused(l, err)
		}
		g.mu.Unlock()
		return false
	}
	g.opened++
	l.index, g.links = len(g.links), append(g.links, l)
	var x *exchange
	if s != nil {
		x = s.serve(l)
	}
	g.mu.Unlock()
	if x != nil {
		s.ask(l, x)
	}
	return true
}

// drop closes a connection and fails the requests that it carried; the caller
// holds the mutex. A connection that ends while idle costs no request.
func (g *goroutines) drop(l *link, err error) {
	if l.lost {
		return
	}
	l.lost = true
	_ = l.raw.Close()
	last := len(g.links) - 1
	g.links[l.index] = g.links[last]
	g.links[l.index].index = l.index
	g.links[last] = nil
	g.links = g.links[:last]
	s := g.shift
	if s == nil {
		return
	}
	if err == nil {
		err = errHungUp
	}
	for _, x := range l.asked {
		if !s.askAgain(l, x, err) {
			s.fail(x, err)
		}
	}
	l.asked = nil
	s.dropped(l, err)
}

var errHungUp = errors.New("the server closed the connection")

// link is one connection. But for what the engine's mutex guards, it belongs to
// the goroutine that reads it.
type link struct {
	engine *goroutines
	raw    net.Conn // below TLS
	conn   net.Conn
	talk   dialogue

	// Guarded by the engine's mutex.
	index  int
	limit  int           // the most requests at once that the server takes
	asked  []*exchange   // under way
	spare  []*exchange   // to be used again
	since  time.Duration // when it last became free for a request
	queued bool
	next   *link // in the queue
	lost   bool
	served bool // it has brought an answer

	again    *again // the request that it was opened for; nil for none
	listener listener
}

// again is a request that is asked once more.
type again struct {
	shift *shift
	k     uint64
	due   time.Duration
}

// dialogue is a protocol as it is spoken over one connection.
type dialogue interface {
	// greet shakes hands on the new connection, before anything else.
	greet() error
	// send writes x's request. Goroutines may call it at the same time.
	send(x *exchange) error
	// listen reads until the connection ends, and says why it did.
	listen() error
	// farewell ends the connection properly; no request is under way.
	farewell()
}

// multiplexed is a dialogue with several requests at once. Where a dialogue is
// not, a request that takes too long takes its connection with it.
type multiplexed interface {
	// cancel tells the server that x's answer is not wanted any more.
	cancel(x *exchange)
}

// exchange is one request and its answer.
type exchange struct {
	moment
	k       uint64
	want    int
	sampled bool
	free    time.Duration // when its connection was free for it
	request []byte
	body    []byte

	written atomic.Bool // its sending has ended, so that it can be used again

	// Guarded by the engine's mutex.
	index int  // in its link's list
	asked bool // its sending has begun
	begun bool // something came after that
	over  bool // it has failed; what still comes of it does not matter
}

func (l *link) connect(ctx context.Context) error {
	target := &l.engine.target
	ctx, cancel := context.WithTimeout(ctx, target.Timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", target.Address)
	if err != nil {
		return err
	}
	l.raw = conn
	if target.ReadRate > 0 {
		l.raw = slowly(conn, float64(target.ReadRate))
	}
	l.conn = l.raw
	if target.TLS != nil {
		secure := tls.Client(l.raw, target.TLS)
		l.conn = secure
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
	}
	l.limit = 1
	switch target.Protocol {
	case HTTP2:
		l.talk = newHTTP2(l)
	case WebSocket:
		l.talk = newWebSocket(l)
	case Events:
		l.talk = newEventStream(l)
	default:
		l.talk = newHTTP1(l)
	}
	interrupt := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = l.talk.greet()
	if !interrupt() && err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// lose closes the connection, as [goroutines.drop] does.
func (l *link) lose(err error) {
	l.engine.mu.Lock()
	defer l.engine.mu.Unlock()
	l.engine.drop(l, err)
}

// allow changes how many requests at once the server takes; 0 is no more at all.
func (l *link) allow(limit int) {
	g := l.engine
	g.mu.Lock()
	var x *exchange
	s := g.shift
	if full := len(l.asked) >= l.limit; s != nil && !l.lost && full && len(l.asked) < limit {
		l.limit = limit
		x = s.serve(l)
	}
	l.limit = limit
	g.mu.Unlock()
	if x != nil {
		s.ask(l, x)
	}
}

// arrived notes n bytes and gives the request that they answer, where there is
// one at a time; nil if none was made.
func (l *link) arrived(n int) *exchange {
	g := l.engine
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shift != nil {
		g.shift.rec.received(n)
	}
	if len(l.asked) == 0 || !l.asked[0].asked {
		return nil
	}
	l.asked[0].begun = l.asked[0].begun || n > 0
	return l.asked[0]
}

// finish takes x's whole answer or, if err is not nil, what came instead, on a
// link that goes on.
func (l *link) finish(x *exchange, status int, body []byte, err error) {
	g := l.engine
	g.mu.Lock()
	if x.over {
		g.mu.Unlock()
		return
	}
	s := g.shift
	if err != nil {
		s.fail(x, err)
	} else {
		x.done = s.now()
		s.rec.answered(x.k, x.moment, status, x.want, x.sampled, body)
		s.inFlight--
	}
	l.forget(x)
	l.served = true
	if x.written.Load() && err == nil {
		l.spare = append(l.spare, x)
	}
	next := s.serve(l)
	g.mu.Unlock()
	if next != nil {
		s.ask(l, next)
	}
}

// take gives an exchange to be used; the caller holds the mutex.
func (l *link) take() *exchange {
	x := &exchange{}
	if n := len(l.spare); n > 0 {
		x, l.spare = l.spare[n-1], l.spare[:n-1]
		*x = exchange{request: x.request[:0], body: x.body[:0]}
	}
	x.index, l.asked = len(l.asked), append(l.asked, x)
	return x
}

// forget removes x from what is under way; the caller holds the mutex.
func (l *link) forget(x *exchange) {
	last := len(l.asked) - 1
	l.asked[x.index] = l.asked[last]
	l.asked[x.index].index = x.index
	l.asked[last] = nil
	l.asked = l.asked[:last]
}

// fifo holds links with room for a request, so that all get their share.
type fifo struct{ first, last *link }

func (q *fifo) push(l *link) {
	l.queued, l.next = true, nil
	if q.first == nil {
		q.first = l
	} else {
		q.last.next = l
	}
	q.last = l
}

func (q *fifo) pop() *link {
	l := q.first
	if l != nil {
		q.first, l.queued, l.next = l.next, false, nil
	}
	return l
}
