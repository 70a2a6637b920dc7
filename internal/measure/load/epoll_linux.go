package load

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const readBuffer = 64 << 10

// epoll drives a loop by readiness: it works on every Linux.
type epoll struct {
	loop   *loop
	fd     int
	events []unix.EpollEvent
	buffer []byte
	// What recvmsg needs; on the heap, for the kernel writes to it.
	message unix.Msghdr
	vector  unix.Iovec
	control [stampSize]byte
}

// watched is asked for once and for all, and told when it changes: interest in
// writing need not come and go with each request, and what has been read is not
// looked at again.
const watched = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&(1<<32-1)

func newEpoll(l *loop) (driver, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	e := &epoll{loop: l, fd: fd, events: make([]unix.EpollEvent, 512), buffer: make([]byte, readBuffer)}
	e.vector.Base = &e.buffer[0]
	e.message.Iov, e.message.Iovlen, e.message.Control = &e.vector, 1, &e.control[0]
	return e, nil
}

func (e *epoll) prepare() {}

func (e *epoll) flush() {} // nothing is queued

func (e *epoll) name() string { return "epoll" }

func (e *epoll) release() {
	for _, c := range e.loop.conns {
		if c.fd >= 0 {
			_ = unix.Close(int(c.fd))
		}
	}
	_ = unix.Close(e.fd)
}

func (e *epoll) open(c *conn) error {
	fd, err := newSocket(e.loop.address)
	if err != nil {
		return err
	}
	c.fd = int32(fd)
	ev := unix.EpollEvent{Events: watched, Fd: c.index}
	if err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return err
	}
	if err := unix.Connect(fd, e.loop.address); err != nil && err != unix.EINPROGRESS {
		e.loop.broke(c, err)
	}
	return nil
}

func (e *epoll) close(c *conn) {
	if c.fd >= 0 {
		_ = unix.Close(int(c.fd))
		c.fd = -1
	}
	e.loop.retire(c)
}

func (e *epoll) send(c *conn) {
	for c.written < len(c.out) {
		rest := c.out[c.written:]
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(&rest[0])), uintptr(len(rest)), unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			c.written += int(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return // until it is told that there is room
		default:
			e.loop.broke(c, errno)
			return
		}
	}
}

func (e *epoll) wait(answers int, gather, until time.Duration) error {
	l, n, err := e.loop, 0, error(nil)
	patience := time.Duration(0)
	if until > l.now {
		patience = max(0, until-time.Since(l.start))
	}
	if gather = min(gather, patience); gather > 0 {
		if gather < patience {
			n, err = e.poll(0)
		}
		if n == 0 && err == nil {
			nap(gather)
			patience -= gather
			n, err = e.poll(max(0, patience))
		}
	} else {
		n, err = e.poll(patience)
	}
	if err != nil {
		return fmt.Errorf("wait for events: %w", err)
	}
	l.tick()
	for i := range e.events[:n] {
		ev := &e.events[i]
		c := l.conns[ev.Fd]
		if c.state != closed && ev.Events&unix.EPOLLOUT != 0 {
			e.writable(c)
		}
		if c.state != closed && ev.Events&^unix.EPOLLOUT != 0 {
			e.read(c, ev.Events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0)
		}
	}
	return nil
}

// poll looks for events; it sleeps with nanosecond resolution where the kernel
// can (Linux 5.11).
func (e *epoll) poll(patience time.Duration) (int, error) {
	events, room := uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events))
	var n uintptr
	var errno unix.Errno
	if patience == 0 {
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), events, room, 0, 0, 0)
	} else {
		ts := unix.NsecToTimespec(int64(patience))
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.fd), events, room, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno == unix.ENOSYS {
			n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), events, room, uintptr(patience/time.Millisecond), 0, 0)
		}
	}
	if errno == unix.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// nap sleeps without being woken by answers.
func nap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_, _, _ = unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, 0, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
}

func (e *epoll) writable(c *conn) {
	if c.state != connecting {
		e.send(c)
		return
	}
	if err := socketError(int(c.fd)); err != nil {
		e.loop.broke(c, err)
		return
	}
	e.loop.connected(c)
}

// read takes what has arrived on c; all of it, if it is the last.
func (e *epoll) read(c *conn, last bool) {
	l := e.loop
	for {
		flags, room := uintptr(0), len(e.buffer)
		skip := c.discardable()
		if skip > 0 {
			// TCP throws away what MSG_TRUNC asks for without copying it.
			flags, room = unix.MSG_TRUNC, int(min(skip, 1<<30))
		}
		n, stamp, errno := e.receive(c, room, flags)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			return
		case errno != 0:
			l.broke(c, errno)
			return
		case n == 0:
			l.ended(c)
			return
		case skip > 0:
			l.skipped(c, n, l.at(stamp))
		default:
			l.received(c, e.buffer[:n], l.at(stamp))
		}
		if c.state == closed || n < room && !last {
			return
		}
	}
}

// receive is recvfrom in a closed loop, and recvmsg with the kernel's timestamp
// where latency is claimed.
func (e *epoll) receive(c *conn, room int, flags uintptr) (n int, stamp int64, errno unix.Errno) {
	if e.loop.rec.Closed {
		r, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&e.buffer[0])), uintptr(room), flags, 0, 0)
		return int(r), 0, errno
	}
	e.vector.SetLen(room)
	e.message.SetControllen(stampSize)
	r, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(c.fd), uintptr(unsafe.Pointer(&e.message)), flags)
	if errno != 0 {
		return 0, 0, errno
	}
	return int(r), stampOf(&e.control, uint64(e.message.Controllen)), 0
}

// reply sends the frame that is owed behind what is still to be sent.
func (e *epoll) reply(c *conn) {
	if c.written == len(c.out) {
		c.out, c.written = c.out[:0], 0
	}
	c.out = append(c.out, c.stream.owed...)
	e.send(c)
}

func (e *epoll) replying(*conn) bool { return false } // it is copied
