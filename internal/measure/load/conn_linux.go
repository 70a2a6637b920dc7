package load

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/measure/wire"
	"github.com/backend-showdown/showdown/internal/showdown"
)

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
	// wait sleeps until something has come, but not beyond an offset, and tells
	// what happened: connected, received, skipped, ended or broke. For the length
	// of gather it may sleep on until that many answers have come.
	wait(answers int, gather, until time.Duration) error
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
