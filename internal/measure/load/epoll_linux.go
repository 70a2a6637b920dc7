package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/measure/wire"
	"github.com/backend-showdown/showdown/internal/showdown"
)

const (
	readBuffer   = 64 << 10
	housekeeping = 20 * time.Millisecond // how often timeouts and cancellation are looked at
	reportEvery  = 200 * time.Millisecond
)

// epoll is the event loop: one locked thread, raw non-blocking sockets, no
// goroutine per connection.
type epoll struct {
	target  Target
	address unix.Sockaddr
	domain  int
	fd      int
	conns   []*conn
	spare   []*conn // closed ones, to be opened again
	idle    queue
	opening int // connections under way
	opened  int // over the engine's life
	events  []unix.EpollEvent
	buffer  []byte
}

type connState uint8

const (
	closed connState = iota
	connecting
	idle
	busy
)

// conn is one connection and the request that it carries.
type conn struct {
	index    int
	fd       int
	state    connState
	answer   wire.Response
	out      []byte // the request; out[written:] is still to be sent
	written  int
	k        uint64
	want     int
	due      time.Duration
	sent     time.Duration
	since    time.Duration // when connecting began
	free     time.Duration // when it became ready for a request
	sampled  bool
	body     []byte
	watching bool // also for writability
}

func newEpoll(target Target) (Engine, error) {
	address, err := netip.ParseAddrPort(target.Address)
	if err != nil {
		resolved, err := net.ResolveTCPAddr("tcp", target.Address)
		if err != nil {
			return nil, showdown.Errorf(showdown.Environment, "", "resolve %s: %w", target.Address, err)
		}
		address = resolved.AddrPort()
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	e := &epoll{target: target, fd: fd, events: make([]unix.EpollEvent, 256), buffer: make([]byte, readBuffer)}
	if ip := address.Addr().Unmap(); ip.Is4() {
		e.domain, e.address = unix.AF_INET, &unix.SockaddrInet4{Port: int(address.Port()), Addr: ip.As4()}
	} else {
		e.domain, e.address = unix.AF_INET6, &unix.SockaddrInet6{Port: int(address.Port()), Addr: ip.As16()}
	}
	return e, nil
}

func (e *epoll) Name() string { return "epoll" }

func (e *epoll) Close() {
	for _, c := range e.conns {
		e.close(c)
	}
	_ = unix.Close(e.fd)
}

// Run plays the window on a thread of its own, which ends with it: its priority
// and timer slack must not stick to other goroutines.
func (e *epoll) Run(ctx context.Context, w Window, t Traffic) (*Result, error) {
	type outcome struct {
		result *Result
		err    error
	}
	out := make(chan outcome, 1)
	go func() {
		runtime.LockOSThread()
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -10) // where allowed: METHOD.md, lag under competition
		r, err := newLoop(e, w, t).run(ctx)
		out <- outcome{r, err}
	}()
	o := <-out
	return o.result, o.err
}

// loop is one window under way.
type loop struct {
	*epoll
	window   Window
	arrivals pace.Arrivals
	rec      *recorder
	start    time.Time
	now      time.Duration
	next     time.Duration // when the next arrival is due
	more     bool          // whether there is a next arrival
	k        uint64        // its index
	inFlight int
	cleaned  time.Duration
	reported time.Duration
	refusal  error // why the last connection could not be opened
	stop     error // why the window ends early
}

func newLoop(e *epoll, w Window, t Traffic) *loop {
	l := &loop{epoll: e, window: w, rec: newRecorder(&w, t, e.Name())}
	if w.Schedule != nil {
		l.arrivals = w.Schedule.Arrivals()
	}
	return l
}

