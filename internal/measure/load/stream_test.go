package load

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/measure/wire"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// words is traffic of numbered text messages.
type words struct{ fail bool }

func (words) Append(dst []byte, k uint64) ([]byte, int) {
	return fmt.Appendf(dst, "message %d ☃", k), 0
}

func (w words) Check(k uint64, body []byte) error {
	if want := fmt.Sprintf("message %d ☃", k); w.fail || string(body) != want {
		return fmt.Errorf("%q, want %q", body, want)
	}
	return nil
}

// talkers runs a test on each engine with a WebSocket server.
func talkers(t *testing.T, open int, talk func(*websocket.Conn), test func(*testing.T, Engine)) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		talk(c)
	})
	for _, name := range engineNames() {
		t.Run(name, func(t *testing.T) {
			test(t, start(t, Target{
				Address: address, Protocol: WebSocket, Handshake: wire.Handshake("/", address),
				Open: open, Max: open, Timeout: time.Second, Engine: name,
			}))
		})
	}
}

func acceptFor(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func echo(c *websocket.Conn) {
	for {
		kind, b, err := c.Read(context.Background())
		if err != nil || c.Write(context.Background(), kind, b) != nil {
			return
		}
	}
}

func TestWebSocketEcho(t *testing.T) {
	talkers(t, 4, echo, func(t *testing.T, e Engine) {
		r, err := e.Run(t.Context(), Window{Schedule: pace.Poisson(1000, 300*time.Millisecond, 1), Sample: 1}, words{})
		if err != nil {
			t.Fatal(err)
		}
		balanced(t, r)
		if r.OK != r.Due || r.Verified != r.OK || r.OK < 200 {
			t.Errorf("open loop: due %d ok %d verified %d failures %v %s", r.Due, r.OK, r.Verified, r.Failures, r.Example)
		}
		r, err = e.Run(t.Context(), Window{Count: 500}, words{})
		if err != nil || r.OK != 500 {
			t.Errorf("closed loop: ok %d failures %v err %v", r.OK, r.Failures, err)
		}
		r, err = e.Run(t.Context(), Window{Count: 50, Sample: 1}, words{fail: true})
		if err != nil || r.Failures[showdown.FailBody] != 50 {
			t.Errorf("wrong answers: failures %v err %v", r.Failures, err)
		}
	})
}

func TestWebSocketListening(t *testing.T) {
	var pongs atomic.Int64
	talkers(t, 20, func(c *websocket.Conn) {
		ctx := c.CloseRead(context.Background())
		if c.Ping(ctx) == nil { // returns when the pong is in
			pongs.Add(1)
		}
		for i := range 10 {
			if c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, "message %d ☃", i)) != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		<-ctx.Done()
	}, func(t *testing.T, e Engine) {
		pongs.Store(0)
		seconds := uint64(0)
		r, err := e.Run(t.Context(), Window{Listen: true, Length: 600 * time.Millisecond, Second: func(s Second) { seconds += s.OK }}, words{})
		if err != nil {
			t.Fatal(err)
		}
		if r.OK != 200 || r.Due != 20 || pongs.Load() != 20 || len(r.Failures) > 0 {
			t.Errorf("%d messages on %d connections, %d pings answered, failures %v; want 200, 20, 20, none", r.OK, r.Due, pongs.Load(), r.Failures)
		}
		if r.Latency.TotalCount() != 20 || r.Service.TotalCount() != 180 || seconds != r.OK {
			t.Errorf("%d first messages, %d gaps, %d messages in seconds", r.Latency.TotalCount(), r.Service.TotalCount(), seconds)
		}
		if gap := time.Duration(r.Service.ValueAtQuantile(50)); gap < 19*time.Millisecond || gap > 30*time.Millisecond {
			t.Errorf("the median gap is %v, want about 20 ms", gap)
		}
	})
}

func TestWebSocketThatIsClosed(t *testing.T) {
	talkers(t, 1, func(c *websocket.Conn) {
		kind, b, err := c.Read(context.Background())
		if err == nil && c.Write(context.Background(), kind, b) == nil {
			_, _, _ = c.Read(context.Background())
			c.Close(websocket.StatusGoingAway, "restarting")
		}
	}, func(t *testing.T, e Engine) {
		r, err := e.Run(t.Context(), Window{Schedule: pace.Constant(100, 200*time.Millisecond, 0)}, words{})
		if err != nil {
			t.Fatal(err)
		}
		balanced(t, r)
		if r.OK < 5 || r.Failures[showdown.FailReset] < 5 || !strings.Contains(r.Example, "1001") {
			t.Errorf("ok %d failures %v: %s", r.OK, r.Failures, r.Example)
		}
	})
}

