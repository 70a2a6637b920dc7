package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// posts sends a body of some size and wants it back.
type posts struct{ size int }

func (p posts) Append(dst []byte, k uint64) ([]byte, int) {
	dst = fmt.Appendf(dst, "POST /echo/%d HTTP/1.1\r\nHost: shop.test\r\nX-Number: %d\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n", k, k, p.size)
	return append(dst, p.body(k)...), 200
}

func (p posts) body(k uint64) string { return strings.Repeat(string(rune('a'+k%26)), p.size) }

func (p posts) Check(k uint64, body []byte) error {
	if string(body) != p.body(k) {
		return fmt.Errorf("%d bytes of another body", len(body))
	}
	return nil
}

// serveHTTP2 serves h over HTTP/2, with TLS or without.
func serveHTTP2(t *testing.T, secure bool, h http.HandlerFunc) Target {
	s := httptest.NewUnstartedServer(h)
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 10}
	target := Target{Protocol: HTTP2, Open: 2, Max: 8, Timeout: 2 * time.Second}
	if secure {
		s.EnableHTTP2 = true
		s.StartTLS()
		target.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
		target.TLS.ServerName = "example.com"
	} else {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	}
	t.Cleanup(s.Close)
	target.Address = s.Listener.Addr().String()
	return target
}

func portable(t *testing.T, target Target) Engine {
	e := NewGoroutines(target)
	t.Cleanup(e.Close)
	return e
}

func play(t *testing.T, e Engine, w Window, traffic Traffic) *Result {
	t.Helper()
	r, err := e.Run(t.Context(), w, traffic)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHTTP2(t *testing.T) {
	for _, secure := range []bool{true, false} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			var most, now atomic.Int64
			target := serveHTTP2(t, secure, func(w http.ResponseWriter, r *http.Request) {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				if r.ProtoMajor != 2 || r.Host != "shop.test" || "/echo/"+r.Header.Get("X-Number") != r.URL.Path || r.Header.Get("Connection") != "" {
					w.WriteHeader(http.StatusTeapot)
				}
				w.Header().Set("Trailer", "X-End")
				w.WriteHeader(http.StatusEarlyHints)
				_, _ = io.Copy(w, r.Body)
				time.Sleep(time.Millisecond)
				w.Header().Set("X-End", "yes")
			})
			e := portable(t, target)
			for _, size := range []int{0, 5, 100_000, 1_500_000} { // within a frame, and beyond the windows of stream and connection
				now.Store(0)
				count := uint64(max(10, 500_000/(size+1000)))
				most.Store(0)
				r := play(t, e, Window{Count: count, Sample: 1}, posts{size})
				balanced(t, r)
				if r.OK != count || r.Verified != count || r.Bytes < count*uint64(size) {
					t.Errorf("bodies of %d: ok %d of %d, verified %d, failures %v: %s", size, r.OK, count, r.Verified, r.Failures, r.Example)
				}
				if most.Load() > 2 {
					t.Errorf("%d requests at once in a closed loop of 2", most.Load())
				}
			}
			r := play(t, e, Window{Schedule: pace.Poisson(1000, 500*time.Millisecond, 3), Sample: 0.1}, posts{20})
			balanced(t, r)
			if r.OK != r.Due || r.OK < 400 {
				t.Errorf("open loop: ok %d of %d over %d connections, failures %v: %s", r.OK, r.Due, r.Connections, r.Failures, r.Example)
			}
		})
	}
}

// With ten streams on each of two connections, and answers that take long,
// arrivals multiplex; when all streams are taken, connections are added.
func TestHTTP2Multiplexes(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	target := serveHTTP2(t, false, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.RemoteAddr]++
		mu.Unlock()
		time.Sleep(100 * time.Millisecond)
	})
	e := portable(t, target)
	r := play(t, e, Window{Schedule: pace.Constant(100, time.Second, 0)}, plain{path: "/"})
	if r.OK != 100 || r.Connections != 2 || r.Max > 500*time.Millisecond {
		t.Errorf("ok %d over %d connections, slowest %v, want 100 over 2", r.OK, r.Connections, r.Max)
	}
	for address, n := range seen {
		if n < 40 || n > 60 {
			t.Errorf("connection %s carried %d of 100 requests", address, n)
		}
	}
	r = play(t, e, Window{Schedule: pace.Constant(400, time.Second, 0)}, plain{path: "/"})
	balanced(t, r)
	if r.OK != 400 || r.Connections < 4 || r.Connections > 8 {
		t.Errorf("ok %d over %d connections: %v", r.OK, r.Connections, r.Failures)
	}
}

