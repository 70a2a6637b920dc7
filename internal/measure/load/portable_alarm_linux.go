package load

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm wakes a goroutine at a precise moment. The runtime's own timers have
// milliseconds; a timer that the runtime polls like a socket has nanoseconds, and
// needs no thread of its own.
type alarm struct {
	fd   int
	file *os.File // nil when the system gives none
}

func newAlarm() *alarm {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return &alarm{}
	}
	return &alarm{fd, os.NewFile(uintptr(fd), "timer")}
}

// sleep returns after d, or when ctx ends.
func (a *alarm) sleep(ctx context.Context, d time.Duration) {
	if a.file == nil {
		sleep(ctx, d)
		return
	}
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, int64(d)))}
	if unix.TimerfdSettime(a.fd, 0, &spec, nil) != nil {
		sleep(ctx, d)
		return
	}
	if d > tending { // shorter ones are not worth interrupting
		defer context.AfterFunc(ctx, func() { _ = a.file.SetReadDeadline(time.Unix(1, 0)) })()
	}
	var expirations [8]byte
	_, _ = a.file.Read(expirations[:])
}

func (a *alarm) close() {
	if a.file != nil {
		_ = a.file.Close()
	}
}
