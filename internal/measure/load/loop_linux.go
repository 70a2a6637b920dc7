package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/measure/wire"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Go's scheduler interrupts a goroutine that runs for 10 ms, and takes some 100 µs
// to resume one that is locked to its thread. A loop yields before that, when
// nothing is due for a while.
const (
	yieldEvery = 8 * time.Millisecond
	yieldTakes = 250 * time.Microsecond
)

const (
	housekeeping = 20 * time.Millisecond // how often timeouts and cancellation are looked at
	mostOpening  = 256                   // connections under way at once, so that no server's backlog overflows
)

// loops is the engine of event loops: each has one locked thread, raw
// non-blocking sockets, and no goroutine per connection.
type loops struct {
	name  string
	loops []*loop
}

// newLoops makes target.Threads loops, each with its share of the connections.
func newLoops(target Target, newDriver func(*loop) (driver, error)) (Engine, error) {
	n := max(1, target.Threads)
	// A loop that sleeps in the kernel must not have to fight for the right to go on.
	if runtime.GOMAXPROCS(0) < n+2 {
		runtime.GOMAXPROCS(n + 2)
	}
	e := &loops{}
	for i := range n {
		address, err := resolve(target.Address) // for each its own: connecting writes into it
		if err != nil {
			return nil, err
		}
		l := &loop{target: target, address: address, index: i, of: n, work: make(chan func()), done: make(chan struct{})}
		l.target.Open, l.target.Max = share(target.Open, i, n), share(target.Max, i, n)
		ready := make(chan error)
		go l.serve(newDriver, ready)
		if err := <-ready; err != nil {
			e.Close()
			return nil, err
		}
		e.name = l.driver.name()
		e.loops = append(e.loops, l)
	}
	return e, nil
}

// share is the i-th of n nearly equal parts.
func share(total, i, n int) int { return max(1, (total+n-1-i)/n) }

func resolve(text string) (unix.Sockaddr, error) {
	address, err := netip.ParseAddrPort(text)
	if err != nil {
		resolved, err := net.ResolveTCPAddr("tcp", text)
		if err != nil {
			return nil, showdown.Errorf(showdown.Environment, "", "resolve %s: %w", text, err)
		}
		address = resolved.AddrPort()
	}
	if ip := address.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(address.Port()), Addr: ip.As4()}, nil
	}
	return &unix.SockaddrInet6{Port: int(address.Port()), Addr: address.Addr().As16()}, nil
}

func (e *loops) Name() string { return e.name }

func (e *loops) Close() {
	for _, l := range e.loops {
		close(l.work)
		<-l.done
	}
	e.loops = nil
}

// Run opens the connections, and when all loops are ready, starts them together.
func (e *loops) Run(ctx context.Context, w Window, t Traffic) (*Result, error) {
	if err := e.each(func(l *loop) error { return l.prepare(ctx, w, t) }); err != nil {
		return nil, err
	}
	start, cpu := time.Now(), processCPU()
	var told sync.WaitGroup
	if w.watched() {
		told.Go(func() { e.tell(&w) })
	}
	stop := e.each(func(l *loop) error { return l.play(ctx, start) })
	told.Wait()
	r := &e.loops[0].rec.Result
	for _, l := range e.loops {
		l.rec.check()
		if l.index > 0 {
			r.merge(&l.rec.Result)
		}
	}
	r.CPU, r.Start = processCPU()-cpu, start
	if stop != nil && !errors.Is(stop, ctx.Err()) {
		return nil, stop
	}
	return r, stop
}

// each has all loops do something on their threads, and waits for them.
func (e *loops) each(do func(*loop) error) error {
	outcome := make(chan error, len(e.loops))
	for _, l := range e.loops {
		l.work <- func() { outcome <- do(l) }
	}
	var first error
	for range e.loops {
		if err := <-outcome; first == nil {
			first = err
		}
	}
	return first
}

// tell joins what the loops hand over at each beat.
func (e *loops) tell(w *Window) {
	c := newChronicle(w)
	var until time.Duration
	for going := true; going; {
		going = false
		for _, l := range e.loops {
			if i, ok := <-l.told; ok {
				c.add(i)
				until = max(until, i.until)
				i.reset()
				l.spare <- i
				going = true
			}
		}
		if going {
			c.beat(until)
		}
	}
	c.end(until)
}

