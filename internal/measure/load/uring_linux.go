package load

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// uring drives a loop by completion. Sockets live only in the ring's own table
// of files, so that they take no descriptor; what is received lands in a few
// buffers that all connections share. It needs Linux 6.1.
type uring struct {
	loop *loop
	ring *ring
	// What recvmsg needs, one for each connection; outside Go's heap.
	messages []message
	memory   []byte
	together int              // sends that are submitted in one go
	owed     map[int32][]byte // control frames under way, by connection
	cap      int              // connections that the table of files has room for
	// The server's address as the kernel reads it: an IPv4 one is a prefix of the room.
	address     unix.RawSockaddrInet6
	addressSize uintptr
}

// message is what the kernel reads and writes when it receives with a timestamp.
type message struct {
	header  unix.Msghdr
	vector  unix.Iovec
	control [stampSize]byte
	_       [8]byte
}

const (
	bufferCount = 256 // shared receive buffers; a power of two
	bufferSize  = 16 << 10
	firstBytes  = 4 << 10  // of answers that are discarded, what is read for the head's sake
	manySends   = 16       // sends submitted together where none has its own moment; more would leave the server idle meanwhile
	quietSend   = 16 << 10 // a request this small is sent whole or not at all, so its success need not be told
	mostFiles   = 1 << 18
)

// Kinds of operation, kept in a completion's user data beside the connection's
// index and epoch.
const (
	opConnect = iota
	opSend
	opSendQuietly
	opReceive
	opReply
)

// cancelData marks the completion of a cancellation that found nothing: what it
// was for has just ended by itself.
const cancelData = ^uint64(0)

// Flags of a connection.
const (
	receiving  = 1 << iota // a receive is under way
	discarding             // and throws away what it receives
	withStamp              // and has a timestamp
	repeating              // and goes on by itself
	sending                // a large request is under way
	replying               // a control frame is, or waits for that
)

func userData(c *conn, op uint64) uint64 {
	return uint64(uint32(c.index)) | op<<32 | uint64(c.epoch)<<48
}

func newUring(l *loop) (driver, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("read the limit of descriptors: %w", err)
	}
	u := &uring{loop: l, owed: map[int32][]byte{}, cap: int(min(limit.Cur, mostFiles, uint64(l.target.Max+mostOpening)))}
	var err error
	if u.ring, err = newRing(u.cap); err != nil {
		return nil, err
	}
	if u.memory, err = unix.Mmap(-1, 0, u.cap*int(unsafe.Sizeof(message{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
		u.release()
		return nil, fmt.Errorf("map memory for messages: %w", err)
	}
	u.setAddress(l.address)
	u.messages = unsafe.Slice((*message)(unsafe.Pointer(&u.memory[0])), u.cap)
	return u, nil
}

func (u *uring) setAddress(address unix.Sockaddr) {
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		raw := (*unix.RawSockaddrInet4)(unsafe.Pointer(&u.address))
		*raw = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: bigEndian(a.Port), Addr: a.Addr}
		u.addressSize = unix.SizeofSockaddrInet4
	case *unix.SockaddrInet6:
		u.address = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: bigEndian(a.Port), Addr: a.Addr, Scope_id: a.ZoneId}
		u.addressSize = unix.SizeofSockaddrInet6
	}
}

// bigEndian gives a port the order of bytes that the network has.
func bigEndian(port int) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, uint16(port)))
}

func (u *uring) flush() {
	if u.ring.unsubmitted > 0 {
		u.ring.submit()
	}
}

func (u *uring) name() string { return "io_uring" }

func (u *uring) release() {
	u.ring.close()
	if u.memory != nil {
		_ = unix.Munmap(u.memory)
	}
}

// open connects by a descriptor and hands it to the ring's table.
func (u *uring) open(c *conn) error {
	if int(c.index) >= u.cap {
		return unix.EMFILE
	}
	fd, err := newSocket(u.loop.address)
	if err != nil {
		return err
	}
	err = u.ring.place(c.index, int32(fd))
	_ = unix.Close(fd)
	if err != nil {
		return fmt.Errorf("give the ring a socket: %w", err)
	}
	c.fd, c.flags, c.ops = c.index, 0, 1
	s := u.ring.sqe()
	s.opcode, s.flags, s.fd = sqeConnect, sqeFixedFile, c.fd
	s.addr, s.offset = uint64(uintptr(unsafe.Pointer(&u.address))), uint64(u.addressSize)
	s.userData = userData(c, opConnect)
	return nil
}

