package wire

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// acceptOf is RFC 6455 §4.2.2, step 5.4.
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// The key and the answer of RFC 6455 §1.3.
var sampleKey = [16]byte([]byte("the sample nonce"))

const sampleAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

func feedUpgrade(text string, size int, handshake []byte) (u Upgrade, surplus int, err error) {
	u = Upgrade{Handshake: handshake, Key: sampleKey}
	for b := []byte(text); len(b) > 0; {
		n, done, err := u.Feed(b[:min(size, len(b))])
		b = b[n:]
		if err != nil || done {
			return u, len(b), err
		}
	}
	return u, 0, u.EOF()
}

func answer(lines ...string) string {
	return "HTTP/1.1 101 Switching Protocols\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

func TestAppendUpgrade(t *testing.T) {
	got := AppendUpgrade([]byte("before"), Handshake("/chat?room=1", "example.com:80", "Origin: http://example.com"), sampleKey)
	want := "beforeGET /chat?room=1 HTTP/1.1\r\nHost: example.com:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Origin: http://example.com\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { got = AppendUpgrade(got[:0], []byte("GET / HTTP/1.1\r\n"), sampleKey) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestUpgrade(t *testing.T) {
	asked := Handshake("/", "host", "Sec-WebSocket-Protocol: chat, superchat", "sec-websocket-protocol:other")
	usual := []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: " + sampleAccept}
	for _, c := range []struct {
		name, text string
		surplus    int
	}{
		{"usual", answer(usual...), 0},
		{"case and lists", answer("UPGRADE: WebSocket", "connection:keep-alive,  upgrade", "sec-websocket-accept:"+sampleAccept, "X: y"), 0},
		{"connection twice", answer(append(usual, "Connection: keep-alive")...), 0},
		{"subprotocol", answer(append(usual, "Sec-WebSocket-Protocol: superchat")...), 0},
		{"subprotocol of another line", answer(append(usual, "Sec-WebSocket-Protocol: other")...), 0},
		{"no extension", answer(append(usual, "Sec-WebSocket-Extensions:")...), 0},
		{"frames follow", answer(usual...) + frame(final|1, "hi"), 4},
		{"early hints", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(usual...), 0},
	} {
		for _, size := range []int{1, 2, 3, 7, len(c.text)} {
			if _, surplus, err := feedUpgrade(c.text, size, asked); err != nil || surplus != c.surplus {
				t.Errorf("%s in pieces of %d: %d bytes more, %v", c.name, size, surplus, err)
			}
		}
	}
}

func TestUpgradeRefuses(t *testing.T) {
	asked := Handshake("/", "host", "Sec-WebSocket-Protocol: chat,")
	upgrade, connection, accept := "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: "+sampleAccept
	for name, text := range map[string]string{
		"garbage":             "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"http/1.0":            strings.Replace(answer(upgrade, connection, accept), "1.1", "1.0", 1),
		"no upgrade":          answer(connection, accept),
		"other upgrade":       answer("Upgrade: h2c", connection, accept),
		"several upgrades":    answer("Upgrade: websocket, h2c", connection, accept),
		"upgrade twice":       answer(upgrade, upgrade, connection, accept),
		"no connection":       answer(upgrade, accept),
		"other connection":    answer(upgrade, "Connection: keep-alive, upgraded", accept),
		"no accept":           answer(upgrade, connection),
		"wrong accept":        answer(upgrade, connection, "Sec-WebSocket-Accept: "+acceptOf("other")),
		"accept's case":       answer(upgrade, connection, strings.ToLower(accept)),
		"accept twice":        answer(upgrade, connection, accept, accept),
		"extension":           answer(upgrade, connection, accept, "Sec-WebSocket-Extensions: permessage-deflate"),
		"subprotocol":         answer(upgrade, connection, accept, "Sec-WebSocket-Protocol: superchat"),
		"subprotocol's case":  answer(upgrade, connection, accept, "Sec-WebSocket-Protocol: Chat"),
		"no subprotocol":      answer(upgrade, connection, accept, "Sec-WebSocket-Protocol:"),
		"two subprotocols":    answer(upgrade, connection, accept, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"),
		"bad header":          answer(upgrade, connection, accept, "nothing"),
		"closed at once":      "",
		"closed in the head":  answer(upgrade, connection, accept)[:60],
		"endless head":        "HTTP/1.1 101 X\r\nX: " + strings.Repeat("a", 1<<20),
		"endless interim":     strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100),
		"not a status at all": "HTTP/1.1 xyz\r\n\r\n",
	} {
		for _, size := range []int{1, 7, max(1, len(text))} {
			u, _, err := feedUpgrade(text, size, asked)
			if _, ok := errors.AsType[*ProtocolError](err); !ok {
				t.Errorf("%s in pieces of %d: %v, want a ProtocolError", name, size, err)
			}
			if cap(u.answer.line) > 4*MaxHead {
				t.Errorf("%s in pieces of %d: kept %d bytes", name, size, cap(u.answer.line))
			}
		}
	}
	for _, status := range []int{200, 302, 401, 426, 503} {
		_, _, err := feedUpgrade(fmt.Sprintf("HTTP/1.1 %d Because\r\nContent-Length: 2\r\n\r\nno", status), 5, asked)
		if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Status != status {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

// A server that others wrote upgrades us, reads what we send and is read by us.
func TestWebSocketWithPeer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}})
		if err != nil {
			t.Error(err)
			return
		}
		c.SetReadLimit(-1)
		for {
			kind, payload, err := c.Read(r.Context())
			if err != nil {
				if websocket.CloseStatus(err) != websocket.StatusNormalClosure {
					t.Errorf("the peer: %v", err)
				}
				return
			}
			if err := c.Write(r.Context(), kind, payload); err != nil {
				t.Error(err)
			}
		}
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()

	u := Upgrade{Handshake: Handshake("/", "peer", "Sec-WebSocket-Protocol: echo"), Key: sampleKey}
	send := func(b []byte) {
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	in, unread := make([]byte, 4000), []byte(nil)
	read := func() {
		if len(unread) > 0 {
			return
		}
		n, err := conn.Read(in)
		if err != nil {
			t.Fatal(err)
		}
		unread = in[:n]
	}
	send(AppendUpgrade(nil, u.Handshake, u.Key))
	for done := false; !done; {
		var n int
		if read(); t.Failed() {
			return
		}
		if n, done, err = u.Feed(unread); err != nil {
			t.Fatal(err)
		}
		unread = unread[n:]
	}

	var (
		m       Messages
		kept    []byte
		receive = func() Message {
			for {
				read()
				n, message, done, err := m.Feed(unread, &kept)
				if err != nil {
					t.Fatal(err)
				}
				if unread = unread[n:]; done {
					return message
				}
			}
		}
	)
	for i, size := range []int{0, 1, 5, 125, 126, 4000, 65535, 65536, 300_000} {
		payload, op := make([]byte, size), Binary
		if i%2 == 0 {
			payload, op = bytes.Repeat([]byte("ä"), size), Text
		} else if _, err := rand.Read(payload); err != nil {
			t.Fatal(err)
		}
		send(AppendFrame(nil, Ping, []byte("well?"), uint32(i)*0x9e3779b9))
		send(AppendFrame(nil, op, payload, uint32(i+1)*0x9e3779b9))
		if pong := receive(); pong.Op != Pong || string(pong.Payload) != "well?" {
			t.Errorf("pong %d %q", pong.Op, pong.Payload)
		}
		if echo := receive(); echo.Op != op || !bytes.Equal(echo.Payload, payload) {
			t.Errorf("%d bytes came back as opcode %d with %d", len(payload), echo.Op, echo.Length)
		}
	}
	send(AppendClose(nil, CloseNormal, 0x12345678))
	if bye := receive(); bye.Op != Close || bye.Code != CloseNormal || m.EOF() != nil {
		t.Errorf("close %+v, %v", bye, m.EOF())
	}
}

// What opens a WebSocket for us does so for net/http's reading; and pieces must not matter.
func FuzzUpgrade(f *testing.F) {
	asked := Handshake("/", "host", "Sec-WebSocket-Protocol: chat")
	usual := answer("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: "+sampleAccept, "Sec-WebSocket-Protocol: chat")
	f.Add([]byte(usual+"\x81\x00"), 3)
	f.Add([]byte("HTTP/1.1 103 Early Hints\r\n\r\n"+usual), 1)
	f.Add([]byte("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), 9)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = max(1, min(size, 1<<16))
		_, surplus, err := feedUpgrade(string(data), max(1, len(data)), asked)
		_, surplus2, err2 := feedUpgrade(string(data), size, asked)
		if (err == nil) != (err2 == nil) || err == nil && surplus != surplus2 {
			t.Fatalf("whole: %d %v; in pieces of %d: %d %v", surplus, err, size, surplus2, err2)
		}
		if err != nil {
			return
		}
		in := bufio.NewReader(bytes.NewReader(data))
		for {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				return // net/http is stricter on header names and values
			}
			if resp.StatusCode != 101 {
				continue
			}
			if resp.Header.Get("Sec-WebSocket-Accept") != sampleAccept || !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") {
				t.Fatalf("opened by %v", resp.Header)
			}
			return
		}
	})
}