// driver is how a loop talks to the kernel: it is asked to begin things and
// tells the loop, from within wait, what came of them.
type driver interface {
	name() string
	// prepare suits the driver to the loop's window.
	prepare()
	// open begins to connect a socket for c; connected or broke is told, perhaps
	// at once. An error means that there is no socket to be had.
	open(c *conn) error
	// send sends c.out; only a failure is told, by broke.
	send(c *conn)
	// reply sends what c.stream owes the server, the same way; replying says
	// whether that is still being read.
	reply(c *conn)
	replying(c *conn) bool
	// wait sleeps until something has come or patience ends, and tells what
	// happened: connected, received, skipped, ended or broke. For the length of
	// gather, at most patience, it may sleep on until that many answers have come.
	wait(answers int, gather, patience time.Duration) error
	// flush hands over to the kernel what is still queued.
	flush()
	// close closes c's socket, and has the loop retire c when the kernel is done with it.
	close(c *conn)
	// release closes all sockets and gives everything back.
	release()
}

type connState uint8

const (
	closed connState = iota
	connecting
	opening // what opens a stream is sent, and the answer not in yet
	idle
	busy
	listening
)

// conn is one connection and the request that it carries.
type conn struct {
	index    int32
	fd       int32 // -1 while closed
	state    connState
	sampled  bool
	served   bool  // it has brought an answer
	again    bool  // it is opened for a request that an earlier connection lost
	ops      uint8 // operations that the kernel holds memory for (io_uring)
	flags    uint8 // the driver's
	epoch    uint16
	answer   wire.Response
	out      []byte // the request; out[written:] is still to be sent
	written  int
	want     int
	k        uint64
	due      time.Duration
	asked    time.Duration // when the request was sent, or connecting began
	free     time.Duration // when it became ready for a request
	body     []byte
	stream   *stream
	list     *list // that it is in: idle or waiting
	previous *conn
	next     *conn
}

// loop is one event loop with its connections, and the window that it plays.
type loop struct {
	target  Target
	address unix.Sockaddr
	index   int
	of      int // loops in the engine
	work    chan func()
	done    chan struct{}
	driver  driver
	conns   []*conn
	free    []*conn // closed ones, to be opened again
	idle    list    // first in, first out, so that all get their share of requests
	waiting list    // those with a deadline, the oldest first
	memo    wire.Memo
	live    int // connections open or under way
	opening int // connections under way
	opened  int // over the engine's life

	window    Window
	rec       *recorder
	told      chan *interval
	spare     chan *interval
	start     time.Time
	now       time.Duration
	wall      int64 // wall clock minus now, for the kernel's receive timestamps
	arrivals  pace.Arrivals
	next      time.Duration // when the next arrival is due
	more      bool          // whether there is a next arrival
	k         uint64        // its index
	inFlight  int
	scratch   []byte
	heardOK   uint64        // messages at the last wake-up
	reopen    time.Duration // when an audience may be filled again
	bulky     bool          // answers fill receive buffers: do not let them gather
	discards  bool          // answers are long enough to be thrown away in the kernel
	usual     time.Duration // a smoothed service time
	gathering gathering
	cleaned   time.Duration
	beaten    time.Duration
	yielded   time.Duration
	cpu       time.Duration // of this thread at the last beat
	refusal   error         // why the last connection could not be opened
	stop      error         // why the window ends early
}

// serve is the loop's thread. It ends with the engine, and the thread with it:
// its priority and timer slack must not stick to other goroutines.
func (l *loop) serve(newDriver func(*loop) (driver, error), ready chan<- error) {
	runtime.LockOSThread()
	defer close(l.done)
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10) // where allowed: METHOD.md, lag under competition
	var err error
	l.driver, err = newDriver(l)
	ready <- err
	if err != nil {
		return
	}
	for do := range l.work {
		do()
	}
	l.part()
	l.driver.release()
}

