package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/measure/wire"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// serveTLS serves h over TLS.
func serveTLS(t *testing.T, h http.HandlerFunc) Target {
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return Target{Address: s.Listener.Addr().String(), TLS: &tls.Config{InsecureSkipVerify: true}, Open: 2, Max: 8, Timeout: 2 * time.Second}
}

func TestTLS(t *testing.T) {
	target := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.NegotiatedProtocol != "http/1.1" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.Copy(w, r.Body)
	})
	e := portable(t, target)
	r := play(t, e, Window{Schedule: pace.Poisson(500, 300*time.Millisecond, 1), Sample: 1}, posts{3000})
	balanced(t, r)
	if r.OK != r.Due || r.Verified != r.OK || r.Bytes < 3000*r.OK {
		t.Errorf("ok %d of %d, verified %d, failures %v: %s", r.OK, r.Due, r.Verified, r.Failures, r.Example)
	}
	target.TLS = &tls.Config{} // which does not trust the server
	_, err := portable(t, target).Run(t.Context(), Window{Count: 1}, plain{path: "/"})
	if showdown.CodeOf(err) != showdown.Environment || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
}

// Connections are opened when arrivals find none free, and not before.
func TestConnectionsOnDemand(t *testing.T) {
	var slow atomic.Bool
	address := serve(t, func(http.ResponseWriter, *http.Request) {
		if slow.Load() {
			time.Sleep(50 * time.Millisecond)
		}
	})
	e := portable(t, Target{Address: address, Open: 2, Max: 100, Timeout: 2 * time.Second})
	r := play(t, e, Window{Schedule: pace.Constant(20, 300*time.Millisecond, 0)}, plain{path: "/"})
	if r.OK != 6 || r.Connections != 2 {
		t.Errorf("idle: ok %d over %d connections, want 2", r.OK, r.Connections)
	}
	slow.Store(true)
	r = play(t, e, Window{Schedule: pace.Constant(400, 500*time.Millisecond, 0)}, plain{path: "/"})
	balanced(t, r)
	if r.OK != 200 || r.Connections < 20 || r.Connections > 60 { // 400/s × 50 ms
		t.Errorf("slow: ok %d over %d connections, want a little more than 20", r.OK, r.Connections)
	}
}

// Giving up does not wait for the timeout.
func TestGivingUpEndsWhatHangs(t *testing.T) {
	e := portable(t, Target{Address: serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), Open: 1, Max: 3, Timeout: 20 * time.Second})
	begun := time.Now()
	r := play(t, e, Window{Schedule: pace.Constant(100, time.Minute, 0), GiveUp: 200 * time.Millisecond}, plain{path: "/"})
	balanced(t, r)
	if !r.Aborted || time.Since(begun) > 2*time.Second || r.Failures[showdown.FailTimeout] != 3 {
		t.Errorf("aborted %v after %v, failures %v", r.Aborted, time.Since(begun), r.Failures)
	}
}

// A server that closes idle connections just when the next request comes costs no
// GET, which may be repeated, but each second POST.
func TestAskedAgain(t *testing.T) {
	address := raw(t, func(c net.Conn) {
		b := make([]byte, 4096)
		_, _ = c.Read(b)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = c.Read(b)
	})
	e := portable(t, Target{Address: address, Open: 2, Max: 4, Timeout: time.Second})
	r := play(t, e, Window{Count: 30}, plain{path: "/"})
	balanced(t, r)
	if r.OK != 30 || r.Sent < 40 {
		t.Errorf("ok %d of 30, sent %d, failures %v", r.OK, r.Sent, r.Failures)
	}
	r = play(t, e, Window{Count: 30}, posts{3})
	balanced(t, r)
	if r.OK < 10 || r.Failures[showdown.FailReset] < 10 || r.Sent != 30 {
		t.Errorf("ok %d of 30, sent %d, failures %v", r.OK, r.Sent, r.Failures)
	}
}

