package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unsafe"

	"github.com/coder/websocket"
)

// frame writes a frame as a server does.
func frame(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return string(b) + payload
}

const final = 0x80

// said is what messages were, in words that can be compared.
func said(m Message) string { return fmt.Sprintf("%d %d %q", m.Op, m.Code, m.Payload) }

// feedFrames gives the parser text in pieces of size, and tells what it said.
func feedFrames(text string, size int, limit int64, keep bool) (m Messages, got []string, err error) {
	m.Limit = limit
	var kept []byte
	buffer := &kept
	if !keep {
		buffer = nil
	}
	for b := []byte(text); len(b) > 0; b = b[min(size, len(b)):] {
		for piece := b[:min(size, len(b)):min(size, len(b))]; len(piece) > 0; {
			n, message, done, err := m.Feed(piece, buffer)
			if err != nil {
				return m, got, err
			}
			if !done && n < len(piece) {
				return m, got, fmt.Errorf("no message, and %d of %d bytes consumed", n, len(piece))
			}
			if done && keep && message.Length != int64(len(message.Payload)) {
				return m, got, fmt.Errorf("length %d of %d bytes", message.Length, len(message.Payload))
			}
			if done && keep {
				got = append(got, said(message))
			} else if done {
				got = append(got, fmt.Sprintf("%d %d %d", message.Op, message.Code, message.Length))
			}
			piece = piece[n:]
		}
	}
	return m, got, nil
}

func TestMessages(t *testing.T) {
	long, longer := strings.Repeat("a", 126), strings.Repeat("b", 70_000)
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"text", frame(final|1, "hello"), []string{`1 0 "hello"`}},
		{"binary", frame(final|2, "\xff\x00"), []string{`2 0 "\xff\x00"`}},
		{"nothing", frame(final|1, ""), []string{`1 0 ""`}},
		{"16-bit length", frame(final|1, long), []string{fmt.Sprintf("1 0 %q", long)}},
		{"64-bit length", frame(final|2, longer), []string{fmt.Sprintf("2 0 %q", longer)}},
		{"several", frame(final|1, "a") + frame(final|2, "b") + frame(final|1, "c"), []string{`1 0 "a"`, `2 0 "b"`, `1 0 "c"`}},
		{"fragments", frame(1, "he") + frame(0, "") + frame(0, "l") + frame(final, "lo"), []string{`1 0 "hello"`}},
		{"empty fragments", frame(1, "") + frame(0, "") + frame(final, ""), []string{`1 0 ""`}},
		{"only the last has bytes", frame(2, "") + frame(final, "x"), []string{`2 0 "x"`}},
		{"control between fragments", frame(1, "he") + frame(final|9, "are you there") + frame(0, "ll") + frame(final|10, "") + frame(final, "o"), []string{`9 0 "are you there"`, `10 0 ""`, `1 0 "hello"`}},
		{"largest ping", frame(final|9, long[:125]), []string{fmt.Sprintf("9 0 %q", long[:125])}},
		{"cut character", frame(1, "\xe2") + frame(0, "\x82") + frame(final, "\xac!"), []string{`1 0 "€!"`}},
		{"four bytes cut", frame(1, "a\xf0\x9f") + frame(0, "\x98") + frame(0, "") + frame(final, "\x80b"), []string{`1 0 "a😀b"`}},
		{"three of four bytes", frame(1, "a\xf0\x9f\x98") + frame(final, "\x80"), []string{`1 0 "a😀"`}},
		{"binary need not be text", frame(2, "\xe2") + frame(final, "\x82"), []string{`2 0 "\xe2\x82"`}},
		{"close", frame(final|8, ""), []string{`8 0 ""`}},
		{"close with a code", frame(final|8, "\x03\xe8"), []string{`8 1000 ""`}},
		{"close with a reason", frame(final|8, "\x0f\xa0gone äway"), []string{`8 4000 "gone äway"`}},
		{"close in a message", frame(1, "he") + frame(final|8, "\x03\xe9"), []string{`8 1001 ""`}},
	} {
		for _, size := range []int{1, 2, 3, 7, len(c.text)} {
			m, got, err := feedFrames(c.text, size, 0, true)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s in pieces of %d: %q, %v, want %q", c.name, size, got, err, c.want)
			}
			if closed := strings.HasPrefix(c.want[len(c.want)-1], "8 "); (m.EOF() == nil) != closed {
				t.Errorf("%s in pieces of %d: at its end %v", c.name, size, m.EOF())
			}
			_, counted, err := feedFrames(c.text, size, 0, false)
			if err != nil || len(counted) != len(got) {
				t.Errorf("%s in pieces of %d, not kept: %q, %v", c.name, size, counted, err)
			}
		}
	}
}

