package load

import (
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// native runs a test on each kind of event loop.
func native(t *testing.T, target Target, test func(*testing.T, Engine)) {
	for _, name := range engineNames() {
		if name == "goroutines" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			target.Engine = name
			test(t, start(t, target))
		})
	}
}

// still answers without allocating.
func still(t *testing.T, answer string) string {
	return raw(t, func(c net.Conn) {
		request := make([]byte, 4096)
		reply := []byte(answer)
		for {
			if _, err := c.Read(request); err != nil {
				return
			}
			if _, err := c.Write(reply); err != nil {
				return
			}
		}
	})
}

// bare asks without allocating.
type bare struct{}

func (bare) Append(dst []byte, _ uint64) ([]byte, int) {
	return append(dst, "GET / HTTP/1.1\r\nHost: test\r\n\r\n"...), 200
}
func (bare) Check(uint64, []byte) error { return nil }

// A window costs a fixed number of allocations, and its requests none.
func TestRequestsDoNotAllocate(t *testing.T) {
	address := still(t, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
	native(t, Target{Address: address, Open: 4, Max: 4, Timeout: time.Second}, func(t *testing.T, e Engine) {
		for _, open := range []bool{false, true} {
			// testing.AllocsPerRun would leave a single processor to us and the server.
			allocations := func(count uint64) float64 {
				w := Window{Count: count}
				if open {
					w.Schedule = pace.Constant(20_000, time.Minute, count)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r, err := e.Run(t.Context(), w, bare{})
				runtime.ReadMemStats(&after)
				if err != nil || r.OK != count {
					t.Errorf("ok %d err %v", r.OK, err)
				}
				return float64(after.Mallocs - before.Mallocs)
			}
			allocations(1000) // until the buffers have grown
			few, many := allocations(1000), allocations(11_000)
			if perRequest := (many - few) / 10_000; perRequest > 0.002 { // the garbage collector itself allocates now and then
				t.Errorf("open loop %v: %v allocations for 1,000 requests, %v for 11,000", open, few, many)
			}
		}
	})
}

func TestSeveralThreads(t *testing.T) {
	var served atomic.Int64
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { served.Add(1); io.WriteString(w, "x") })
	native(t, Target{Address: address, Open: 6, Max: 12, Timeout: time.Second, Threads: 3}, func(t *testing.T, e Engine) {
		served.Store(0)
		var seconds uint64
		r, err := e.Run(t.Context(), Window{Schedule: pace.Poisson(900, 500*time.Millisecond, 3), Second: func(s Second) { seconds += s.OK }}, plain{path: "/", numbered: true})
		if err != nil {
			t.Fatal(err)
		}
		balanced(t, r)
		want := uint64(0)
		for a, ok := pace.Poisson(900, 500*time.Millisecond, 3).Arrivals(), true; ok; {
			if _, ok = a.Next(); ok {
				want++
			}
		}
		if r.OK != want || served.Load() != int64(want) || seconds != want {
			t.Errorf("%d good answers, %d served, %d in seconds, want %d", r.OK, served.Load(), seconds, want)
		}
		if r, err = e.Run(t.Context(), Window{Count: 100}, plain{path: "/"}); err != nil || r.OK != 100 {
			t.Errorf("closed loop: %d good answers, err %v, want 100", r.OK, err)
		}
	})
}

// Sends in slots come together, and never before others that are due earlier.
func TestSlots(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) {})
	native(t, Target{Address: address, Open: 8, Max: 16, Timeout: time.Second}, func(t *testing.T, e Engine) {
		r, err := e.Run(t.Context(), Window{Schedule: pace.Constant(1000, 300*time.Millisecond, 0), Slot: 10 * time.Millisecond}, plain{path: "/"})
		if err != nil || r.OK != 300 {
			t.Errorf("%d good answers, err %v, want 300", r.OK, err)
		}
	})
}

