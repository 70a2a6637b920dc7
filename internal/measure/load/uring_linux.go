package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
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

func (u *uring) wait(answers int, gather, patience time.Duration) error {
	if err := u.ring.enter(answers, gather, patience); err != nil {
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

// ring is one io_uring with a table of files and a pool of receive buffers.
// See io_uring_setup(2) and io_uring_enter(2).
type ring struct {
	fd          int
	rings, ops  []byte // mapped
	pool        []byte // the buffers, and after them the ring that hands them to the kernel
	sqTail      *atomic.Uint32
	sqHead      *atomic.Uint32
	sqMask      uint32
	sqes        []sqe
	tail        uint32 // of the submissions, not yet published
	unsubmitted uint32
	sends       int // unsubmitted ones
	cqHead      *atomic.Uint32
	cqTail      *atomic.Uint32
	cqMask      uint32
	cqes        []cqe
	buffers     []poolEntry
	poolTail    uint16
	minWait     bool // the kernel can gather completions
	argument    getEventsArgument
	patience    unix.Timespec
	update      filesUpdate
	placed      int32
}

const (
	sqEntries   = 512
	cqEntries   = 8192
	bufferGroup = 1

	setupCQSize       = 1 << 3
	setupClamp        = 1 << 4
	setupSubmitAll    = 1 << 7
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13
	featureSingleMmap = 1 << 0
	featureNoDrop     = 1 << 1
	featureExtArg     = 1 << 8
	featureMinTimeout = 1 << 15
	offsetSQEs        = 0x10000000

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	registerFilesUpdate = 6
	registerFiles2      = 13
	registerPbufRing    = 22
	registerSparse      = 1 << 0

	sqeRecvmsg     = 10
	sqeAsyncCancel = 14
	sqeConnect     = 16
	sqeSend        = 26
	sqeRecv        = 27

	sqeFixedFile    = 1 << 0
	sqeBufferSelect = 1 << 5
	sqeSkipSuccess  = 1 << 6

	receivePollFirst = 1 << 0
	receiveMultishot = 1 << 1

	cqeBuffer = 1 << 0
	cqeMore   = 1 << 1
)

type setupParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

type sqe struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	offset, addr  uint64
	length        uint32
	opFlags       uint32
	userData      uint64
	bufferGroup   uint16
	_             uint16
	_             int32
	_             [2]uint64
}

type cqe struct {
	userData uint64
	result   int32
	flags    uint32
}

// buffer is the number of the pool's buffer that holds the result, if any.
func (e *cqe) buffer() (uint16, bool) { return uint16(e.flags >> 16), e.flags&cqeBuffer != 0 }

type poolEntry struct {
	addr   uint64
	length uint32
	id     uint16
	tail   uint16 // only of the first entry: where the kernel finds the pool's end
}

type getEventsArgument struct {
	sigmask     uint64
	sigmaskSize uint32
	minWaitUsec uint32
	ts          uint64
}

type filesUpdate struct {
	offset, _ uint32
	fds       uint64
}

func newRing(files int) (*ring, error) {
	p := setupParams{
		flags:     setupCQSize | setupClamp | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun,
		cqEntries: cqEntries,
	}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, sqEntries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("set up io_uring: %w", errno)
	}
	unix.CloseOnExec(int(fd))
	r := &ring{fd: int(fd)}
	if err := r.init(&p, files); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) init(p *setupParams, files int) error {
	if need := uint32(featureSingleMmap | featureNoDrop | featureExtArg); p.features&need != need {
		return errors.New("this io_uring is too old")
	}
	r.minWait = p.features&featureMinTimeout != 0
	size := max(p.sq.array+4*p.sqEntries, p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{})))
	var err error
	if r.rings, err = unix.Mmap(r.fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return fmt.Errorf("map io_uring: %w", err)
	}
	if r.ops, err = unix.Mmap(r.fd, offsetSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return fmt.Errorf("map io_uring's submissions: %w", err)
	}
	counter := func(offset uint32) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&r.rings[offset])) }
	r.sqHead, r.sqTail, r.sqMask = counter(p.sq.head), counter(p.sq.tail), counter(p.sq.mask).Load()
	r.cqHead, r.cqTail, r.cqMask = counter(p.cq.head), counter(p.cq.tail), counter(p.cq.mask).Load()
	r.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&r.ops[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&r.rings[p.cq.cqes])), p.cqEntries)
	for i, order := uint32(0), unsafe.Slice((*uint32)(unsafe.Pointer(&r.rings[p.sq.array])), p.sqEntries); i < p.sqEntries; i++ {
		order[i] = i
	}

	table := struct {
		count, flags uint32
		_, _, _      uint64
	}{count: uint32(files), flags: registerSparse}
	if err := r.register(registerFiles2, unsafe.Pointer(&table), unsafe.Sizeof(table)); err != nil {
		return fmt.Errorf("give io_uring a table of files: %w", err)
	}

	const poolSize = bufferCount * bufferSize
	if r.pool, err = unix.Mmap(-1, 0, poolSize+bufferCount*int(unsafe.Sizeof(poolEntry{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
		return fmt.Errorf("map receive buffers: %w", err)
	}
	r.buffers = unsafe.Slice((*poolEntry)(unsafe.Pointer(&r.pool[poolSize])), bufferCount)
	pool := struct {
		addr    uint64
		entries uint32
		group   uint16
		flags   uint16
		_       [3]uint64
	}{addr: uint64(uintptr(unsafe.Pointer(&r.buffers[0]))), entries: bufferCount, group: bufferGroup}
	if err := r.register(registerPbufRing, unsafe.Pointer(&pool), 1); err != nil {
		return fmt.Errorf("give io_uring receive buffers: %w", err)
	}
	for i := range uint16(bufferCount) {
		r.recycle(i)
	}
	r.publish()
	return nil
}

func (r *ring) close() {
	_ = unix.Close(r.fd)
	for _, m := range [][]byte{r.rings, r.ops, r.pool} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
}

func (r *ring) register(what uintptr, argument unsafe.Pointer, count uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), what, uintptr(argument), count, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// place puts a descriptor at an index of the table of files; -1 empties it.
func (r *ring) place(index, fd int32) error {
	r.placed = fd
	r.update = filesUpdate{offset: uint32(index), fds: uint64(uintptr(unsafe.Pointer(&r.placed)))}
	return r.register(registerFilesUpdate, unsafe.Pointer(&r.update), 1)
}

// buffer is the begin of a receive buffer.
func (r *ring) buffer(id uint16) *byte { return &r.pool[int(id)*bufferSize] }

// recycle gives a buffer back; publish makes that known to the kernel.
func (r *ring) recycle(id uint16) {
	e := &r.buffers[r.poolTail&(bufferCount-1)]
	e.addr, e.length, e.id = uint64(uintptr(unsafe.Pointer(r.buffer(id)))), bufferSize, id
	r.poolTail++
}

func (r *ring) publish() {
	// The tail shares a word with the first entry's id, which only we write.
	first := &r.buffers[0]
	(*atomic.Uint32)(unsafe.Pointer(&first.id)).Store(uint32(first.id) | uint32(r.poolTail)<<16)
}

// sqe gives the next submission to fill in.
func (r *ring) sqe() *sqe {
	if r.unsubmitted > r.sqMask {
		r.submit()
	}
	s := &r.sqes[r.tail&r.sqMask]
	*s = sqe{}
	r.tail++
	r.unsubmitted++
	return s
}

// submit hands over what is queued without waiting for anything.
func (r *ring) submit() {
	r.sqTail.Store(r.tail)
	n, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.unsubmitted), 0, 0, 0, 0)
	if errno == 0 {
		r.unsubmitted -= uint32(n)
	}
	r.sends = 0
}