func TestMessagesRefuse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		code       CloseCode
	}{
		{"reserved bit 1", frame(final|0x40|1, "a"), 1002},
		{"reserved bit 2", frame(final|0x20|1, "a"), 1002},
		{"reserved bit 3", frame(final|0x10|9, "a"), 1002},
		{"masked", "\x81\x81\x00\x00\x00\x00a", 1002},
		{"opcode 3", frame(final|3, "a"), 1002},
		{"opcode 7", frame(final|7, "a"), 1002},
		{"opcode 11", frame(final|11, ""), 1002},
		{"opcode 15", frame(final|15, ""), 1002},
		{"ping in fragments", frame(9, "a"), 1002},
		{"close in fragments", frame(8, ""), 1002},
		{"long ping", frame(final|9, strings.Repeat("a", 126)), 1002},
		{"longer close", frame(final|8, strings.Repeat("a", 70_000)), 1002},
		{"continuation at first", frame(final, "a"), 1002},
		{"continuation after the last", frame(1, "a") + frame(final, "b") + frame(0, "c"), 1002},
		{"message in a message", frame(1, "a") + frame(final|1, "b"), 1002},
		{"125 in 16 bits", "\x81\x7e\x00\x7d" + strings.Repeat("a", 125), 1002},
		{"65535 in 64 bits", "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff" + strings.Repeat("a", 65535), 1002},
		{"top bit", "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00a", 1002},
		{"not UTF-8", frame(final|1, "a\xffb"), 1007},
		{"a surrogate", frame(final|1, "\xed\xa0\x80"), 1007},
		{"overlong", frame(final|1, "\xc0\xaf"), 1007},
		{"beyond Unicode", frame(final|1, "\xf4\x90\x80\x80"), 1007},
		{"bad within a cut", frame(1, "\xe2\x82") + frame(0, "\x41"), 1007},
		{"bad before the end", frame(1, "\xe2\x28") + frame(0, "a"), 1007},
		{"ends in a character", frame(final|1, "a\xe2\x82"), 1007},
		{"ends in a character, fragments", frame(1, "a\xe2") + frame(final, ""), 1007},
		{"half a close code", frame(final|8, "\x03"), 1002},
		{"close reason", frame(final|8, "\x03\xe8\xff"), 1007},
		{"bytes after the close", frame(final|8, "") + "\x81", 1002},
		{"large", frame(final|2, strings.Repeat("a", 1001)), 1009},
		{"large in fragments", frame(2, strings.Repeat("a", 600)) + frame(0, strings.Repeat("a", 400)) + frame(final, "a"), 1009},
		{"enormous", "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 1009},
	} {
		for _, size := range []int{1, 2, 3, 7, len(c.text)} {
			for _, keep := range []bool{true, false} {
				_, _, err := feedFrames(c.text, size, 1000, keep)
				fe, isFrame := errors.AsType[*FrameError](err)
				_, isProtocol := errors.AsType[*ProtocolError](err)
				if !isFrame || !isProtocol || fe.Code != c.code {
					t.Errorf("%s in pieces of %d, kept %v: %v, want code %d", c.name, size, keep, err, c.code)
				}
			}
		}
	}
}

func TestCloseCodes(t *testing.T) {
	for code := range 1 << 16 {
		_, got, err := feedFrames(frame(final|8, string([]byte{byte(code >> 8), byte(code)})), 4, 0, true)
		may := code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
		if (err == nil) != may || may && got[0] != fmt.Sprintf(`8 %d ""`, code) {
			t.Errorf("close code %d: %q, %v", code, got, err)
		}
	}
}

func TestMessageLimit(t *testing.T) {
	text := frame(2, strings.Repeat("a", MaxMessage-1)) + frame(final, "b")
	if _, got, err := feedFrames(text, 1<<16, 0, false); err != nil || len(got) != 1 {
		t.Errorf("a message of the default limit: %q, %v", got, err)
	}
	_, _, err := feedFrames(text[:len(text)-len(frame(final, "b"))]+frame(final, "bc"), 1<<16, 0, false)
	if fe, ok := errors.AsType[*FrameError](err); !ok || fe.Code != CloseTooBig {
		t.Errorf("one byte more: %v", err)
	}
}

