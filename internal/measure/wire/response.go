package wire

import (
	"bytes"
	"fmt"
)

// Bounds on what a server may send outside the body. A hostile or broken server
// meets them before it costs memory.
const (
	MaxHead      = 64 << 10 // status line and headers, and trailers alike
	maxChunkLine = 256      // chunk size with its extensions
	maxInterim   = 16       // 1xx answers before the final one
)

// ProtocolError is an answer that is not HTTP/1.1 as RFC 9112 has it. It is
// strict where laxness would hide a fault: bare line feeds, folded headers,
// conflicting lengths and surplus bytes are errors.
type ProtocolError struct{ What string }

func (e *ProtocolError) Error() string { return e.What }

func protocol(format string, args ...any) error {
	return &ProtocolError{What: fmt.Sprintf(format, args...)}
}

// Response parses one HTTP/1.1 answer after the other from the bytes of a
// connection. The zero value is ready to use.
type Response struct {
	Status    int   // of the final answer, once its head is in
	KeepAlive bool  // whether the connection may carry another request
	Memo      *Memo // if not nil, spares the parsing of heads that repeat

	state   state
	noBody  bool  // the request was HEAD
	old     bool  // the answer is HTTP/1.0
	left    int64 // bytes of body or chunk still to come
	interim int
	line    []byte // an unfinished head, chunk line or trailer
}

type state uint8

const (
	inHead state = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	untilClose
	finished
)

// Reset readies r for the next answer on the same connection. Head says that
// the request was a HEAD, whose answer has no body whatever its headers say.
func (r *Response) Reset(head bool) {
	*r = Response{noBody: head, line: r.line[:0], Memo: r.Memo}
}

// Memo remembers the last head that was parsed and what it meant. Servers give
// the same head again and again until the second of its Date turns, so many
// connections may share one Memo; it is not safe for concurrent use.
type Memo struct {
	head    []byte // with its empty line
	noBody  bool
	meaning Response
}

// mostRemembered bounds a Memo: comparing with longer heads gains nothing.
const mostRemembered = 2 << 10

// recall finishes the head at the begin of b if it is the remembered one, and
// says how long it is; else 0.
func (r *Response) recall(b []byte) int {
	m := r.Memo
	if m == nil || len(m.head) == 0 || m.noBody != r.noBody || !bytes.HasPrefix(b, m.head) {
		return 0
	}
	r.Status, r.KeepAlive, r.state, r.left = m.meaning.Status, m.meaning.KeepAlive, m.meaning.state, m.meaning.left
	return len(m.head)
}

// remember keeps a head that arrived in one piece.
func (r *Response) remember(head []byte) {
	if m := r.Memo; m != nil && r.interim == 0 && len(head) <= mostRemembered {
		m.head, m.noBody = append(m.head[:0], head...), r.noBody
		m.meaning = Response{Status: r.Status, KeepAlive: r.KeepAlive, state: r.state, left: r.left}
	}
}

// Feed takes bytes that arrived. It consumes what belongs to the current answer
// and says how much that was and whether the answer is whole. Body bytes are
// appended to *body unless body is nil.
func (r *Response) Feed(b []byte, body *[]byte) (n int, done bool, err error) {
	for n < len(b) && r.state != finished {
		used, err := r.step(b[n:], body)
		n += used
		if err != nil {
			return n, false, err
		}
	}
	return n, r.state == finished, nil
}

// Left is how many bytes of the body are still to come, where its length is
// known; else 0.
func (r *Response) Left() int64 {
	if r.state == inBody {
		return r.left
	}
	return 0
}

// Skip tells r that n bytes of the body, at most Left, have arrived and were
// thrown away unseen. It reports whether the answer is whole.
func (r *Response) Skip(n int64) (done bool) {
	if r.left -= n; r.left == 0 {
		r.state = finished
	}
	return r.left == 0
}

// EOF tells r that the server closed the connection. It returns nil when that
// ends the answer properly.
func (r *Response) EOF() error {
	switch {
	case r.state == untilClose:
		r.state = finished
		return nil
	case r.state == finished:
		return nil
	case r.state == inHead && len(r.line) == 0:
		return protocol("closed before the answer")
	default:
		return protocol("closed in the middle of the answer")
	}
}