// A server that takes a large request slowly holds up nobody else.
func TestBulkyRequestsDoNotBlock(t *testing.T) {
	address := raw(t, func(c net.Conn) {
		buf := make([]byte, 1<<10)
		n, _ := c.Read(buf)
		if strings.HasPrefix(string(buf[:n]), "POST /echo/0 ") {
			time.Sleep(600 * time.Millisecond)
			return
		}
		for err := error(nil); err == nil; _, err = c.Read(buf) {
			if _, err = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
				return
			}
		}
	})
	e := portable(t, Target{Address: address, Open: 1, Max: 20, Timeout: 400 * time.Millisecond})
	large, _ := posts{8 << 20}.Append(nil, 0)
	r := play(t, e, Window{Schedule: pace.Constant(100, 300*time.Millisecond, 0)}, mixed{large: large})
	balanced(t, r)
	if r.OK != 29 || r.Failures[showdown.FailTimeout] != 1 || r.Lag.Max() > int64(200*time.Millisecond) { // copying it takes a while, too
		t.Errorf("ok %d failures %v, lag up to %v: %s", r.OK, r.Failures, time.Duration(r.Lag.Max()), r.Example)
	}
}

// mixed has one large request, the first.
type mixed struct {
	large []byte
	plain
}

func (m mixed) Append(dst []byte, k uint64) ([]byte, int) {
	if k == 0 {
		return append(dst, m.large...), 0
	}
	m.path = "/"
	return m.plain.Append(dst, k)
}

func TestSlotsRoundDown(t *testing.T) {
	e := portable(t, Target{Address: serve(t, func(http.ResponseWriter, *http.Request) {}), Open: 20, Max: 40, Timeout: time.Second})
	s := newShift(e.(*goroutines), &Window{Schedule: pace.Constant(1000, 50*time.Millisecond, 0), Slot: 10 * time.Millisecond}, plain{path: "/"})
	for k := range 50 {
		if want := time.Duration(k/10) * 10 * time.Millisecond; !s.more || s.next != want {
			t.Fatalf("arrival %d is sent at %v, want %v", k, s.next, want)
		}
		s.advance()
	}
	if r := play(t, e, Window{Schedule: pace.Constant(1000, 200*time.Millisecond, 0), Slot: 10 * time.Millisecond}, plain{path: "/"}); r.OK != 200 {
		t.Errorf("ok %d, want 200", r.OK)
	}
}

func TestSecondsAddUp(t *testing.T) {
	e := portable(t, Target{Address: serve(t, func(http.ResponseWriter, *http.Request) {}), Open: 2, Max: 4, Timeout: time.Second})
	var due, sent, ok, bytes, snapshots uint64
	var until time.Duration
	r := play(t, e, Window{
		Schedule: pace.Constant(200, 1500*time.Millisecond, 0),
		Progress: func(s Snapshot) { snapshots++ },
		Second: func(s Second) {
			if s.At != until {
				t.Errorf("a second begins at %v, the one before ended at %v", s.At, until)
			}
			until = s.At + s.Length
			due += s.Due
			sent += s.Sent
			ok += s.OK
			bytes += s.Bytes
		},
	}, plain{path: "/"})
	if r.Due != 300 || due != r.Due || sent != r.Sent || ok != r.OK || bytes != r.Bytes || until != r.Elapsed || snapshots < 6 {
		t.Errorf("seconds add up to due %d sent %d ok %d bytes %d until %v, with %d snapshots; result %d %d %d %d %v",
			due, sent, ok, bytes, until, snapshots, r.Due, r.Sent, r.OK, r.Bytes, r.Elapsed)
	}
}