func TestHTTP2WrongBodyAndStatus(t *testing.T) {
	target := serveHTTP2(t, true, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "7") {
			w.WriteHeader(http.StatusBadGateway)
		}
		_, _ = io.WriteString(w, "bad")
	})
	r := play(t, portable(t, target), Window{Count: 100, Sample: 1}, plain{path: "/", numbered: true, wrong: "bad"})
	balanced(t, r)
	if r.Failures[showdown.FailBody] != 90 || r.Failures[showdown.FailServer] != 10 {
		t.Errorf("failures %v", r.Failures)
	}
}

// One stream that hangs is reset; its connection goes on.
func TestHTTP2Timeout(t *testing.T) {
	var cancelled atomic.Int64
	target := serveHTTP2(t, false, func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "5") {
			<-r.Context().Done()
			cancelled.Add(1)
		}
	})
	target.Open, target.Max, target.Timeout = 1, 1, 200*time.Millisecond
	r := play(t, portable(t, target), Window{Schedule: pace.Constant(200, 500*time.Millisecond, 0)}, plain{path: "/", numbered: true})
	balanced(t, r)
	for begun := time.Now(); cancelled.Load() < 10 && time.Since(begun) < time.Second; {
		time.Sleep(time.Millisecond)
	}
	if r.Failures[showdown.FailTimeout] != 10 || r.OK != 90 || r.Connections != 1 || cancelled.Load() != 10 {
		t.Errorf("ok %d, failures %v, %d connections, %d cancelled at the server", r.OK, r.Failures, r.Connections, cancelled.Load())
	}
}

// The window gives up at once, though the server says nothing.
func TestHTTP2GivesUp(t *testing.T) {
	target := serveHTTP2(t, false, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	target.Timeout = 20 * time.Second
	begun := time.Now()
	r := play(t, portable(t, target), Window{Schedule: pace.Constant(1000, time.Minute, 0), GiveUp: 200 * time.Millisecond}, plain{path: "/"})
	balanced(t, r)
	if !r.Aborted || r.OK != 0 || time.Since(begun) > 2*time.Second {
		t.Errorf("aborted %v after %v, ok %d", r.Aborted, time.Since(begun), r.OK)
	}
}

// frames is a server that shakes hands and then does as it likes.
func frames(t *testing.T, talk func(f *http2.Framer, c net.Conn)) Target {
	address := raw(t, func(c net.Conn) {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(c, preface); err != nil {
			return
		}
		f := http2.NewFramer(c, c)
		_ = f.WriteSettings()
		talk(f, c)
	})
	return Target{Address: address, Protocol: HTTP2, Open: 1, Max: 1, Timeout: 300 * time.Millisecond}
}

// nextRequest reads until a HEADERS frame.
func nextRequest(f *http2.Framer) (id uint32, err error) {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return 0, err
		}
		if h, ok := frame.(*http2.HeadersFrame); ok {
			return h.StreamID, nil
		}
	}
}

// block encodes header fields, given as names and values in turn.
func block(fields ...string) []byte {
	var b strings.Builder
	e := hpack.NewEncoder(&b)
	for pair := range slices.Chunk(fields, 2) {
		_ = e.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1]})
	}
	return []byte(b.String())
}