// Begun reports whether any byte of the current answer has arrived.
func (r *Response) Begun() bool { return r.state != inHead || len(r.line) > 0 || r.interim > 0 }

// step consumes some of b, which is not empty, in the current state.
func (r *Response) step(b []byte, body *[]byte) (int, error) {
	switch r.state {
	case inHead:
		fresh := len(r.line) == 0 && r.interim == 0
		if fresh {
			if n := r.recall(b); n > 0 {
				return n, nil
			}
		}
		head, n, err := r.until(b, "\r\n\r\n", MaxHead, "head")
		if head == nil || err != nil {
			return n, err
		}
		if err := r.parseHead(head); err != nil {
			return n, err
		}
		if fresh && n == len(head)+4 {
			r.remember(b[:n])
		}
		return n, nil
	case inBody, inChunk:
		n := int(min(r.left, int64(len(b))))
		keep(body, b[:n])
		if r.left -= int64(n); r.left == 0 {
			if r.state == inBody {
				r.state = finished
			} else {
				r.state = inChunkEnd
			}
		}
		return n, nil
	case untilClose:
		keep(body, b)
		return len(b), nil
	case inChunkSize:
		line, n, err := r.until(b, "\r\n", maxChunkLine, "chunk size")
		if line == nil || err != nil {
			return n, err
		}
		return n, r.parseChunkSize(line)
	case inChunkEnd:
		line, n, err := r.until(b, "\r\n", 2, "end of chunk")
		if line == nil || err != nil {
			return n, err
		}
		if len(line) > 0 {
			return n, protocol("chunk is longer than its size")
		}
		r.state = inChunkSize
		return n, nil
	default: // inTrailer
		line, n, err := r.until(b, "\r\n", MaxHead, "trailer")
		if line == nil || err != nil {
			return n, err
		}
		if len(line) == 0 {
			r.state = finished
			return n, nil
		}
		if r.left += int64(len(line)); r.left > MaxHead {
			return n, protocol("trailers larger than %d bytes", MaxHead)
		}
		_, _, err = splitHeader(line)
		return n, err
	}
}

func keep(body *[]byte, b []byte) {
	if body != nil {
		*body = append(*body, b...)
	}
}

// until looks for end in what was kept plus b. It returns what lies before it,
// or nil when end has not arrived yet and b was kept, and how much of b it used.
// The returned bytes are valid until the next call.
func (r *Response) until(b []byte, end string, limit int, what string) (before []byte, n int, err error) {
	if len(r.line) == 0 {
		if i := bytes.Index(b, []byte(end)); i >= 0 {
			if i > limit {
				return nil, 0, protocol("%s larger than %d bytes", what, limit)
			}
			return b[:i:i], i + len(end), nil
		}
	}
	kept := len(r.line)
	if kept+len(b) > limit+len(end) {
		b = b[:max(0, limit+len(end)-kept)]
	}
	r.line = append(r.line, b...)
	from := max(0, kept-len(end)+1)
	i := bytes.Index(r.line[from:], []byte(end))
	switch {
	case i >= 0:
		stop := from + i
		before = r.line[:stop:stop]
		n = stop + len(end) - kept
		r.line = r.line[:0]
		return before, n, nil
	case len(r.line) >= limit+len(end):
		return nil, len(b), protocol("%s larger than %d bytes", what, limit)
	}
	return nil, len(b), nil
}

func (r *Response) parseHead(head []byte) error {
	line, rest := cutLine(head)
	if err := r.parseStatus(line); err != nil {
		return err
	}
	r.left = -1
	chunked, encoded := false, false
	for len(rest) > 0 {
		line, rest = cutLine(rest)
		name, value, err := splitHeader(line)
		if err != nil {
			return err
		}
		switch {
		case is(name, "content-length"):
			n, err := parseLength(value)
			if err != nil {
				return err
			}
			if r.left >= 0 && r.left != n {
				return protocol("two different Content-Length headers")
			}
			r.left = n
		case is(name, "transfer-encoding"):
			encoded = true
			chunked = is(lastToken(value), "chunked")
		case is(name, "connection"):
			for token := range bytes.SplitSeq(value, []byte(",")) {
				switch token = bytes.Trim(token, " \t"); {
				case is(token, "close"):
					r.KeepAlive = false
				case is(token, "keep-alive"):
					r.KeepAlive = true
				}
			}
		}
	}
	return r.frame(chunked, encoded)
}

