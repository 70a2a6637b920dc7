package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// plain asks for one path, or for path/k when numbered.
type plain struct {
	path     string
	numbered bool
	status   int
	wrong    string // a body that Check refuses
}

func (p plain) Append(dst []byte, k uint64) ([]byte, int) {
	dst = append(dst, "GET "...)
	dst = append(dst, p.path...)
	if p.numbered {
		dst = fmt.Appendf(dst, "/%d", k)
	}
	return append(dst, " HTTP/1.1\r\nHost: test\r\n\r\n"...), p.status
}

func (p plain) Check(_ uint64, body []byte) error {
	if p.wrong != "" && string(body) == p.wrong {
		return errors.New("wrong body")
	}
	return nil
}

// engines runs a test on each engine of this system.
func engines(t *testing.T, address string, open, most int, timeout time.Duration, test func(*testing.T, Engine)) {
	for _, name := range engineNames() {
		t.Run(name, func(t *testing.T) {
			e := start(t, Target{Address: address, Open: open, Max: most, Timeout: timeout, Engine: name})
			test(t, e)
		})
	}
}

// start makes an engine that ends with the test.
func start(t *testing.T, target Target) Engine {
	e, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// engineNames lists what this system has: io_uring may be forbidden.
func engineNames() []string {
	if runtime.GOOS != "linux" {
		return []string{"goroutines"}
	}
	names := []string{"epoll", "goroutines"}
	if e, err := New(Target{Address: "127.0.0.1:1", Open: 1, Max: 1, Engine: "io_uring"}); err == nil {
		e.Close()
		names = append(names, "io_uring")
	}
	return names
}

func serve(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// raw serves each connection with talk.
func raw(t *testing.T, talk func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); talk(c) }()
		}
	}()
	return l.Addr().String()
}

// balanced checks that every due request has exactly one outcome.
func balanced(t *testing.T, r *Result) {
	t.Helper()
	summary := r.Summary()
	if r.OK+summary.Failed() != r.Due {
		t.Errorf("due %d, but ok %d and failed %v", r.Due, r.OK, r.Failures)
	}
	if uint64(r.Latency.TotalCount()) != r.OK {
		t.Errorf("%d latencies for %d good answers", r.Latency.TotalCount(), r.OK)
	}
}

func TestOpenLoopSendsWhatIsDue(t *testing.T) {
	var served atomic.Int64
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { served.Add(1); io.WriteString(w, "hello") })
	engines(t, address, 4, 16, time.Second, func(t *testing.T, e Engine) {
		served.Store(0)
		for window := range 2 { // the second uses the connections of the first
			before := served.Load()
			r, err := e.Run(t.Context(), Window{Schedule: pace.Poisson(2000, 500*time.Millisecond, 7), Sample: 0.1, Seed: 1}, plain{path: "/"})
			if err != nil {
				t.Fatal(err)
			}
			balanced(t, r)
			if r.OK != r.Due || r.Due < 850 || r.Due > 1150 || served.Load()-before != int64(r.Due) {
				t.Errorf("window %d: due %d ok %d failures %v served %d", window, r.Due, r.OK, r.Failures, served.Load()-before)
			}
			if share := float64(r.Verified) / float64(r.OK); math.Abs(share-0.1) > 0.05 {
				t.Errorf("verified %.3f of answers, want about 0.1", share)
			}
		}
	})
}

func TestConstantRateStopsAtCount(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {})
	engines(t, address, 2, 8, time.Second, func(t *testing.T, e Engine) {
		r, err := e.Run(t.Context(), Window{Schedule: pace.Constant(1000, time.Minute, 123)}, plain{path: "/"})
		if err != nil || r.OK != 123 || r.Sent != 123 {
			t.Errorf("ok %d sent %d err %v, want 123", r.OK, r.Sent, err)
		}
	})
}