// prepare opens the first connections, and forgets those that the server closed
// since the last window. It fails when not a single one can be had.
func (l *loop) prepare(ctx context.Context, w Window, t Traffic) error {
	l.window, l.rec = w, newRecorder(&w, t, l.driver.name())
	l.arrivals, l.stop, l.refusal, l.bulky, l.discards, l.usual = nil, nil, nil, false, false, 0
	l.gathering, l.reopen, l.heardOK = gathering{}, 0, 0
	l.k = uint64(l.index)
	if w.Schedule != nil {
		l.arrivals = pace.Share(w.Schedule, l.index, l.of).Arrivals()
	}
	if w.watched() {
		l.told, l.spare = make(chan *interval, 1), make(chan *interval, 2)
		l.spare <- newInterval()
	}
	l.driver.prepare()
	l.restart(time.Now())
	if err := l.driver.wait(1, 0, 0); err != nil { // an idle connection that was closed says so at once
		return err
	}
	l.attend()
	if w.Listen {
		return ctx.Err() // an audience is opened in the window itself
	}
	wanted := l.target.Open
	for ctx.Err() == nil && l.refusal == nil && l.now < l.target.Timeout && l.live-l.opening < wanted {
		for l.live < wanted && l.opening < mostOpening && l.open() {
		}
		if err := l.driver.wait(1, 0, housekeeping); err != nil {
			return err
		}
	}
	if l.live-l.opening == 0 && ctx.Err() == nil {
		if l.refusal == nil {
			l.refusal = context.DeadlineExceeded
		}
		return showdown.Errorf(showdown.Environment, "is the server running, and is this its address?", "connect to %s: %w", l.target.Address, l.refusal)
	}
	return ctx.Err()
}

// restart begins the window's clock.
func (l *loop) restart(start time.Time) {
	l.start = start
	l.cleaned, l.beaten, l.yielded = 0, 0, 0
	l.tick()
}

// tick reads the clocks: the monotonic one for offsets, and the wall clock to
// read the kernel's receive timestamps by.
func (l *loop) tick() {
	t := time.Now()
	l.now = t.Sub(l.start)
	l.wall = t.UnixNano() - int64(l.now)
}

// at turns a kernel timestamp into an offset. It never lies in the future.
func (l *loop) at(stamp int64) time.Duration {
	if stamp == 0 {
		return l.now
	}
	return min(time.Duration(stamp-l.wall), l.now)
}

var errGaveUp = errors.New("answers piled up")

// play runs the window until the last answer.
func (l *loop) play(ctx context.Context, start time.Time) error {
	began := threadCPU()
	l.cpu = began
	l.restart(start)
	for _, c := range l.conns {
		c.free = 0
	}
	l.advance()
	l.fill()
	for l.going() {
		l.sendDue()
		if l.now-l.cleaned >= housekeeping {
			l.cleanUp(ctx)
		}
		answers, gather, patience := l.patience()
		if patience > yieldTakes && l.now-l.yielded > yieldEvery {
			l.driver.flush()
			runtime.Gosched()
			l.yielded = l.now
			answers, gather, patience = l.patience()
		}
		if err := l.driver.wait(answers, gather, patience); err != nil {
			l.stop = err
			break
		}
	}
	l.rec.Elapsed = l.now
	if l.stop != nil {
		l.abandon()
	}
	l.rec.Connections = l.opened
	if l.now > 0 {
		l.rec.Busiest = min(1, (threadCPU()-began).Seconds()/l.now.Seconds())
	}
	if l.rec.interval != nil {
		l.beat(true)
		close(l.told)
	}
	if errors.Is(l.stop, errGaveUp) {
		l.rec.Aborted = true
		return nil
	}
	return l.stop
}

func (l *loop) going() bool {
	if l.stop != nil && errors.Is(l.stop, errGaveUp) {
		return false
	}
	if l.window.Listen {
		return l.now < l.window.Length && l.stop == nil
	}
	return l.more || l.inFlight > 0
}

// abandon ends a window that was given up: what is in flight fails.
func (l *loop) abandon() {
	l.stopSending()
	for c := l.waiting.first; c != nil; {
		next := c.next
		if c.state == busy {
			l.broke(c, context.DeadlineExceeded)
		}
		c = next
	}
}

// advance moves to the loop's next arrival.
func (l *loop) advance() {
	switch w := &l.window; {
	case w.Listen:
		l.more = false
		return
	case l.arrivals != nil:
		if l.next, l.more = l.arrivals.Next(); w.Slot > 0 {
			l.next = l.next.Truncate(w.Slot)
		}
	default:
		l.next = l.now
		l.more = (w.Count == 0 || l.k < w.Count) && (w.Length == 0 || l.now < w.Length)
	}
	if l.more {
		l.rec.due()
	}
}

// sendDue sends every arrival that is due while there is a connection for it.
func (l *loop) sendDue() {
	for l.more && l.next <= l.now {
		if c := l.idle.first; c != nil {
			l.idle.remove(c)
			l.send(c)
			l.pass()
		} else if !l.openMore() {
			return
		}
	}
}

