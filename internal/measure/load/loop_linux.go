package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
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

const housekeeping = 20 * time.Millisecond // how often timeouts and cancellation are looked at

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
	epoch     int64 // start on the monotonic clock of the kernel, in nanoseconds
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
		if err := l.driver.wait(1, 0, l.now+housekeeping); err != nil {
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
	var mono unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) // it never fails
	l.epoch = mono.Nano() - int64(time.Since(start))
	l.cleaned, l.beaten, l.yielded = 0, 0, 0
	l.tick()
}

// tick reads the clocks: the monotonic one for offsets, and the wall clock to
// read the kernel's receive timestamps by.
func (l *loop) tick() {
	if l.rec == nil || l.rec.Closed {
		l.now = time.Since(l.start) // no stamps are read
		return
	}
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
		answers, gather, until := l.patience()
		if until-l.now > yieldTakes && l.now-l.yielded > yieldEvery {
			l.driver.flush()
			runtime.Gosched()
			l.yielded = l.now
		}
		if err := l.driver.wait(answers, gather, until); err != nil {
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
	if errors.Is(l.stop, errGaveUp) {
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
		if c.state == busy || c.again {
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
		l.more = w.goesOn(l.k, l.now)
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