func TestClosedLoop(t *testing.T) {
	var open, most atomic.Int64
	address := serve(t, func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), open.Add(1)))
		time.Sleep(2 * time.Millisecond)
		open.Add(-1)
	})
	engines(t, address, 5, 50, time.Second, func(t *testing.T, e Engine) {
		r, err := e.Run(t.Context(), Window{Length: 300 * time.Millisecond}, plain{path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		balanced(t, r)
		if !r.Closed || r.OK < 50 || most.Load() != 5 {
			t.Errorf("closed %v ok %d, at most %d at once, want 5", r.Closed, r.OK, most.Load())
		}
		r, err = e.Run(t.Context(), Window{Count: 77}, plain{path: "/"})
		if err != nil || r.OK != 77 {
			t.Errorf("ok %d err %v, want 77", r.OK, err)
		}
	})
}

// A server that freezes must not hide the requests that came meanwhile: the
// freeze lasts 300 of 1000 ms, so the median of the delayed third is near 150 ms.
func TestLatencyCountsFromTheIntendedSend(t *testing.T) {
	engines(t, serve(t, func(http.ResponseWriter, *http.Request) {}), 1, 1, time.Second, func(t *testing.T, e Engine) {
		var frozen atomic.Bool
		address := raw(t, func(c net.Conn) {
			buf := make([]byte, 4096)
			for {
				if _, err := c.Read(buf); err != nil {
					return
				}
				if frozen.CompareAndSwap(true, false) {
					time.Sleep(300 * time.Millisecond)
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		engine := start(t, Target{Address: address, Open: 1, Max: 1, Timeout: 2 * time.Second, Engine: e.Name()})
		frozen.Store(true)
		r, err := engine.Run(t.Context(), Window{Schedule: pace.Constant(500, time.Second, 0)}, plain{path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		balanced(t, r)
		late := 0
		for _, bar := range r.Latency.Distribution() {
			if bar.From > int64(20*time.Millisecond) {
				late += int(bar.Count)
			}
		}
		if late < 120 || r.Max < 290*time.Millisecond {
			t.Errorf("%d of %d requests were late (max %v), want about 140", late, r.OK, r.Max)
		}
		if service := r.Service.ValueAtQuantile(90); service > int64(100*time.Millisecond) {
			t.Errorf("service time p90 is %v; only one request was served slowly", time.Duration(service))
		}
	})
}

func TestGivesUpOnAPiledUpServer(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) { time.Sleep(50 * time.Millisecond) })
	engines(t, address, 2, 2, time.Second, func(t *testing.T, e Engine) {
		begun := time.Now()
		r, err := e.Run(t.Context(), Window{Schedule: pace.Poisson(1000, 20*time.Second, 1), GiveUp: 200 * time.Millisecond}, plain{path: "/"})
		if err != nil || !r.Aborted || time.Since(begun) > 3*time.Second {
			t.Errorf("aborted %v err %v after %v", r.Aborted, err, time.Since(begun))
		}
		balanced(t, r)
	})
}

func TestUnsentIsCounted(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) { time.Sleep(100 * time.Millisecond) })
	engines(t, address, 1, 1, 300*time.Millisecond, func(t *testing.T, e Engine) {
		r, err := e.Run(t.Context(), Window{Schedule: pace.Constant(100, 500*time.Millisecond, 0)}, plain{path: "/"})
		if err != nil {
			t.Fatal(err)
		}
		balanced(t, r)
		if r.Failures[showdown.FailUnsent] < 20 || r.Due != 50 {
			t.Errorf("due %d, failures %v", r.Due, r.Failures)
		}
	})
}

func TestCancelKeepsWhatWasMeasured(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) {})
	engines(t, address, 2, 4, time.Second, func(t *testing.T, e Engine) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		r, err := e.Run(ctx, Window{Schedule: pace.Constant(200, time.Minute, 0)}, plain{path: "/"})
		if !errors.Is(err, context.DeadlineExceeded) || r == nil || r.OK < 30 {
			t.Fatalf("err %v result %+v", err, r)
		}
		balanced(t, r)
	})
}