// What the kernel throws away is counted all the same, and what is sampled is
// read whole; answers of every size come through.
func TestLargeAnswers(t *testing.T) {
	body := make([]byte, 300<<10)
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	address := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(body) })
	native(t, Target{Address: address, Open: 4, Max: 4, Timeout: 5 * time.Second}, func(t *testing.T, e Engine) {
		for _, sample := range []float64{0, 0.3, 1} {
			r, err := e.Run(t.Context(), Window{Count: 60, Sample: sample}, sameBody{plain{path: "/"}, string(body)})
			if err != nil || r.OK != 60 || r.Bytes < 60*uint64(len(body)) || r.Bytes > 60*uint64(len(body)+1000) {
				t.Errorf("sample %v: %d good answers of %d bytes, failures %v %s, err %v", sample, r.OK, r.Bytes, r.Failures, r.Example, err)
			}
		}
		r, err := e.Run(t.Context(), Window{Schedule: pace.Constant(100, 300*time.Millisecond, 0), Sample: 0.5}, sameBody{plain{path: "/"}, string(body)})
		if err != nil || r.OK != 30 {
			t.Errorf("open loop: %d good answers, failures %v, err %v", r.OK, r.Failures, err)
		}
	})
}

type sameBody struct {
	plain
	want string
}

func (s sameBody) Check(_ uint64, body []byte) error {
	if string(body) != s.want {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// A request larger than the socket's buffer goes out in pieces.
func TestLargeRequests(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n, _ := io.Copy(io.Discard, r.Body); n != 6<<20 {
			w.WriteHeader(400)
		}
	})
	native(t, Target{Address: address, Open: 2, Max: 2, Timeout: 10 * time.Second}, func(t *testing.T, e Engine) {
		r, err := e.Run(t.Context(), Window{Count: 6}, post(6<<20))
		if err != nil || r.OK != 6 {
			t.Errorf("%d good answers, failures %v %s, err %v", r.OK, r.Failures, r.Example, err)
		}
	})
}

type post int

func (p post) Append(dst []byte, _ uint64) ([]byte, int) {
	dst = append(dst, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 6291456\r\n\r\n"...)
	return append(dst, make([]byte, p)...), 200
}
func (post) Check(uint64, []byte) error { return nil }

// Nothing is left behind: not a thread, not a descriptor.
func TestCloseGivesEverythingBack(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, name := range engineNames() {
		for round := range 3 {
			e, err := New(Target{Address: address, Open: 4, Max: 4, Timeout: time.Second, Engine: name})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Run(t.Context(), Window{Count: 20}, bare{}); err != nil {
				t.Fatal(err)
			}
			e.Close()
			e.Close() // twice is no harm
			if round == 0 {
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
	deadline := time.Now().Add(2 * time.Second)
	for {
		var open int
		for fd := range 256 {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
				open++
			}
		}
		if goroutines := runtime.NumGoroutine(); open < 40 && goroutines < 40 {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%d descriptors and %d goroutines are left", open, goroutines)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestGathering(t *testing.T) {
	for _, c := range []struct {
		name          string
		with, without float64 // answers per second
		gathers       bool
	}{
		{"a server with a queue does not notice", 30_000, 30_000, true},
		{"the generator was the limit", 150_000, 130_000, true},
		{"a little is tolerated", 29_500, 30_000, true},
		{"a server without a queue is held up", 26_500, 30_000, false},
	} {
		var g gathering
		now, answers, on := time.Duration(0), 0.0, 0
		for turn := range 200 {
			rate := c.without
			if g.on {
				rate = c.with
				if turn >= 100 {
					on++
				}
			}
			now += housekeeping
			answers += rate * housekeeping.Seconds() * (1 + 0.02*rand.NormFloat64())
			g.next(now, uint64(answers))
		}
		if c.gathers && on < 85 || !c.gathers && on > 15 {
			t.Errorf("%s: gathered in %d of 100 turns", c.name, on)
		}
	}
}

func TestEngineNames(t *testing.T) {
	_, err := New(Target{Address: "127.0.0.1:1", Open: 1, Max: 1, Engine: "steam"})
	if showdown.CodeOf(err) != showdown.BadUsage {
		t.Errorf("error %v", err)
	}
}