// pass leaves an arrival behind.
func (l *loop) pass() {
	l.k += uint64(l.of)
	l.advance()
}

// openMore opens a connection when more arrivals wait than connections are
// under way and the cap allows it. It reports whether to look again at once: a
// connection has begun, or the arrival has failed for want of one. In a closed
// loop a refusal is no reason to try again at once: it would never end.
func (l *loop) openMore() bool {
	most := l.target.Max
	if l.arrivals == nil {
		most = l.target.Open // a closed loop has as many clients as it was given
	}
	if l.live >= most || l.opening >= min(l.unsent(), mostOpening) {
		return false
	}
	before := l.k
	return l.open() || l.arrivals != nil && l.k != before
}

// unsent estimates how many arrivals are due and unsent.
func (l *loop) unsent() int {
	if l.arrivals == nil {
		return l.target.Open
	}
	return 1 + int((l.now-l.next).Seconds()*l.window.Schedule.Rate()/float64(l.of))
}

func (l *loop) send(c *conn) {
	c.k, c.due = l.k, l.next
	if l.arrivals == nil {
		c.due = c.free
	} else {
		l.now = time.Since(l.start)
	}
	l.inFlight++
	l.ask(c)
	l.rec.sent(max(c.due, c.free), c.asked)
}

// ask sends the request that c carries.
func (l *loop) ask(c *conn) {
	c.state, c.written = busy, 0
	c.sampled = l.rec.sampled(c.k)
	c.body = c.body[:0]
	if c.stream == nil {
		c.out, c.want = l.rec.traffic.Append(c.out[:0], c.k)
		c.answer.Reset(isHead(c.out))
	} else {
		l.scratch, c.want = l.rec.traffic.Append(l.scratch[:0], c.k)
		c.out = wire.AppendFrame(c.out[:0], wire.Text, l.scratch, rand.Uint32())
	}
	l.wait(c)
	l.driver.send(c)
}

// wait gives c a deadline from now on.
func (l *loop) wait(c *conn) {
	c.asked = l.now
	l.waiting.push(c)
}

// Where the next arrival is near, an open loop does not wake for answers before it.
const (
	nextIsNear = time.Millisecond
	anyNumber  = 1 << 20
)

// patience is how long nothing needs to be done: unless something arrives, and
// how many answers may gather for how long.
func (l *loop) patience() (answers int, gather, patience time.Duration) {
	now := l.now
	if l.arrivals != nil {
		now = time.Since(l.start)
	}
	until := l.cleaned + housekeeping
	eager := l.window.Eager || l.bulky
	switch {
	case l.arrivals != nil && l.more && (l.idle.n > 0 || l.next > l.now):
		until = min(until, l.next)
		if patience = max(0, until-now); patience <= nextIsNear && !eager {
			return anyNumber, patience, patience
		}
		return 1, 0, patience
	case l.window.Listen:
		until = min(until, l.window.Length)
		if !eager {
			answers, gather = anyNumber, l.listen()
		}
	case l.arrivals == nil && l.inFlight >= gatherClients && l.gathering.on && !eager:
		answers, gather = l.inFlight/gatherShare, min(l.usual/gatherShare, gatherMost)
	}
	return max(1, answers), gather, max(0, until-now)
}

// Messages gather for an audience, too: not for longer than matters to anyone,
// but in a flood for long enough that each connection is read once for several.
const (
	gatherMessages = 200 * time.Microsecond
	gatherFlood    = time.Millisecond
	flood          = 64 // messages since the last wake-up
)

// listen says for how long messages may gather.
func (l *loop) listen() time.Duration {
	gather := gatherMessages
	if l.rec.OK-l.heardOK >= flood {
		gather = gatherFlood
	}
	l.heardOK = l.rec.OK
	return gather
}

// connected notes that c's socket is connected.
func (l *loop) connected(c *conn) {
	if l.target.Protocol == WebSocket || l.target.Protocol == Events {
		l.openStream(c)
		return
	}
	l.waiting.remove(c)
	l.opening--
	if c.again {
		c.again = false
		l.ask(c)
		return
	}
	l.ready(c, l.now)
}

// ready takes c for the next request.
func (l *loop) ready(c *conn, since time.Duration) {
	c.state, c.free = idle, since
	l.idle.push(c)
}