func TestFailuresAreTyped(t *testing.T) {
	drain := func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }
	reset := func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }
	for _, c := range []struct {
		name string
		talk func(net.Conn)
		want showdown.Failure
	}{
		{"garbage", func(c net.Conn) { drain(c); io.WriteString(c, "220 mail ready\r\n\r\n") }, showdown.FailProtocol},
		{"endless head", func(c net.Conn) {
			drain(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for range 1 << 12 {
				if _, err := io.WriteString(c, "X: "+strings.Repeat("a", 100)+"\r\n"); err != nil {
					return
				}
			}
		}, showdown.FailProtocol},
		{"early close", func(c net.Conn) { drain(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc") }, showdown.FailProtocol},
		{"surplus", func(c net.Conn) { drain(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc") }, showdown.FailProtocol},
		{"close without a word", func(c net.Conn) { drain(c) }, showdown.FailReset},
		{"reset", func(c net.Conn) { drain(c); reset(c) }, showdown.FailReset},
		{"silence", func(c net.Conn) { drain(c); drain(c) }, showdown.FailTimeout},
		{"slow body", func(c net.Conn) {
			drain(c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
			for range 1000 {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, showdown.FailTimeout},
		{"server error", func(c net.Conn) { drain(c); io.WriteString(c, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n") }, showdown.FailServer},
		{"wrong body", func(c net.Conn) { drain(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad") }, showdown.FailBody},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			engines(t, raw(t, c.talk), 1, 3, 150*time.Millisecond, func(t *testing.T, e Engine) {
				r, err := e.Run(t.Context(), Window{Schedule: pace.Constant(100, 100*time.Millisecond, 0), Sample: 1}, plain{path: "/", wrong: "bad"})
				if err != nil {
					t.Fatal(err)
				}
				balanced(t, r)
				if r.OK != 0 || r.Failures[c.want] == 0 {
					t.Errorf("ok %d failures %v, want only %s: %s", r.OK, r.Failures, c.want, r.Example)
				}
				for kind, n := range r.Failures {
					if kind != c.want && kind != showdown.FailUnsent {
						t.Errorf("%d × %s, want only %s: %s", n, kind, c.want, r.Example)
					}
				}
			})
		})
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	engines(t, address, 2, 4, time.Second, func(t *testing.T, e Engine) {
		_, err := e.Run(t.Context(), Window{Count: 1}, plain{path: "/"})
		if showdown.CodeOf(err) != showdown.Environment || !strings.Contains(err.Error(), "refused") {
			t.Errorf("error %v", err)
		}
	})
}

// The server dies in the middle: the rest is refused, counted and bounded in
// time, in an open loop and in a closed one.
func TestServerDies(t *testing.T) {
	for _, name := range engineNames() {
		for _, open := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s,open=%v", name, open), func(t *testing.T) {
				s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				e := start(t, Target{Address: s.Listener.Addr().String(), Open: 2, Max: 4, Timeout: 500 * time.Millisecond, Engine: name})
				time.AfterFunc(200*time.Millisecond, func() { s.CloseClientConnections(); s.Close() })
				w := Window{Length: 600 * time.Millisecond}
				if open {
					w.Schedule = pace.Constant(500, 600*time.Millisecond, 0)
				}
				begun := time.Now()
				r, err := e.Run(t.Context(), w, plain{path: "/"})
				if err != nil {
					t.Fatal(err)
				}
				balanced(t, r)
				if r.OK < 50 || r.Failures[showdown.FailRefused] == 0 || open && r.Failures[showdown.FailRefused] < 100 || time.Since(begun) > 3*time.Second {
					t.Errorf("ok %d failures %v after %v", r.OK, r.Failures, time.Since(begun))
				}
			})
		}
	}
}

func TestServerThatClosesEveryConnection(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, "x")
	})
	engines(t, address, 2, 4, time.Second, func(t *testing.T, e Engine) {
		r, err := e.Run(t.Context(), Window{Schedule: pace.Constant(300, 300*time.Millisecond, 0)}, plain{path: "/"})
		if err != nil || r.OK != 90 {
			t.Fatalf("ok %d failures %v err %v", r.OK, r.Failures, err)
		}
		if r, err = e.Run(t.Context(), Window{Count: 50}, plain{path: "/"}); err != nil || r.OK != 50 {
			t.Fatalf("closed loop: ok %d failures %v err %v", r.OK, r.Failures, err)
		}
	})
}