func TestHTTP2FailuresAreTyped(t *testing.T) {
	answer := func(f *http2.Framer, id uint32, last bool, fields ...string) {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(fields...), EndHeaders: true, EndStream: last})
	}
	for _, c := range []struct {
		name string
		talk func(f *http2.Framer, c net.Conn, id uint32)
		want showdown.Failure
	}{
		{"reset", func(f *http2.Framer, _ net.Conn, id uint32) { _ = f.WriteRSTStream(id, http2.ErrCodeInternal) }, showdown.FailReset},
		{"refused stream", func(f *http2.Framer, _ net.Conn, id uint32) { _ = f.WriteRSTStream(id, http2.ErrCodeRefusedStream) }, showdown.FailReset},
		{"goaway", func(f *http2.Framer, _ net.Conn, id uint32) { _ = f.WriteGoAway(id-1, http2.ErrCodeNo, nil) }, showdown.FailReset},
		{"close", func(_ *http2.Framer, c net.Conn, _ uint32) { c.Close() }, showdown.FailReset},
		{"reset in the body", func(f *http2.Framer, _ net.Conn, id uint32) {
			answer(f, id, false, ":status", "200")
			_ = f.WriteData(id, false, []byte("half"))
			_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
		}, showdown.FailReset},
		{"silence", func(*http2.Framer, net.Conn, uint32) {}, showdown.FailTimeout},
		{"no status", func(f *http2.Framer, _ net.Conn, id uint32) { answer(f, id, true, "server", "x") }, showdown.FailProtocol},
		{"status 20", func(f *http2.Framer, _ net.Conn, id uint32) { answer(f, id, true, ":status", "20") }, showdown.FailProtocol},
		{"status late", func(f *http2.Framer, _ net.Conn, id uint32) { answer(f, id, true, "server", "x", ":status", "200") }, showdown.FailProtocol},
		{"two statuses", func(f *http2.Framer, _ net.Conn, id uint32) { answer(f, id, true, ":status", "200", ":status", "200") }, showdown.FailProtocol},
		{"request pseudo-header", func(f *http2.Framer, _ net.Conn, id uint32) { answer(f, id, true, ":status", "200", ":path", "/") }, showdown.FailProtocol},
		{"switching", func(f *http2.Framer, _ net.Conn, id uint32) { answer(f, id, true, ":status", "101") }, showdown.FailProtocol},
		{"interim only", func(f *http2.Framer, _ net.Conn, id uint32) { answer(f, id, true, ":status", "103") }, showdown.FailProtocol},
		{"endless interim", func(f *http2.Framer, _ net.Conn, id uint32) {
			for range 100 {
				answer(f, id, false, ":status", "103")
			}
		}, showdown.FailProtocol},
		{"short body", func(f *http2.Framer, _ net.Conn, id uint32) {
			answer(f, id, false, ":status", "200", "content-length", "5")
			_ = f.WriteData(id, true, []byte("abc"))
		}, showdown.FailProtocol},
		{"long body", func(f *http2.Framer, _ net.Conn, id uint32) {
			answer(f, id, false, ":status", "200", "content-length", "2")
			_ = f.WriteData(id, true, []byte("abc"))
		}, showdown.FailProtocol},
		{"two lengths", func(f *http2.Framer, _ net.Conn, id uint32) {
			answer(f, id, true, ":status", "200", "content-length", "1", "content-length", "0")
		}, showdown.FailProtocol},
		{"body first", func(f *http2.Framer, _ net.Conn, id uint32) { _ = f.WriteData(id, true, []byte("abc")) }, showdown.FailProtocol},
		{"second head", func(f *http2.Framer, _ net.Conn, id uint32) {
			answer(f, id, false, ":status", "200")
			answer(f, id, false, "x", "y")
		}, showdown.FailProtocol},
		{"unknown stream", func(f *http2.Framer, _ net.Conn, id uint32) { answer(f, id+2, true, ":status", "200") }, showdown.FailProtocol},
		{"server's stream", func(f *http2.Framer, _ net.Conn, _ uint32) { answer(f, 2, true, ":status", "200") }, showdown.FailProtocol},
		{"push", func(f *http2.Framer, _ net.Conn, id uint32) {
			_ = f.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: block(":method", "GET"), EndHeaders: true})
		}, showdown.FailProtocol},
		{"bad compression", func(f *http2.Framer, _ net.Conn, id uint32) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EndHeaders: true, EndStream: true})
		}, showdown.FailProtocol},
		{"endless head", func(f *http2.Framer, _ net.Conn, id uint32) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "200")})
			for range 1 << 16 {
				if f.WriteContinuation(id, false, nil) != nil {
					return
				}
			}
		}, showdown.FailProtocol},
		{"head too large", func(f *http2.Framer, _ net.Conn, id uint32) {
			head := block(":status", "200", "x", strings.Repeat("a", 10_000), "y", strings.Repeat("b", 60_000))
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head[:16000]})
			for rest := head[16000:]; len(rest) > 0; rest = rest[min(16000, len(rest)):] {
				_ = f.WriteContinuation(id, len(rest) <= 16000, rest[:min(16000, len(rest))])
			}
		}, showdown.FailProtocol},
		{"huge window", func(f *http2.Framer, _ net.Conn, _ uint32) { _ = f.WriteWindowUpdate(0, 1<<31-1) }, showdown.FailProtocol},
		{"huge frame", func(f *http2.Framer, c net.Conn, _ uint32) {
			_, _ = c.Write([]byte{0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1})
		}, showdown.FailProtocol},
		{"broken continuation", func(f *http2.Framer, _ net.Conn, id uint32) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "200")})
			_ = f.WritePing(false, [8]byte{})
		}, showdown.FailProtocol},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			target := frames(t, func(f *http2.Framer, conn net.Conn) {
				for {
					id, err := nextRequest(f)
					if err != nil {
						return
					}
					c.talk(f, conn, id)
				}
			})
			r := play(t, portable(t, target), Window{Schedule: pace.Constant(50, 60*time.Millisecond, 0)}, plain{path: "/"})
			balanced(t, r)
			if r.OK != 0 || r.Failures[c.want] != r.Due || r.Due != 3 {
				t.Errorf("ok %d failures %v, want only %s: %s", r.OK, r.Failures, c.want, r.Example)
			}
		})
	}
}

