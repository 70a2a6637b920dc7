package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// feedIn gives the parser text in pieces of size, so that every boundary is met.
func feedIn(text string, size int) (r Response, body []byte, surplus int, err error) {
	b := []byte(text)
	for len(b) > 0 {
		piece := b[:min(size, len(b))]
		n, done, err := r.Feed(piece, &body)
		if err != nil {
			return r, body, 0, err
		}
		b = b[n:]
		if done {
			return r, body, len(b), nil
		}
	}
	return r, body, 0, r.EOF()
}

func TestResponse(t *testing.T) {
	for _, c := range []struct {
		name, text, body string
		status           int
		keep             bool
		surplus          int
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true, 0},
		{"no reason", "HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", "", 200, true, 0},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n, big worl\r\n1\r\nd\r\n0\r\n\r\n", "hello, big world", 200, true, 0},
		{"trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\nExpires: never\r\nX: y\r\n\r\n", "a", 200, true, 0},
		{"interim", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", 200, true, 0},
		{"no content", "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", "", 204, true, 0},
		{"not modified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "", 304, true, 0},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nall of it", "all of it", 200, false, 0},
		{"http/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, false, 0},
		{"http/1.0 keep-alive", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, true, 0},
		{"close", "HTTP/1.1 200 OK\r\nConnection: foo, Close\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, false, 0},
		{"surplus", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!!", "hi", 200, true, 2},
		{"same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, true, 0},
	} {
		for _, size := range []int{1, 2, 3, 7, len(c.text)} {
			r, body, surplus, err := feedIn(c.text, size)
			if err != nil || string(body) != c.body || r.Status != c.status || r.KeepAlive != c.keep || surplus != c.surplus {
				t.Errorf("%s in pieces of %d: status %d keep %v body %q surplus %d err %v", c.name, size, r.Status, r.KeepAlive, body, surplus, err)
			}
		}
	}
}

func TestResponseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"garbage":            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"http/2":             "HTTP/2.0 200 OK\r\n\r\n",
		"bare line feeds":    "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"status word":        "HTTP/1.1 abc OK\r\n\r\n",
		"status 999":         "HTTP/1.1 999 OK\r\n\r\n",
		"two lengths":        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"length and chunks":  "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"negative length":    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"huge length":        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"space before colon": "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na",
		"folded header":      "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
		"NUL in header":      "HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
		"bad chunk size":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"long chunk":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
		"early close":        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
		"close in head":      "HTTP/1.1 200",
		"close at once":      "",
		"switching":          "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"endless interim":    strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100),
		"endless head":       "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 1<<20),
		"endless trailers":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: aaaaaaaaaa\r\n", 1<<14),
	} {
		for _, size := range []int{1, 5, 1 << 21} {
			r, _, _, err := feedIn(text, size)
			var pe *ProtocolError
			if !errors.As(err, &pe) {
				t.Errorf("%s in pieces of %d: error %v, want a ProtocolError", name, size, err)
			}
			if cap(r.line) > 4*MaxHead {
				t.Errorf("%s in pieces of %d: kept %d bytes", name, size, cap(r.line))
			}
		}
	}
}

// A memo is asked for the same head only, and never across a HEAD request.
func TestMemo(t *testing.T) {
	memo := &Memo{}
	head := "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
	for _, c := range []struct {
		head   bool
		text   string
		body   string
		status int
		keep   bool
	}{
		{false, head + "one", "one", 404, false},
		{false, head + "two", "two", 404, false},
		{true, head, "", 404, false},
		{false, head + "six", "six", 404, false},
		{false, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nten", "ten", 200, true},
		{false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", 200, true},
		{false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nd\r\n0\r\n\r\n", "d", 200, true},
	} {
		r, body := Response{Memo: memo}, []byte(nil)
		r.Reset(c.head)
		_, done, err := r.Feed([]byte(c.text), &body)
		if !done || err != nil || r.Status != c.status || r.KeepAlive != c.keep || string(body) != c.body {
			t.Errorf("%q: status %d keep %v body %q done %v err %v", c.text, r.Status, r.KeepAlive, body, done, err)
		}
	}
}

// What the kernel threw away counts as arrived.
func TestSkip(t *testing.T) {
	var r Response
	if _, done, err := r.Feed([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), nil); done || err != nil || r.Left() != 7 {
		t.Fatalf("done %v err %v, %d left, want 7", done, err, r.Left())
	}
	if r.Skip(3) || r.Left() != 4 || !r.Skip(4) || r.Left() != 0 || r.EOF() != nil {
		t.Errorf("%d left", r.Left())
	}
}

func TestHeadAnswerHasNoBody(t *testing.T) {
	var r Response
	r.Reset(true)
	if _, done, err := r.Feed([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), nil); !done || err != nil {
		t.Errorf("done %v err %v", done, err)
	}
}

func TestFeedDoesNotAllocate(t *testing.T) {
	text := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello")
	var r Response
	body := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		r.Reset(false)
		body = body[:0]
		_, _, _ = r.Feed(text[:30], &body)
		_, _, _ = r.Feed(text[30:], &body)
	}); n != 0 {
		t.Errorf("%v allocations per answer", n)
	}
}

// What net/http accepts and we accept must agree; and pieces must not matter.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 3)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"), 1)
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404\r\n\r\nrest"), 4)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = max(1, min(size, 1<<16))
		whole, body, surplus, err := feedIn(string(data), max(1, len(data)))
		pieces, body2, surplus2, err2 := feedIn(string(data), size)
		if (err == nil) != (err2 == nil) || err == nil && (!bytes.Equal(body, body2) || surplus != surplus2 || whole.Status != pieces.Status) {
			t.Fatalf("whole: %d %q %d %v; in pieces of %d: %d %q %d %v", whole.Status, body, surplus, err, size, pieces.Status, body2, surplus2, err2)
		}
		// What a memo remembers changes nothing, neither by itself nor after another head.
		memo := &Memo{}
		for _, text := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", string(data), string(data)} {
			r, kept := Response{Memo: memo}, []byte(nil)
			n, done, recalled := r.Feed([]byte(text), &kept)
			if text != string(data) {
				continue
			}
			if recalled == nil && !done {
				recalled = r.EOF()
			}
			if (recalled == nil) != (err == nil) || err == nil && (!bytes.Equal(kept, body) || r.Status != whole.Status || r.KeepAlive != whole.KeepAlive || len(data)-n != surplus) {
				t.Fatalf("with a memo: %d %q %v; without: %d %q %v", r.Status, kept, recalled, whole.Status, body, err)
			}
		}
		if err != nil || whole.Status < 200 {
			return
		}
		in := bufio.NewReader(bytes.NewReader(data))
		for {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				return // net/http is stricter on header names and values
			}
			if resp.StatusCode < 200 {
				continue
			}
			want, err := io.ReadAll(resp.Body)
			if err == nil && resp.StatusCode == whole.Status && !bytes.Equal(want, body) {
				t.Fatalf("body %q, net/http reads %q", body, want)
			}
			return
		}
	})
}