// send sends the request. A small one is sent whole when it is submitted; a
// large one may take its time, and its memory must stay until it is told.
func (u *uring) send(c *conn) {
	quiet := len(c.out) <= quietSend
	op := uint64(opSend)
	if quiet {
		op = opSendQuietly
	}
	if u.ring.sends >= u.together {
		u.ring.submit()
	}
	s := u.ring.sqe()
	s.opcode, s.flags, s.fd = sqeSend, sqeFixedFile, c.fd
	s.addr, s.length = uint64(uintptr(unsafe.Pointer(&c.out[0]))), uint32(len(c.out))
	s.opFlags = unix.MSG_NOSIGNAL | unix.MSG_WAITALL
	s.userData = userData(c, op)
	if quiet {
		s.flags |= sqeSkipSuccess
	} else {
		c.ops++
		c.flags |= sending
	}
	u.ring.sends++
}

// reply sends the frame that is owed; not into the middle of a large request.
func (u *uring) reply(c *conn) {
	c.flags |= replying
	if c.flags&sending != 0 {
		return
	}
	c.ops++
	owed := c.stream.owed
	s := u.ring.sqe()
	s.opcode, s.flags, s.fd = sqeSend, sqeFixedFile, c.fd
	s.addr, s.length = uint64(uintptr(unsafe.Pointer(&owed[0]))), uint32(len(owed))
	s.opFlags = unix.MSG_NOSIGNAL | unix.MSG_WAITALL
	s.userData = userData(c, opReply)
	u.owed[c.index] = owed // the kernel reads it, even when c has been closed meanwhile
}

func (u *uring) replying(c *conn) bool { return c.flags&replying != 0 }

// receive asks for what comes next on c.
func (u *uring) receive(c *conn) {
	if c.flags&receiving != 0 || c.state == closed {
		return
	}
	c.flags |= receiving
	c.ops++
	s := u.ring.sqe()
	s.flags, s.fd, s.userData = sqeFixedFile, c.fd, userData(c, opReceive)
	skip := c.discardable()
	if skip > 0 {
		c.flags |= discarding
		s.opFlags = unix.MSG_TRUNC // TCP throws away what MSG_TRUNC asks for without copying it
	} else {
		s.ioprio = receivePollFirst // nothing can be there yet
		s.flags |= sqeBufferSelect
		s.bufferGroup = bufferGroup
		if u.loop.discards && !c.sampled {
			s.length = firstBytes
		}
	}
	if u.loop.rec.Closed {
		s.opcode = sqeRecv
		if skip == 0 && !u.loop.discards {
			s.ioprio |= receiveMultishot
			c.flags |= repeating
		}
		if skip > 0 {
			s.addr, s.length = uint64(uintptr(unsafe.Pointer(u.ring.buffer(0)))), uint32(min(skip, 1<<30))
		}
		return
	}
	c.flags |= withStamp
	m := &u.messages[c.index]
	m.header.Iov, m.header.Iovlen = &m.vector, 1
	m.header.Control, m.header.Controllen = &m.control[0], uint64(stampSize)
	m.vector.Base, m.vector.Len = u.ring.buffer(0), bufferSize
	if skip > 0 {
		m.vector.Len = uint64(min(skip, 1<<30))
	}
	s.opcode, s.addr, s.length = sqeRecvmsg, uint64(uintptr(unsafe.Pointer(m))), 1
}

// close cancels what is under way on c; when the last operation has ended, c
// loses its place in the table and is retired.
func (u *uring) close(c *conn) {
	if c.fd < 0 {
		u.loop.retire(c)
		return
	}
	if c.ops == 0 {
		u.retire(c)
		return
	}
	switch {
	case c.flags&receiving != 0:
		u.cancel(userData(c, opReceive))
	case c.flags&(sending|replying) == 0:
		u.cancel(userData(c, opConnect))
	}
	if c.flags&sending != 0 {
		u.cancel(userData(c, opSend))
	}
}

