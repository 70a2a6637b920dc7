package load

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// All calls on a loop's thread go past Go's scheduler (RawSyscall), even those
// that sleep. Go 1.26 takes the processor away from a goroutine that has been in
// system calls for 10 ms, at every tick of its monitor from then on, and giving it
// back and forth was 40% of what a request cost at 2,000 a second. The price:
// stopping the world waits for the signal that ends our sleep, some 50 µs.

// newSocket makes a non-blocking TCP socket whose bytes the kernel stamps with
// the time when they arrived.
func newSocket(address unix.Sockaddr) (int, error) {
	domain := unix.AF_INET
	if _, ok := address.(*unix.SockaddrInet6); ok {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	return fd, nil
}

// socketError is why a connection could not be made, or nil.
func socketError(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

// stampSize is the room for one SCM_TIMESTAMPNS control message.
const stampSize = unix.SizeofCmsghdr + int(unsafe.Sizeof(unix.Timespec{}))

// stampOf reads the receive timestamp, in nanoseconds of the wall clock, from
// the control messages of a received message; 0 if there is none.
func stampOf(control *[stampSize]byte, length uint64) int64 {
	if length < uint64(stampSize) {
		return 0
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(control))
	if h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_TIMESTAMPNS {
		return 0
	}
	return (*unix.Timespec)(unsafe.Pointer(&control[unix.SizeofCmsghdr])).Nano()
}

// threadCPU is the CPU time of this thread so far.
func threadCPU() time.Duration { return usedBy(unix.RUSAGE_THREAD) }