// enter submits what is queued and waits: until that many completions are there,
// at most for gather, and after that for the first one, at most for patience.
func (r *ring) enter(completions int, gather, patience time.Duration) error {
	r.sqTail.Store(r.tail)
	var errno unix.Errno
	var n uintptr
	switch {
	case patience <= 0:
		n, _, errno = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.unsubmitted), 0, enterGetEvents, 0, 0)
	default:
		r.argument.minWaitUsec = 0
		if completions > 1 && gather < patience {
			if r.minWait {
				r.argument.minWaitUsec = uint32(max(1, gather.Microseconds()))
			} else {
				completions = 1
			}
		}
		r.patience = unix.NsecToTimespec(int64(patience))
		r.argument.ts = uint64(uintptr(unsafe.Pointer(&r.patience)))
		n, _, errno = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.unsubmitted), uintptr(completions),
			enterGetEvents|enterExtArg, uintptr(unsafe.Pointer(&r.argument)), unsafe.Sizeof(r.argument))
	}
	switch errno {
	case 0:
		r.unsubmitted -= uint32(n)
	case unix.ETIME, unix.EINTR:
		// With submissions pending, the kernel reports their number instead; so there were none left.
		r.unsubmitted = r.tail - r.sqHead.Load()
	case unix.EBUSY, unix.EAGAIN:
		r.unsubmitted = r.tail - r.sqHead.Load()
	default:
		return errno
	}
	r.sends = 0
	return nil
}
