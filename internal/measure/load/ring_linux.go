package load

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
	exact       bool // the kernel can gather completions and wait until a moment (Linux 6.12)
	argument    getEventsArgument
	moment      unix.Timespec
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
	enterAbsTimer  = 1 << 5

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
	r.exact = p.features&featureMinTimeout != 0
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
// at most for gather, and after that for the first one, at most until an offset
// of the loop. The moment is absolute, for what is submitted takes its time.
func (r *ring) enter(completions int, gather, until time.Duration, l *loop) error {
	if until > l.now && !r.exact && r.unsubmitted > 0 {
		r.submit()
	}
	r.sqTail.Store(r.tail)
	flags, argument, size := uintptr(enterGetEvents), unsafe.Pointer(nil), uintptr(0)
	if until <= l.now {
		completions = 0
	} else {
		flags |= enterExtArg
		argument, size = unsafe.Pointer(&r.argument), unsafe.Sizeof(r.argument)
		r.argument.minWaitUsec = 0
		if r.exact {
			flags |= enterAbsTimer
			r.moment = unix.NsecToTimespec(l.epoch + int64(until))
		} else {
			r.moment = unix.NsecToTimespec(max(0, int64(until-time.Since(l.start))))
		}
		if gather < until-l.now && completions > 1 {
			if r.exact {
				r.argument.minWaitUsec = uint32(max(1, gather.Microseconds()))
			} else {
				completions = 1
			}
		}
		r.argument.ts = uint64(uintptr(unsafe.Pointer(&r.moment)))
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(r.unsubmitted), uintptr(completions), flags, uintptr(argument), size)
	switch errno {
	case 0:
		r.unsubmitted -= uint32(n)
	case unix.ETIME, unix.EINTR, unix.EBUSY, unix.EAGAIN: // what was submitted is not told then
		r.unsubmitted = r.tail - r.sqHead.Load()
	default:
		return errno
	}
	r.sends = 0
	return nil
}