// received takes bytes that arrived on c.
func (l *loop) received(c *conn, b []byte, at time.Duration) {
	l.rec.received(len(b))
	if c.stream != nil {
		l.heard(c, b, at)
		return
	}
	if c.state != busy {
		l.broke(c, &wire.ProtocolError{What: "bytes without a request"})
		return
	}
	var body *[]byte
	if c.sampled {
		body = &c.body
	}
	n, done, err := c.answer.Feed(b, body)
	switch {
	case err != nil:
		l.broke(c, err)
	case done && n < len(b):
		l.broke(c, &wire.ProtocolError{What: "bytes beyond the answer"})
	case done:
		l.finish(c, at)
	case c.answer.Left() >= worthDiscarding && c.answer.Left() <= readBuffer:
		l.discards = true
	case c.answer.Left() > readBuffer, c.answer.Left() == 0 && len(b) >= bufferSize:
		l.bulky, l.discards = true, true // what gathers in the kernel would hold the server up
	}
}

// worthDiscarding is what of an answer must be left for it to be worth asking the
// kernel to throw it away.
const worthDiscarding = 8 << 10

// discardable is how much of c's answer is still to come and of no interest.
func (c *conn) discardable() int64 {
	if c.state != busy || c.sampled || c.stream != nil {
		return 0
	}
	if left := c.answer.Left(); left >= worthDiscarding {
		return left
	}
	return 0
}

// skipped takes bytes that arrived on c and were thrown away by the kernel.
func (l *loop) skipped(c *conn, n int, at time.Duration) {
	l.rec.received(n)
	if c.answer.Skip(int64(n)) {
		l.finish(c, at)
	}
}

// finish takes c's whole answer, whose last bytes arrived at that offset.
func (l *loop) finish(c *conn, at time.Duration) {
	l.conclude(c, c.answer.Status, c.body, at)
	if !c.answer.KeepAlive {
		c.state = idle
		l.close(c)
		return
	}
	l.ready(c, max(at, c.asked))
}

// conclude records the answer to c's request.
func (l *loop) conclude(c *conn, status int, body []byte, at time.Duration) {
	c.served = true
	l.inFlight--
	l.waiting.remove(c)
	at = max(at, c.asked)
	l.usual += (at - c.asked - l.usual) / 32
	l.rec.answered(c.k, moment{c.due, c.asked, at}, status, c.want, c.sampled, body)
}

// ended handles the server's close.
func (l *loop) ended(c *conn) {
	if c.stream != nil {
		l.broke(c, unix.ECONNRESET)
		return
	}
	if c.state == busy {
		if err := c.answer.EOF(); err != nil {
			if !c.answer.Begun() {
				err = unix.ECONNRESET // it said nothing: the connection broke, the protocol did not
			}
			l.broke(c, err)
			return
		}
		l.finish(c, l.now)
	}
	l.close(c)
}

// broke closes a broken connection and fails the request that it carried. A
// connection that breaks while idle costs no request; one that cannot be opened
// fails the arrival that it was opened for.
func (l *loop) broke(c *conn, err error) {
	switch c.state {
	case busy:
		if l.lostIdle(c, err) && l.askAgain(c) {
			break
		}
		l.inFlight--
		l.rec.fail(failureOf(err, false), err)
	case connecting, opening:
		l.refusal = err
		if c.again {
			l.inFlight--
			l.rec.fail(failureOf(err, true), err)
		} else if l.window.Listen {
			l.rec.fail(failureOf(err, true), err)
		} else if l.more && l.next <= l.now {
			l.rec.fail(failureOf(err, true), err)
			l.pass()
		}
	case listening:
		l.rec.fail(failureOf(err, false), err)
	}
	if l.window.Listen {
		l.reopen = l.now + reopenAfter
	}
	l.close(c)
}

// lostIdle reports whether c's request may have met a server that was just about
// to close an idle connection, which any client has to expect (RFC 9112 §9.3.1).
func (l *loop) lostIdle(c *conn, err error) bool {
	return c.served && c.stream == nil && l.stop == nil && !c.answer.Begun() && isSafe(c.out) && failureOf(err, false) == showdown.FailReset
}

// askAgain opens a connection for c's request. It happens once: the new
// connection has never been idle.
func (l *loop) askAgain(c *conn) bool {
	other := l.take()
	other.k, other.due, other.again = c.k, c.due, true
	return l.begin(other) == nil
}