// Two connections at 100 kB/s each read 400 kB in two seconds, however fast the
// server is.
func TestReadRate(t *testing.T) {
	const rate, length = 100_000, 2 * time.Second
	for _, protocol := range []Protocol{HTTP1, HTTP2} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,tls=%v", protocol, secure), func(t *testing.T) {
				t.Parallel()
				body := make([]byte, 20_000)
				target := serveHTTP2(t, secure, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
				if protocol == HTTP1 && !secure {
					target.Address = serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
				}
				target.Protocol, target.ReadRate, target.Timeout = protocol, rate, 5*time.Second
				r := play(t, portable(t, target), Window{Length: length}, plain{path: "/"})
				balanced(t, r)
				got := float64(r.Bytes) / r.Elapsed.Seconds() / 2
				if r.OK != r.Due || got > 1.05*rate || got < 0.9*rate { // the first answer has to come, and the last ends the window
					t.Errorf("%.0f bytes a second and connection, want %d; ok %d of %d: %s", got, rate, r.OK, r.Due, r.Example)
				}
			})
		}
	}
	// A server that only writes: nothing but the pace is measured.
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		var written atomic.Int64
		address := raw(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
			for err := error(nil); err == nil; {
				var n int
				n, err = c.Write(make([]byte, 64<<10))
				written.Add(int64(n))
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		e := portable(t, Target{Address: address, Open: 1, Max: 1, Timeout: length, ReadRate: rate})
		r, _ := e.Run(ctx, Window{Count: 1}, plain{path: "/"})
		got := float64(r.Bytes) / r.Elapsed.Seconds()
		if got < 0.95*rate || got > 1.05*rate {
			t.Errorf("%.0f bytes a second, want %d", got, rate)
		}
	})
}

// The alarm is never early, and ends with its context.
func TestAlarm(t *testing.T) {
	a := newAlarm()
	defer a.close()
	var late []time.Duration
	for range 50 {
		begun := time.Now()
		a.sleep(t.Context(), 700*time.Microsecond)
		late = append(late, time.Since(begun)-700*time.Microsecond)
	}
	slices.Sort(late)
	if late[0] < 0 {
		t.Errorf("%v early", -late[0])
	}
	if runtime.GOOS == "linux" && late[5] > 500*time.Microsecond { // a busy machine is late at times, but not always
		t.Errorf("a tenth is at least %v late", late[5])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if a.sleep(ctx, time.Minute); time.Since(begun) > 5*time.Second {
		t.Errorf("it slept for %v after its context ended", time.Since(begun))
	}
}

// An engine takes its goroutines along, whatever they wait for.
func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connects, and never shakes hands
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, protocol := range []Protocol{HTTP2, WebSocket, Events} {
		e := NewGoroutines(Target{Address: silent.Addr().String(), Protocol: protocol, Open: 3, Max: 3, Timeout: time.Minute, Handshake: wire.Handshake("/", "test")})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := e.Run(ctx, Window{Listen: protocol == Events, Length: time.Minute}, plain{path: "/"}); err == nil {
			t.Errorf("%s: no error", protocol)
		}
		e.Close()
	}
	for begun := time.Now(); runtime.NumGoroutine() > before && time.Since(begun) < time.Second; {
		time.Sleep(time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// wss: pings while a request is under way, and a proper good-bye.
func TestWebSocketOverTLS(t *testing.T) {
	var wg sync.WaitGroup
	var goodbyes, pings atomic.Int64
	target := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		wg.Add(1)
		defer wg.Done()
		for {
			kind, b, err := c.Read(context.Background())
			if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
				goodbyes.Add(1)
			}
			if err != nil {
				return
			}
			go func() {
				if c.Ping(context.Background()) == nil {
					pings.Add(1)
				}
			}()
			_ = c.Write(context.Background(), kind, b)
		}
	})
	target.Protocol, target.Handshake, target.Max = WebSocket, wire.Handshake("/", target.Address), target.Open
	e := NewGoroutines(target)
	r := play(t, e, Window{Schedule: pace.Constant(100, 500*time.Millisecond, 0), Sample: 1}, words{})
	balanced(t, r)
	if r.OK != 50 || r.Verified != 50 {
		t.Errorf("ok %d, verified %d, failures %v: %s", r.OK, r.Verified, r.Failures, r.Example)
	}
	e.Close()
	wg.Wait()
	if goodbyes.Load() != int64(r.Connections) || pings.Load() < 45 {
		t.Errorf("%d of %d connections closed properly, %d pings answered", goodbyes.Load(), r.Connections, pings.Load())
	}
}