// cancel ends an operation. It is found by its user data: by its file, the kernel
// would look through all operations.
func (u *uring) cancel(data uint64) {
	s := u.ring.sqe()
	s.opcode, s.flags, s.fd, s.addr = sqeAsyncCancel, sqeSkipSuccess, -1, data
	s.userData = cancelData
}

func (u *uring) retire(c *conn) {
	_ = u.ring.place(c.index, -1)
	c.fd = -1
	u.loop.retire(c)
}

// prepare suits the driver to a window.
func (u *uring) prepare() {
	u.together = 1 // what was noted as sent must not wait for the next one
	if u.loop.rec.Closed || u.loop.window.Slot > 0 {
		u.together = manySends
	}
}

func (u *uring) wait(answers int, gather, until time.Duration) error {
	if err := u.ring.enter(answers, gather, until, u.loop); err != nil {
		return fmt.Errorf("wait for completions: %w", err)
	}
	u.loop.tick()
	head := u.ring.cqHead.Load()
	for tail := u.ring.cqTail.Load(); head != tail; head++ {
		u.completed(&u.ring.cqes[head&u.ring.cqMask])
	}
	u.ring.cqHead.Store(head)
	u.ring.publish()
	return nil
}

// completed takes one completion.
func (u *uring) completed(e *cqe) {
	if e.userData == cancelData {
		return
	}
	l := u.loop
	c := l.conns[uint32(e.userData)]
	op := e.userData >> 32 & 0xffff
	if uint16(e.userData>>48) != c.epoch {
		return // a failed quiet send of a connection that is gone
	}
	if op != opSendQuietly && e.flags&cqeMore == 0 {
		c.ops--
	}
	switch op {
	case opSend:
		if c.flags &^= sending; c.flags&replying != 0 && c.state != closed {
			u.reply(c)
		}
	case opReply:
		c.flags &^= replying
		delete(u.owed, c.index)
	}
	if op == opReceive {
		u.received(c, e)
	} else if c.state != closed {
		switch {
		case op == opConnect:
			u.connected(c, e)
		case e.result < 0:
			l.broke(c, unix.Errno(-e.result))
		case op == opSendQuietly: // told although it should not be: it was cut short
			l.broke(c, unix.EPIPE)
		case op == opSend && int(e.result) < len(c.out):
			l.broke(c, unix.EPIPE)
		}
	}
	if c.state == closed && c.ops == 0 && c.fd >= 0 {
		u.retire(c)
	}
}

func (u *uring) connected(c *conn, e *cqe) {
	if e.result < 0 {
		u.loop.broke(c, unix.Errno(-e.result))
		return
	}
	u.loop.connected(c)
	u.receive(c)
}

func (u *uring) received(c *conn, e *cqe) {
	l := u.loop
	flags := c.flags
	if e.flags&cqeMore == 0 {
		c.flags &^= receiving | discarding | withStamp | repeating
	}
	buffer, has := e.buffer()
	if c.state != closed {
		u.arrived(c, e, flags, buffer)
	}
	if has {
		u.ring.recycle(buffer) // the kernel sees it when the round is over
	}
	if c.flags&repeating != 0 && (l.discards || !l.rec.Closed) && c.state != closed {
		u.cancel(userData(c, opReceive)) // it is asked anew, in the way that suits now
		return
	}
	u.receive(c)
}

// arrived tells what a receive brought.
func (u *uring) arrived(c *conn, e *cqe, flags uint8, buffer uint16) {
	l := u.loop
	at := l.now
	if flags&withStamp != 0 && e.result > 0 {
		m := &u.messages[c.index]
		at = l.at(stampOf(&m.control, uint64(m.header.Controllen)))
	}
	switch n := int(e.result); {
	case n == -int(unix.ENOBUFS): // all buffers are full: this round's end frees them
	case n == -int(unix.EINTR), n == -int(unix.EAGAIN), n == -int(unix.ECANCELED):
	case n < 0:
		l.broke(c, unix.Errno(-n))
	case n == 0:
		l.ended(c)
	case flags&discarding != 0:
		l.skipped(c, n, at)
	default:
		l.received(c, unsafe.Slice(u.ring.buffer(buffer), bufferSize)[:n], at)
	}
}
