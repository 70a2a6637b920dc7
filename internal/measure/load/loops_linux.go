package load

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/showdown"
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