// A server that breaks the protocol is told why it is left.
func TestWebSocketCloseCodes(t *testing.T) {
	for name, c := range map[string]struct {
		frame []byte
		code  websocket.StatusCode
	}{
		"close":          {[]byte{0x88, 2, 0x03, 0xe9}, websocket.StatusGoingAway},
		"close silently": {[]byte{0x88, 0}, websocket.StatusNormalClosure},
		"reserved bits":  {[]byte{0xf1, 0}, websocket.StatusProtocolError},
		"not UTF-8":      {[]byte{0x81, 1, 0xff}, websocket.StatusInvalidFramePayloadData},
		"too large":      {[]byte{0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0}, websocket.StatusMessageTooBig},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			answers := make(chan []byte, 100)
			address := raw(t, func(conn net.Conn) {
				b := make([]byte, 4096)
				n, _ := conn.Read(b)
				_, after, _ := strings.Cut(string(b[:n]), "Sec-WebSocket-Key: ")
				key, _, _ := strings.Cut(after, "\r\n")
				fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n%s", acceptFor(key), c.frame)
				answer, _ := io.ReadAll(conn)
				answers <- answer
			})
			e := portable(t, Target{Address: address, Protocol: WebSocket, Handshake: wire.Handshake("/", address), Open: 1, Max: 1, Timeout: time.Second})
			r := play(t, e, Window{Listen: true, Length: 50 * time.Millisecond}, words{})
			if summary := r.Summary(); r.OK != 0 || r.Due != 1 || summary.Failed() != 1 {
				t.Errorf("ok %d due %d failures %v", r.OK, r.Due, r.Failures)
			}
			b := <-answers
			if len(b) != 8 || b[0] != 0x88 {
				t.Fatalf("answer % x is not one close frame with a code", b)
			}
			if code := websocket.StatusCode(int(b[6]^b[2])<<8 | int(b[7]^b[3])); code != c.code {
				t.Errorf("left with %d, want %d", code, c.code)
			}
		})
	}
}

// Reconnecting is paced, and each connection keeps its number.
func TestListenersComeBack(t *testing.T) {
	var mu sync.Mutex
	requests := map[string]int{}
	target := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		requests[r.URL.Path]++
		mu.Unlock()
		_, _ = io.WriteString(w, "data: hello\n\n")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/events/1" {
			<-r.Context().Done()
		}
	})
	target.Protocol, target.Open, target.Max = Events, 3, 3
	r := play(t, portable(t, target), Window{Listen: true, Length: 450 * time.Millisecond, Sample: 1}, plain{path: "/events", numbered: true})
	n := requests["/events/0"] + requests["/events/2"]
	if len(requests) != 3 || requests["/events/1"] != 1 || n < 4 || n > 10 {
		t.Errorf("requests %v, want one of /events/1 and some of 0 and 2", requests)
	}
	if r.Due != uint64(n+1) || r.OK != r.Due || r.Failures[showdown.FailReset] < 3 || r.Verified != r.OK || uint64(r.Latency.TotalCount()) != r.OK {
		t.Errorf("due %d ok %d verified %d failures %v %s", r.Due, r.OK, r.Verified, r.Failures, r.Example)
	}
}

func TestEventsRefused(t *testing.T) {
	target := Target{Address: serve(t, http.NotFound), Protocol: Events, Open: 2, Max: 2, Timeout: time.Second}
	r := play(t, portable(t, target), Window{Listen: true, Length: 50 * time.Millisecond}, plain{path: "/events"})
	if r.OK != 0 || r.Failures[showdown.FailClient] != 2 || r.Due != 2 {
		t.Errorf("ok %d due %d failures %v", r.OK, r.Due, r.Failures)
	}
	if _, err := portable(t, target).Run(t.Context(), Window{Count: 1}, plain{path: "/"}); showdown.CodeOf(err) != showdown.BadUsage {
		t.Errorf("requests over server-sent events: %v", err)
	}
}