// cleanUp looks after deadlines, cancellation and progress.
func (l *loop) cleanUp(ctx context.Context) {
	l.cleaned = l.now
	l.gathering.next(l.now, l.rec.OK)
	for c := l.waiting.first; c != nil && l.now-c.asked > l.target.Timeout; c = l.waiting.first {
		l.broke(c, context.DeadlineExceeded)
	}
	if s := l.window.Schedule; s != nil && l.more && l.now > s.Length()+l.target.Timeout {
		l.stopSending() // the schedule is long over, and these never got a connection
	}
	switch {
	case ctx.Err() != nil:
		if l.stop == nil {
			l.stop = ctx.Err() // what is in flight may still be answered
			l.stopSending()
		}
	case l.window.GiveUp > 0 && l.now-l.oldest() > l.window.GiveUp:
		l.stop = errGaveUp
	}
	l.fill()
	if l.rec.interval != nil && l.now-l.beaten >= beat {
		l.beat(false)
	}
}

// oldest is when the oldest unanswered request fell due.
func (l *loop) oldest() time.Duration {
	oldest := l.now
	if l.arrivals != nil && l.more {
		oldest = min(oldest, l.next)
	}
	for c := l.waiting.first; c != nil; c = c.next {
		if c.state == busy || c.again {
			return min(oldest, c.due) // the list is in the order of sending, which is the order of falling due
		}
	}
	return oldest
}

// beat hands over what happened, unless the last part has not been taken yet:
// a loop never waits for those who watch.
func (l *loop) beat(last bool) {
	var fresh *interval
	select {
	case fresh = <-l.spare:
	default:
		if !last {
			return
		}
	}
	i, cpu := l.rec.interval, threadCPU()
	i.until, i.inFlight, i.connections, i.cpu = l.now, l.inFlight, l.live, cpu-l.cpu
	l.rec.interval, l.beaten, l.cpu = fresh, l.now, cpu
	l.told <- i
}

// stopSending ends the schedule now. Arrivals that fell due and were not sent
// are failures; those still to come are none.
func (l *loop) stopSending() {
	for l.more && l.next <= l.now && l.arrivals != nil {
		l.rec.fail(showdown.FailUnsent, errUnsent)
		l.advance()
	}
	if l.more {
		l.rec.takeBack()
		l.more = false
	}
}

var errUnsent = errors.New("no connection became free in time")

// open begins a connection; it reports whether one is under way.
func (l *loop) open() bool {
	c := l.take()
	return l.begin(c) == nil && c.state != closed
}

// begin begins to connect c. It fails when there is no socket to be had; arrivals
// then wait for the connections there are.
func (l *loop) begin(c *conn) error {
	c.state = connecting
	l.live++
	l.opened++
	l.opening++
	l.wait(c)
	err := l.driver.open(c)
	if err != nil {
		l.refusal = err
		l.close(c)
	}
	return err
}

// take gives a closed connection to be opened.
func (l *loop) take() *conn {
	if n := len(l.free); n > 0 {
		c := l.free[n-1]
		l.free = l.free[:n-1]
		return c
	}
	c := &conn{index: int32(len(l.conns)), fd: -1, answer: wire.Response{Memo: &l.memo}}
	l.conns = append(l.conns, c)
	return c
}

// close begins to close a connection.
func (l *loop) close(c *conn) {
	if c.list != nil {
		c.list.remove(c)
	}
	if c.state == connecting || c.state == opening {
		l.opening--
	}
	l.live--
	c.state, c.stream, c.served, c.again = closed, nil, false, false
	l.driver.close(c)
}

// retire makes a closed connection ready to be opened again.
func (l *loop) retire(c *conn) {
	c.epoch++
	l.free = append(l.free, c)
}

// list is a doubly linked list of connections. A connection is in one at most.
type list struct {
	first, last *conn
	n           int
}

func (q *list) push(c *conn) {
	c.list, c.previous, c.next = q, q.last, nil
	if q.last == nil {
		q.first = c
	} else {
		q.last.next = c
	}
	q.last = c
	q.n++
}

func (q *list) remove(c *conn) {
	if c.previous == nil {
		q.first = c.next
	} else {
		c.previous.next = c.next
	}
	if c.next == nil {
		q.last = c.previous
	} else {
		c.next.previous = c.previous
	}
	c.list, c.previous, c.next = nil, nil, nil
	q.n--
}