func (l *loop) run(ctx context.Context) (*Result, error) {
	if err := l.connect(ctx); err != nil {
		return nil, err
	}
	cpu := processCPU()
	l.start, l.now, l.cleaned = time.Now(), 0, 0
	for _, c := range l.conns {
		c.free = 0
	}
	l.advance()
	for (l.more || l.inFlight > 0) && !errors.Is(l.stop, errGaveUp) {
		l.now = time.Since(l.start)
		l.sendDue()
		if l.now-l.cleaned >= housekeeping {
			l.cleanUp(ctx, cpu)
		}
		if err := l.wait(l.patience()); err != nil {
			return nil, err
		}
	}
	l.rec.Elapsed = time.Since(l.start)
	if errors.Is(l.stop, errGaveUp) {
		l.rec.Aborted, l.stop = true, nil
		l.stopSending()
		for _, c := range l.conns {
			if c.state == busy {
				l.lose(c, context.DeadlineExceeded)
			}
		}
	}
	l.rec.CPU = processCPU() - cpu
	l.rec.Connections = l.opened
	l.rec.check()
	return &l.rec.Result, l.stop
}

var errGaveUp = errors.New("answers piled up")

// advance moves to the next arrival.
func (l *loop) advance() {
	if l.arrivals != nil {
		if l.next, l.more = l.arrivals.Next(); l.more {
			l.rec.Due++
		}
		return
	}
	l.next = l.now
	l.more = (l.window.Count == 0 || l.k < l.window.Count) && (l.window.Length == 0 || l.now < l.window.Length)
	if l.more {
		l.rec.Due++
	}
}

// sendDue sends every arrival that is due while there is a connection for it.
func (l *loop) sendDue() {
	for l.more && l.next <= l.now {
		if c := l.idle.pop(); c != nil {
			l.send(c)
			l.k++
			l.now = time.Since(l.start)
			l.advance()
		} else if !l.openMore() {
			return
		}
	}
}

// openMore opens a connection when more arrivals wait than connections are
// under way and the cap allows it. It reports whether to look again at once: a
// connection has begun, or the arrival has failed for want of one. In a closed
// loop a refusal is no reason to try again at once: it would never end.
func (l *loop) openMore() bool {
	most := l.target.Max
	if l.window.Schedule == nil {
		most = l.target.Open // a closed loop has as many clients as it was given
	}
	if len(l.conns)-len(l.spare) >= most || l.opening >= l.waiting() {
		return false
	}
	before := l.k
	return l.open() || l.window.Schedule != nil && l.k != before
}

// waiting estimates how many arrivals are due and unsent.
func (l *loop) waiting() int {
	if l.window.Schedule == nil {
		return l.target.Open
	}
	return 1 + int((l.now-l.next).Seconds()*l.window.Schedule.Rate())
}

func (l *loop) send(c *conn) {
	c.state, c.k, c.due = busy, l.k, l.next
	c.out, c.want = l.rec.traffic.Append(c.out[:0], c.k)
	c.written = 0
	c.sampled = l.rec.sampled(c.k)
	c.body = c.body[:0]
	c.answer.Reset(isHead(c.out))
	l.inFlight++
	c.sent = time.Since(l.start)
	l.rec.sent(max(c.due, c.free), c.sent)
	l.write(c)
}

func (l *loop) write(c *conn) {
	for c.written < len(c.out) {
		n, err := unix.SendmsgN(c.fd, c.out[c.written:], nil, nil, unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			c.written += n
		case unix.EINTR:
		case unix.EAGAIN:
			l.watch(c, true)
			return
		default:
			l.lose(c, err)
			return
		}
	}
	if c.watching {
		l.watch(c, false)
	}
}

// patience is how long nothing needs to be done unless something arrives.
func (l *loop) patience() time.Duration {
	until := l.cleaned + housekeeping
	if l.more && (l.idle.n > 0 || l.next > l.now) {
		until = min(until, l.next)
	}
	return max(0, until-time.Since(l.start))
}

// wait sleeps until something arrives or patience ends, and handles what arrived.
func (l *loop) wait(patience time.Duration) error {
	n, err := epollWait(l.fd, l.events, patience)
	if err != nil {
		return fmt.Errorf("wait for events: %w", err)
	}
	l.now = time.Since(l.start)
	for _, ev := range l.events[:n] {
		c := l.conns[ev.Fd]
		if c.state != closed && ev.Events&unix.EPOLLOUT != 0 {
			l.writable(c)
		}
		if c.state != closed && ev.Events&^unix.EPOLLOUT != 0 {
			l.read(c)
		}
	}
	return nil
}