// frame decides how the body ends (RFC 9112 §6.3).
func (r *Response) frame(chunked, encoded bool) error {
	switch {
	case r.Status == 101:
		return protocol("switched protocols without being asked")
	case r.Status < 200:
		if r.interim++; r.interim > maxInterim {
			return protocol("more than %d interim answers", maxInterim)
		}
		return nil // stay in inHead for the next one
	case r.noBody || r.Status == 204 || r.Status == 304:
		r.state = finished
	case encoded && r.left >= 0:
		return protocol("both Content-Length and Transfer-Encoding")
	case encoded && r.old:
		return protocol("Transfer-Encoding in HTTP/1.0")
	case chunked:
		r.state, r.left = inChunkSize, 0
	case encoded || r.left < 0:
		r.state, r.KeepAlive = untilClose, false
	case r.left == 0:
		r.state = finished
	default:
		r.state = inBody
	}
	return nil
}

func (r *Response) parseStatus(line []byte) error {
	// "HTTP/1.1 200 OK"; the reason may be missing, and so may the space before it.
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' || len(line) > 12 && line[12] != ' ' || broken(line) {
		return protocol("not an HTTP/1.1 status line: %q", line[:min(len(line), 40)])
	}
	if line[7] != '0' && line[7] != '1' {
		return protocol("HTTP version 1.%c", line[7])
	}
	r.old = line[7] == '0'
	r.KeepAlive = !r.old
	r.Status = 0
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return protocol("status %q is not a number", line[9:12])
		}
		r.Status = 10*r.Status + int(c-'0')
	}
	if r.Status < 100 || r.Status > 599 {
		return protocol("status %d is outside 100 to 599", r.Status)
	}
	return nil
}

// parseChunkSize reads "1a2b" with an optional ";extension" (RFC 9112 §7.1).
func (r *Response) parseChunkSize(line []byte) error {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 || len(digits) > 15 {
		return protocol("bad chunk size %q", line[:min(len(line), 40)])
	}
	var size int64
	for _, c := range digits {
		v := hexValue(c)
		if v < 0 {
			return protocol("bad chunk size %q", line[:min(len(line), 40)])
		}
		size = size<<4 | int64(v)
	}
	if size == 0 {
		r.state, r.left = inTrailer, 0
		return nil
	}
	r.state, r.left = inChunk, size
	return nil
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

func parseLength(value []byte) (int64, error) {
	if len(value) == 0 || len(value) > 18 {
		return 0, protocol("bad Content-Length %q", value[:min(len(value), 40)])
	}
	var n int64
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, protocol("bad Content-Length %q", value)
		}
		n = 10*n + int64(c-'0')
	}
	return n, nil
}

// splitHeader cuts "Name: value" (RFC 9112 §5).
func splitHeader(line []byte) (name, value []byte, err error) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 || line[i-1] == ' ' || line[i-1] == '\t' || line[0] == ' ' || line[0] == '\t' {
		return nil, nil, protocol("bad header line %q", line[:min(len(line), 40)])
	}
	if broken(line) {
		return nil, nil, protocol("bare line end or NUL in a header")
	}
	return line[:i], bytes.Trim(line[i+1:], " \t"), nil
}

// broken finds what no line of a head may hold and what parsers disagree on.
func broken(line []byte) bool {
	return bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0 || bytes.IndexByte(line, 0) >= 0
}

func cutLine(b []byte) (line, rest []byte) {
	if i := bytes.Index(b, []byte("\r\n")); i >= 0 {
		return b[:i], b[i+2:]
	}
	return b, nil
}

// lastToken is what follows the last comma.
func lastToken(value []byte) []byte {
	return bytes.Trim(value[bytes.LastIndexByte(value, ',')+1:], " \t")
}

// is compares with a lower-case ASCII word, ignoring case, without allocating.
func is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