// A server that goes away finishes what it has taken; what follows goes over
// another connection.
func TestHTTP2GoAway(t *testing.T) {
	target := frames(t, func(f *http2.Framer, _ net.Conn) {
		for n := 0; ; n++ {
			id, err := nextRequest(f)
			if err != nil {
				return
			}
			if n == 9 {
				_ = f.WriteGoAway(id, http2.ErrCodeNo, nil)
			}
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "204"), EndHeaders: true, EndStream: true})
		}
	})
	r := play(t, portable(t, target), Window{Count: 100}, plain{path: "/"})
	balanced(t, r)
	if r.OK != 100 || r.Connections != 10 && r.Connections != 11 {
		t.Errorf("ok %d over %d connections, failures %v: %s", r.OK, r.Connections, r.Failures, r.Example)
	}
}

// Pings and settings are acknowledged, and a limit of streams that changes is kept.
func TestHTTP2Settings(t *testing.T) {
	var acks, pongs, most atomic.Int64
	target := frames(t, func(f *http2.Framer, _ net.Conn) {
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
		_ = f.WritePing(false, [8]byte{'p', 'i', 'n', 'g'})
		var mu sync.Mutex
		open := 0
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				if frame.IsAck() {
					acks.Add(1)
				}
			case *http2.PingFrame:
				if frame.IsAck() && string(frame.Data[:4]) == "ping" {
					pongs.Add(1)
				}
			case *http2.HeadersFrame:
				id := frame.StreamID
				mu.Lock()
				open++
				most.Store(max(most.Load(), int64(open)))
				mu.Unlock()
				time.AfterFunc(3*time.Millisecond, func() {
					mu.Lock()
					defer mu.Unlock()
					open--
					_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block(":status", "200"), EndHeaders: true, EndStream: true})
				})
			}
		}
	})
	e := portable(t, target)
	play(t, e, Window{Count: 5}, plain{path: "/"}) // by now the settings are known
	most.Store(0)
	r := play(t, e, Window{Schedule: pace.Constant(400, 100*time.Millisecond, 0)}, plain{path: "/"})
	balanced(t, r)
	if r.OK != 40 || most.Load() != 1 || acks.Load() != 2 || pongs.Load() != 1 {
		t.Errorf("ok %d, %d streams at once, %d settings and %d pings acknowledged", r.OK, most.Load(), acks.Load(), pongs.Load())
	}
}

// A server that talks without end and reads nothing costs bounded memory and time.
func TestHTTP2ServerThatDoesNotRead(t *testing.T) {
	target := frames(t, func(f *http2.Framer, c net.Conn) {
		for f.WritePing(false, [8]byte{}) == nil {
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := portable(t, target).Run(ctx, Window{Schedule: pace.Constant(200, 300*time.Millisecond, 0), GiveUp: 3 * time.Second}, plain{path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	balanced(t, r)
	if r.OK != 0 {
		t.Errorf("ok %d", r.OK)
	}
}

func TestHTTP2WithoutALPN(t *testing.T) {
	s := httptest.NewTLSServer(http.NotFoundHandler()) // HTTP/1.1 only
	defer s.Close()
	target := Target{Address: s.Listener.Addr().String(), Protocol: HTTP2, TLS: &tls.Config{InsecureSkipVerify: true}, Open: 1, Max: 1, Timeout: time.Second}
	_, err := portable(t, target).Run(t.Context(), Window{Count: 1}, plain{path: "/"})
	if showdown.CodeOf(err) != showdown.Environment {
		t.Errorf("error %v", err)
	}
	if target.TLS.NextProtos != nil {
		t.Error("the caller's TLS configuration was changed")
	}
	if _, err = portable(t, Target{Address: serve(t, http.NotFound), Protocol: HTTP2, Open: 1, Max: 1, Timeout: time.Second}).
		Run(t.Context(), Window{Count: 1}, plain{path: "/"}); showdown.CodeOf(err) != showdown.Environment || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("HTTP/2 to an HTTP/1.1 server: %v", err)
	}
}