func (l *loop) writable(c *conn) {
	switch c.state {
	case connecting:
		if code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
			l.lose(c, syscall.Errno(code))
			return
		}
		l.watch(c, false)
		l.opening--
		c.state, c.free = idle, l.now
		l.idle.push(c)
	case busy:
		l.write(c)
	}
}

// read takes what has arrived on c.
func (l *loop) read(c *conn) {
	for {
		n, err := unix.Read(c.fd, l.buffer)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return
		case err != nil:
			l.lose(c, err)
			return
		case n == 0:
			l.ended(c)
			return
		}
		l.rec.Bytes += uint64(n)
		if !l.feed(c, l.buffer[:n]) || n < len(l.buffer) {
			return
		}
	}
}

// feed gives arrived bytes to the parser; it reports whether c is still open.
func (l *loop) feed(c *conn, b []byte) bool {
	if c.state != busy {
		l.lose(c, &wire.ProtocolError{What: "bytes without a request"})
		return false
	}
	var body *[]byte
	if c.sampled {
		body = &c.body
	}
	n, done, err := c.answer.Feed(b, body)
	switch {
	case err != nil:
		l.lose(c, err)
		return false
	case done && n < len(b):
		l.lose(c, &wire.ProtocolError{What: "bytes beyond the answer"})
		return false
	case done:
		l.finish(c)
	}
	return c.state != closed
}

func (l *loop) finish(c *conn) {
	l.inFlight--
	done := time.Since(l.start)
	l.rec.answered(c.k, moment{c.due, c.sent, done}, c.answer.Status, c.want, c.sampled, c.body)
	if !c.answer.KeepAlive {
		l.close(c)
		return
	}
	c.state, c.free = idle, done
	l.idle.push(c)
}

// ended handles the server's close.
func (l *loop) ended(c *conn) {
	if c.state == busy {
		if err := c.answer.EOF(); err != nil {
			if !c.answer.Begun() {
				err = unix.ECONNRESET // it said nothing: the connection broke, the protocol did not
			}
			l.lose(c, err)
			return
		}
		l.finish(c)
	}
	l.close(c)
}

// lose closes a broken connection and fails the request that it carried. A
// connection that breaks while idle costs no request; one that cannot be opened
// fails the arrival that it was opened for.
func (l *loop) lose(c *conn, err error) {
	switch c.state {
	case busy:
		l.inFlight--
		l.rec.fail(failureOf(err, false), err)
	case connecting:
		l.refusal = err
		if l.more && l.next <= l.now {
			l.rec.fail(failureOf(err, true), err)
			l.k++
			l.advance()
		}
	}
	l.close(c)
}

// cleanUp looks for what no event tells: timeouts, cancellation, a server past
// its capacity.
func (l *loop) cleanUp(ctx context.Context, cpu time.Duration) {
	l.cleaned = l.now
	oldest := l.now
	for _, c := range l.conns {
		switch {
		case c.state == busy && l.now-c.sent > l.target.Timeout,
			c.state == connecting && l.now-c.since > l.target.Timeout:
			l.lose(c, context.DeadlineExceeded)
		case c.state == busy:
			oldest = min(oldest, c.due)
		}
	}
	if s := l.window.Schedule; s != nil && l.more {
		oldest = min(oldest, l.next)
		if l.now > s.Length()+l.target.Timeout {
			l.stopSending() // the schedule is long over, and these never got a connection
		}
	}
	switch {
	case ctx.Err() != nil:
		l.stop = ctx.Err() // what is in flight may still be answered
		l.stopSending()
	case l.window.GiveUp > 0 && l.now-oldest > l.window.GiveUp:
		l.stop = errGaveUp
	}
	if p := l.window.Progress; p != nil && l.now-l.reported >= reportEvery {
		l.reported = l.now
		p(l.rec.snapshot(l.now, l.inFlight, processCPU()-cpu))
	}
}