// There is one parser per connection, and there may be 50,000 of them.
func TestParsersAreSmall(t *testing.T) {
	if size := unsafe.Sizeof(Messages{}); size > 96 {
		t.Errorf("Messages is %d bytes", size)
	}
	if size := unsafe.Sizeof(Events{}); size > 128 {
		t.Errorf("Events is %d bytes", size)
	}
}

func TestMessagesKeepNothing(t *testing.T) {
	text := frame(1, strings.Repeat("a", 5000)) + frame(final|9, strings.Repeat("p", 100)) + frame(final, "b")
	for _, size := range []int{1, 7, 999, len(text)} {
		m, _, err := feedFrames(text, size, 0, true)
		if err != nil || m.pending != nil || m.Begun() {
			t.Errorf("in pieces of %d: %d bytes of a control frame, begun %v, %v", size, len(m.pending), m.Begun(), err)
		}
	}
	if m, _, _ := feedFrames(text[:2000], 100, 0, true); !m.Begun() {
		t.Error("a message in part has not begun")
	}
}

// A whole frame is given where it lies.
func TestMessageIsNotCopied(t *testing.T) {
	for _, headerApart := range []bool{false, true} {
		var m Messages
		b, kept := []byte(frame(final|1, "hello")), []byte(nil)
		if headerApart {
			if n, _, done, err := m.Feed(b[:2], &kept); n != 2 || done || err != nil {
				t.Fatal(n, done, err)
			}
			b = b[2:]
		}
		_, message, done, err := m.Feed(b, &kept)
		if !done || err != nil || &message.Payload[0] != &b[len(b)-5] || kept != nil {
			t.Errorf("header apart %v: %v %v %q, buffer %q", headerApart, done, err, message.Payload, kept)
		}
	}
}

func TestMessagesDoNotAllocate(t *testing.T) {
	b := []byte(frame(final|1, "hello, world") + frame(1, "\xe2\x82") + frame(final|9, "ping") + frame(0, "\xac") + frame(final, "uro"))
	var m Messages
	kept, frames := make([]byte, 0, 64), make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		for _, piece := range [][]byte{b[:9], b[9:17], b[17:]} {
			for len(piece) > 0 {
				n, message, done, err := m.Feed(piece, &kept)
				if err != nil {
					t.Fatal(err)
				}
				if done {
					frames = AppendFrame(frames[:0], message.Op, message.Payload, 0x01020304)
				}
				piece = piece[n:]
			}
		}
		frames = AppendClose(frames[:0], CloseNormal, 0x01020304)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// unframe reads a client's frame as RFC 6455 §5.2 draws it.
func unframe(b []byte) (op Opcode, payload, rest []byte) {
	length, at := uint64(b[1]&0x7f), 2
	switch length {
	case 126:
		length, at = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		length, at = binary.BigEndian.Uint64(b[2:]), 10
	}
	key, masked := b[at:at+4], b[at+4:at+4+int(length)]
	for i, c := range masked {
		payload = append(payload, c^key[i%4])
	}
	if b[0]&0xf0 != final || b[1]&0x80 == 0 {
		return 0xff, nil, nil
	}
	return Opcode(b[0] & 0x0f), payload, b[at+4+int(length):]
}

func TestAppendFrame(t *testing.T) {
	for _, n := range []int{0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 125, 126, 127, 65535, 65536, 100_001} {
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		b := AppendFrame([]byte("before"), Binary, payload, 0xdeadbeef)
		header := map[bool]int{n < 126: 6, n >= 126 && n <= 65535: 8, n > 65535: 14}[true]
		if len(b) != len("before")+header+n {
			t.Errorf("%d bytes make a frame of %d", n, len(b)-len("before"))
		}
		if op, got, rest := unframe(b[len("before"):]); op != Binary || !bytes.Equal(got, payload) || len(rest) > 0 || !bytes.HasPrefix(b, []byte("before")) {
			t.Errorf("%d bytes: opcode %d, %d bytes, %d more", n, op, len(got), len(rest))
		}
	}
	// The example of RFC 6455 §5.7.
	if got := AppendFrame(nil, Text, []byte("Hello"), 0x37fa213d); string(got) != "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" {
		t.Errorf("%x", got)
	}
	if op, payload, _ := unframe(AppendClose(nil, CloseInvalid, 0x37fa213d)); op != Close || string(payload) != "\x03\xef" {
		t.Errorf("close: opcode %d, payload %x", op, payload)
	}
}

func FuzzAppendFrame(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x37fa213d), byte(Text))
	f.Add(make([]byte, 126), uint32(1), byte(Binary))
	f.Fuzz(func(t *testing.T, payload []byte, mask uint32, op byte) {
		op &= 0x0f
		got, read, rest := unframe(AppendFrame(nil, Opcode(op), payload, mask))
		if byte(got) != op || !bytes.Equal(read, payload) || len(rest) > 0 {
			t.Fatalf("opcode %d, payload %q, %d bytes more", got, read, len(rest))
		}
	})
}