// A server that does not speak WebSocket, or speaks it badly.
func TestHostileWebSockets(t *testing.T) {
	accept := func(c net.Conn) bool {
		b := make([]byte, 4096)
		n, err := c.Read(b)
		if err != nil {
			return false
		}
		_, after, _ := strings.Cut(string(b[:n]), "Sec-WebSocket-Key: ")
		key, _, _ := strings.Cut(after, "\r\n")
		fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", acceptFor(key))
		return true
	}
	for _, c := range []struct {
		name string
		talk func(net.Conn)
		want showdown.Failure
	}{
		{"masked frame", func(c net.Conn) {
			if accept(c) {
				c.Write([]byte{0x81, 0x81, 1, 2, 3, 4, 5})
				io.Copy(io.Discard, c)
			}
		}, showdown.FailProtocol},
		{"bad UTF-8", func(c net.Conn) {
			if accept(c) {
				c.Write([]byte{0x81, 2, 0xc3, 0x28})
				io.Copy(io.Discard, c)
			}
		}, showdown.FailProtocol},
		{"cut short", func(c net.Conn) {
			if accept(c) {
				c.Write([]byte{0x81, 100, 'a'})
			}
		}, showdown.FailReset},
		{"huge frame", func(c net.Conn) {
			if accept(c) {
				c.Write([]byte{0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
				io.Copy(io.Discard, c)
			}
		}, showdown.FailProtocol},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			address := raw(t, c.talk)
			for _, name := range engineNames() {
				t.Run(name, func(t *testing.T) {
					e := start(t, Target{Address: address, Protocol: WebSocket, Handshake: wire.Handshake("/", address), Open: 2, Max: 2, Timeout: 300 * time.Millisecond, Engine: name})
					r, err := e.Run(t.Context(), Window{Listen: true, Length: 250 * time.Millisecond}, words{})
					if err != nil {
						t.Fatal(err)
					}
					if r.OK != 0 || r.Failures[c.want] < 2 || len(r.Failures) != 1 {
						t.Errorf("ok %d failures %v, want only %s: %s", r.OK, r.Failures, c.want, r.Example)
					}
				})
			}
		})
	}
}

func TestWebSocketRefused(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) })
	for _, name := range engineNames() {
		t.Run(name, func(t *testing.T) {
			e := start(t, Target{Address: address, Protocol: WebSocket, Handshake: wire.Handshake("/", address), Open: 2, Max: 2, Timeout: time.Second, Engine: name})
			_, err := e.Run(t.Context(), Window{Count: 3}, words{})
			if showdown.CodeOf(err) != showdown.Environment || !strings.Contains(err.Error(), "403") {
				t.Errorf("error %v", err)
			}
		})
	}
}

type subscription struct{}

func (subscription) Append(dst []byte, _ uint64) ([]byte, int) {
	return append(dst, "GET /events HTTP/1.1\r\nHost: test\r\nAccept: text/event-stream\r\n\r\n"...), 200
}

func (subscription) Check(_ uint64, data []byte) error {
	if !strings.HasPrefix(string(data), "number ") {
		return errors.New("not a number")
	}
	return nil
}

func TestServerSentEvents(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 10 {
			fmt.Fprintf(w, ": comment\nid: %d\ndata: number %d\ndata: second line\n\n", i, i)
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
		if r.URL.Path != "/events" {
			return
		}
		<-r.Context().Done()
	})
	for _, name := range engineNames() {
		t.Run(name, func(t *testing.T) {
			e := start(t, Target{Address: address, Protocol: Events, Open: 5, Max: 5, Timeout: time.Second, Engine: name})
			r, err := e.Run(t.Context(), Window{Listen: true, Length: 500 * time.Millisecond, Sample: 1}, subscription{})
			if err != nil {
				t.Fatal(err)
			}
			if r.OK != 50 || r.Verified != 50 || r.Due != 5 || len(r.Failures) > 0 {
				t.Errorf("%d events, %d verified, of %d connections, failures %v %s", r.OK, r.Verified, r.Due, r.Failures, r.Example)
			}
		})
	}
}

// Streams that end are failures, and are opened again.
func TestEventsThatEnd(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "data: number 1\n\n") })
	for _, name := range engineNames() {
		t.Run(name, func(t *testing.T) {
			e := start(t, Target{Address: address, Protocol: Events, Open: 2, Max: 2, Timeout: time.Second, Engine: name})
			r, err := e.Run(t.Context(), Window{Listen: true, Length: 500 * time.Millisecond}, subscription{})
			if err != nil {
				t.Fatal(err)
			}
			if r.OK < 6 || r.Failures[showdown.FailReset] < 6 || len(r.Failures) != 1 || r.OK > 40 {
				t.Errorf("%d events, failures %v %s", r.OK, r.Failures, r.Example)
			}
		})
	}
}