// stopSending ends the schedule now. Arrivals that fell due and were not sent
// are failures; those still to come are none.
func (l *loop) stopSending() {
	for l.more && l.next <= l.now && l.window.Schedule != nil {
		l.rec.fail(showdown.FailUnsent, errors.New("no connection became free in time"))
		l.advance()
	}
	if l.more {
		l.rec.Due--
		l.more = false
	}
}

// connect opens the first connections, and forgets those that the server closed
// since the last window. It fails when not a single one can be had.
func (l *loop) connect(ctx context.Context) error {
	l.start = time.Now()
	if err := l.wait(0); err != nil { // an idle connection that was closed says so at once
		return err
	}
	for len(l.conns)-len(l.spare) < l.target.Open && l.open() {
	}
	for l.opening > 0 && time.Since(l.start) < l.target.Timeout && ctx.Err() == nil {
		if err := l.wait(housekeeping); err != nil {
			return err
		}
	}
	if l.idle.n == 0 && ctx.Err() == nil {
		if l.refusal == nil {
			l.refusal = context.DeadlineExceeded
		}
		return showdown.Errorf(showdown.Environment, "is the server running, and is this its address?", "connect to %s: %w", l.target.Address, l.refusal)
	}
	return ctx.Err()
}

// open begins a connection; it reports whether one is under way.
func (l *loop) open() bool {
	fd, err := unix.Socket(l.domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		l.refusal = err
		return false // out of descriptors: arrivals wait for the connections there are
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	c := l.take()
	c.fd, c.state, c.watching, c.since = fd, connecting, true, l.now
	l.opened++
	l.opening++
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(c.index)}
	err = unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, fd, &ev)
	if err == nil {
		err = unix.Connect(fd, l.address)
	}
	if err != nil && err != unix.EINPROGRESS {
		l.lose(c, err)
		return false
	}
	return true
}

// take gives a closed connection to be opened.
func (e *epoll) take() *conn {
	if n := len(e.spare); n > 0 {
		c := e.spare[n-1]
		e.spare = e.spare[:n-1]
		return c
	}
	c := &conn{index: len(e.conns), fd: -1}
	e.conns = append(e.conns, c)
	return c
}

func (e *epoll) watch(c *conn, writable bool) {
	if c.watching == writable {
		return
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.index)}
	if writable {
		ev.Events |= unix.EPOLLOUT
	}
	_ = unix.EpollCtl(e.fd, unix.EPOLL_CTL_MOD, c.fd, &ev)
	c.watching = writable
}

func (e *epoll) close(c *conn) {
	switch c.state {
	case closed:
		return
	case idle:
		e.idle.remove(c)
	case connecting:
		e.opening--
	}
	_ = unix.Close(c.fd)
	c.fd, c.state, c.watching = -1, closed, false
	e.spare = append(e.spare, c)
}

// epollWait sleeps with nanosecond resolution; plain epoll_wait has milliseconds.
func epollWait(fd int, events []unix.EpollEvent, patience time.Duration) (int, error) {
	ts := unix.NsecToTimespec(int64(patience))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	case unix.ENOSYS: // before Linux 5.11
		n, err := unix.EpollWait(fd, events, int(patience/time.Millisecond))
		if err == unix.EINTR {
			return 0, nil
		}
		return n, err
	}
	return 0, errno
}

// queue holds idle connections first in, first out, so that all of them get
// their share of requests.
type queue struct {
	ring []*conn
	head int
	n    int
}

func (q *queue) push(c *conn) {
	if q.n == len(q.ring) {
		grown := make([]*conn, max(64, 2*q.n))
		for i := range q.n {
			grown[i] = q.ring[(q.head+i)%len(q.ring)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)%len(q.ring)] = c
	q.n++
}

func (q *queue) pop() *conn {
	if q.n == 0 {
		return nil
	}
	c := q.ring[q.head]
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	return c
}

// remove is rare: a server closed an idle connection.
func (q *queue) remove(c *conn) {
	for range q.n {
		if other := q.pop(); other != c {
			q.push(other)
		}
	}
}