// peerReads lets another implementation, github.com/coder/websocket, read the
// same bytes as a client. It is laxer, so it may read more.
func peerReads(t *testing.T, data []byte) (got []string) {
	c, _, err := websocket.Dial(t.Context(), "ws://peer/", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: canned{data}},
		OnPingReceived: func(_ context.Context, payload []byte) bool {
			got = append(got, said(Message{Op: Ping, Payload: payload}))
			return false
		},
		OnPongReceived: func(_ context.Context, payload []byte) {
			got = append(got, said(Message{Op: Pong, Payload: payload}))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	c.SetReadLimit(-1)
	for {
		kind, payload, err := c.Read(t.Context())
		if ce, ok := errors.AsType[websocket.CloseError](err); ok {
			m := Message{Op: Close, Payload: []byte(ce.Reason)}
			if ce.Code != websocket.StatusNoStatusRcvd {
				m.Code = CloseCode(ce.Code)
			}
			return append(got, said(m))
		}
		if err != nil {
			return got
		}
		got = append(got, said(Message{Op: Opcode(kind), Payload: payload}))
	}
}

// canned answers an upgrade as it should be, and then sends the bytes. They end
// in an error, for at an end of file the peer takes part of a message for the whole.
type canned struct{ data []byte }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusSwitchingProtocols, Request: r,
		Header: http.Header{
			"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
			"Sec-Websocket-Accept": {acceptOf(r.Header.Get("Sec-WebSocket-Key"))},
		},
		Body: struct {
			io.Reader
			io.Writer
			io.Closer
		}{io.MultiReader(bytes.NewReader(c.data), iotest.ErrReader(io.ErrClosedPipe)), io.Discard, io.NopCloser(nil)},
	}, nil
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte(frame(final|1, "hello")+frame(final|2, "\xff")), 3)
	f.Add([]byte(frame(1, "h\xe2")+frame(final|9, "ping")+frame(0, "\x82\xac")+frame(final|10, "")+frame(final, "o")+frame(final|8, "\x03\xe8bye")), 1)
	f.Add([]byte(frame(final|2, strings.Repeat("a", 300))+frame(final|8, "")), 7)
	f.Add([]byte(frame(final|1, "a\xff")), 2)
	f.Add([]byte("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00abc"), 5)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = max(1, min(size, 1<<16))
		text := string(data)
		_, whole, err := feedFrames(text, max(1, len(text)), 0, true)
		_, pieces, err2 := feedFrames(text, size, 0, true)
		_, counted, err3 := feedFrames(text, size, 0, false)
		if fmt.Sprint(err) != fmt.Sprint(err2) || fmt.Sprint(err) != fmt.Sprint(err3) || !slices.Equal(whole, pieces) || len(counted) != len(whole) {
			t.Fatalf("whole: %q %v; in pieces of %d: %q %v; counted %q %v", whole, err, size, pieces, err2, counted, err3)
		}
		if _, ok := errors.AsType[*FrameError](err); err != nil && !ok {
			t.Fatal(err)
		}
		peer := peerReads(t, data)
		if err == nil && len(peer) != len(whole) || len(peer) < len(whole) || !slices.Equal(peer[:len(whole)], whole) {
			t.Fatalf("%q, %v; the peer reads %q", whole, err, peer)
		}
	})
}

func BenchmarkMessages(b *testing.B) {
	for _, n := range []int{16, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var m Messages
			text := []byte(frame(final|1, strings.Repeat("a", n)))
			b.SetBytes(int64(n))
			for b.Loop() {
				if _, _, done, err := m.Feed(text, nil); !done || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	for _, n := range []int{16, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			payload, dst := make([]byte, n), []byte(nil)
			b.SetBytes(int64(n))
			for b.Loop() {
				dst = AppendFrame(dst[:0], Text, payload, 0x37fa213d)
			}
		})
	}
}
