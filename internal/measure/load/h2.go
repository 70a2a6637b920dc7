package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/backend-showdown/showdown/internal/measure/wire"
)

const (
	h2Streams  = 1000      // the most at once, where the server does not say
	h2Window   = 1 << 30   // bytes of answers that may be under way, as h2load grants
	h2Pending  = 256 << 10 // bytes of bodies made ready to be written
	h2Owed     = 1 << 20   // bytes that may wait for a server that does not read
	h2LastID   = math.MaxInt32
	h2MaxLines = 1 << 10 // header lines remembered
	h2Interim  = 16      // 1xx answers before the final one
)

// h2 speaks HTTP/2 (RFC 9113), with requests that are given as HTTP/1.1. A
// body is what follows the head: its length is taken from there, and
// Transfer-Encoding is not looked at.
type h2 struct {
	*link
	frames *http2.Framer // reads the connection, and writes to out
	head   h2Head        // the header block under way; the reader's

	mu       sync.Mutex // guards what follows; the engine's is never taken within
	out      []byte     // to be written
	flight   []byte     // being written
	writing  bool
	encoder  *hpack.Encoder
	block    bytes.Buffer
	lines    map[string]h2Line
	fields   []hpack.HeaderField
	streams  map[uint32]*h2Stream
	uploads  []*h2Stream // with a body that is not wholly sent
	nextID   uint32
	window   int64 // bytes of bodies that the server takes now
	initial  int64 // the same, for a new stream
	maxFrame int
	unread   uint32 // bytes not yet reported to the server as read
	leaving  bool   // the server is going away
	refusal  error  // what it said
}

// h2Stream is one request under way.
type h2Stream struct {
	x        *exchange
	id       uint32
	status   int   // 0 until the final head is in
	interim  int   // 1xx answers so far
	length   int64 // that the head promised, or -1
	received int64
	unread   uint32
	left     []byte // of the body
	window   int64
	isHead   bool
	dead     bool // it has left streams
}

// h2Head gathers a header block.
type h2Head struct {
	decoder  *hpack.Decoder
	id       uint32 // 0 when none is under way
	last     bool   // it ends the stream
	size     int
	status   int
	length   int64
	regular  bool // a field that is no pseudo-header came
	mistaken string
}

// h2Line is a line of a request's head.
type h2Line struct {
	field  hpack.HeaderField
	host   bool
	hidden bool // not sent in HTTP/2 (RFC 9113 §8.2.2)
}

// resetError is how a server ends a stream, or refuses it before going away.
type resetError struct {
	what string
	code http2.ErrCode
}

func (e *resetError) Error() string { return e.what + ": " + e.code.String() }

func newHTTP2(l *link) *h2 {
	h := &h2{
		link: l, lines: map[string]h2Line{}, streams: map[uint32]*h2Stream{}, nextID: 1,
		window: 65535, initial: 65535, maxFrame: 16 << 10,
	}
	h.frames = http2.NewFramer(h2Writer{h}, bufio.NewReaderSize(h2Reader{l}, largeBuffer))
	h.frames.SetMaxReadFrameSize(16 << 10)
	h.frames.SetReuseFrames()
	h.encoder = hpack.NewEncoder(&h.block)
	h.head.decoder = hpack.NewDecoder(4096, h.head.emit)
	h.head.decoder.SetMaxStringLength(wire.MaxHead)
	return h
}

// h2Reader counts what it reads.
type h2Reader struct{ *link }

func (r h2Reader) Read(b []byte) (int, error) {
	n, err := r.conn.Read(b)
	r.arrived(n)
	return n, err
}

// h2Writer gathers frames.
type h2Writer struct{ h *h2 }

func (w h2Writer) Write(b []byte) (int, error) {
	w.h.out = append(w.h.out, b...)
	return len(b), nil
}

func (h *h2) greet() error {
	if c, ok := h.conn.(*tls.Conn); ok && c.ConnectionState().NegotiatedProtocol != "h2" {
		return &wire.ProtocolError{What: "the server does not speak HTTP/2 (it chose no h2 in ALPN)"}
	}
	h.out = append(h.out, http2.ClientPreface...)
	_ = h.frames.WriteSettings( // writing to memory does not fail, here and below
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: h2Window},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: wire.MaxHead},
	)
	_ = h.frames.WriteWindowUpdate(0, h2Window)
	h.limit = h2Streams
	if err := h.flushLocked(); err != nil {
		return err
	}
	f, err := h.frames.ReadFrame()
	if err != nil {
		return h.broken(err)
	}
	settings, ok := f.(*http2.SettingsFrame)
	if !ok || settings.IsAck() {
		return &wire.ProtocolError{What: "HTTP/2 that does not begin with SETTINGS"}
	}
	h.mu.Lock()
	limit, err := h.adopt(settings)
	h.mu.Unlock()
	if err != nil {
		return h.broken(err)
	}
	if limit >= 0 {
		h.limit = limit
	}
	return h.flushLocked()
}

// farewell says that no more requests come.
func (h *h2) farewell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.frames.WriteGoAway(0, http2.ErrCodeNo, nil)
	_ = h.flush()
}

func (h *h2) send(x *exchange) error {
	h.mu.Lock()
	if h.leaving {
		h.mu.Unlock()
		h.finish(x, 0, nil, h.refusal)
		return nil
	}
	defer h.mu.Unlock()
	body, err := h.encode(x.request)
	if err != nil {
		return err
	}
	s := &h2Stream{x: x, id: h.nextID, length: -1, left: body, window: h.initial, isHead: isHead(x.request)}
	h.nextID += 2
	h.streams[s.id] = s
	for first, block := true, h.block.Bytes(); first || len(block) > 0; first = false {
		part := block[:min(len(block), h.maxFrame)]
		block = block[len(part):]
		if first {
			_ = h.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: part, EndStream: len(body) == 0, EndHeaders: len(block) == 0})
		} else {
			_ = h.frames.WriteContinuation(s.id, len(block) == 0, part)
		}
	}
	x.body = x.body[:0]
	if len(body) > 0 {
		h.uploads = append(h.uploads, s)
	}
	return h.flush()
}

// cancel resets x's stream.
func (h *h2) cancel(x *exchange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.streams {
		if s.x == x {
			h.reset(s, http2.ErrCodeCancel)
			_ = h.flush() // the reader will notice, too
			return
		}
	}
}

// encode makes h.block from a request's head, and gives its body.
func (h *h2) encode(request []byte) (body []byte, err error) {
	head, body, found := bytes.Cut(request, []byte("\r\n\r\n"))
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	method, target, ok := bytes.Cut(line, []byte(" "))
	target, version, ok2 := bytes.Cut(target, []byte(" "))
	if !found || !ok || !ok2 || string(version) != "HTTP/1.1" {
		return nil, fmt.Errorf("send %q over HTTP/2: it is not an HTTP/1.1 request", line)
	}
	h.fields = h.fields[:0]
	host := ""
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		switch l := h.line(line); {
		case l.host:
			host = l.field.Value
		case !l.hidden:
			h.fields = append(h.fields, l.field)
		}
	}
	scheme := "http"
	if h.engine.target.TLS != nil {
		scheme = "https"
	}
	h.block.Reset()
	h.field(":method", h.word(method))
	h.field(":scheme", scheme)
	if host != "" {
		h.field(":authority", host)
	}
	h.field(":path", h.word(target))
	for _, f := range h.fields {
		_ = h.encoder.WriteField(f)
	}
	return body, nil
}

func (h *h2) field(name, value string) {
	_ = h.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) // to memory
}

// word is b as a string, which is made once for each of the first words.
func (h *h2) word(b []byte) string {
	if l, ok := h.lines[string(b)]; ok {
		return l.field.Value
	}
	l := h2Line{field: hpack.HeaderField{Value: string(b)}}
	h.remember(l.field.Value, l)
	return l.field.Value
}

// line parses a header line, once for each of the first ones.
func (h *h2) line(b []byte) h2Line {
	if l, ok := h.lines[string(b)]; ok {
		return l
	}
	text := string(b)
	name, value, _ := strings.Cut(text, ":")
	l := h2Line{field: hpack.HeaderField{Name: strings.ToLower(name), Value: strings.Trim(value, " \t")}}
	switch l.field.Name {
	case "host":
		l.host = true
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings":
		l.hidden = true
	case "te":
		l.hidden = l.field.Value != "trailers"
	}
	h.remember(text, l)
	return l
}

func (h *h2) remember(text string, l h2Line) {
	if len(h.lines) < h2MaxLines {
		h.lines[text] = l
	}
}

// upload makes as much of the bodies ready to be written as the server takes.
func (h *h2) upload() {
	waiting := h.uploads[:0]
	for _, s := range h.uploads {
		for len(s.left) > 0 && !s.dead && len(h.out) < h2Pending {
			n := min(int64(len(s.left)), int64(h.maxFrame), h.window, s.window)
			if n <= 0 {
				break
			}
			_ = h.frames.WriteData(s.id, n == int64(len(s.left)), s.left[:n])
			s.left = s.left[n:]
			s.window -= n
			h.window -= n
		}
		if len(s.left) > 0 && !s.dead {
			waiting = append(waiting, s)
		}
	}
	clear(h.uploads[len(waiting):])
	h.uploads = waiting
}

// flush writes what is to be written, unless somebody is at it, who will take it
// along. The mutex is held, but not while writing.
func (h *h2) flush() error {
	if h.writing {
		if len(h.out) > h2Owed+h2Pending {
			return &wire.ProtocolError{What: "the server talks but does not listen"}
		}
		return nil
	}
	h.writing = true
	defer func() { h.writing = false }()
	for h.upload(); len(h.out) > 0; h.upload() {
		h.out, h.flight = h.flight[:0], h.out
		h.mu.Unlock()
		// The dispatcher must not hang on a server that does not read.
		_ = h.conn.SetWriteDeadline(time.Now().Add(h.engine.target.Timeout))
		_, err := h.conn.Write(h.flight)
		h.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// flushLocked is flush without the mutex held.
func (h *h2) flushLocked() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.flush()
}

// reset ends a stream from our side, and forgets it.
func (h *h2) reset(s *h2Stream, code http2.ErrCode) {
	_ = h.frames.WriteRSTStream(s.id, code)
	h.forgetStream(s)
}

func (h *h2) forgetStream(s *h2Stream) {
	s.dead = true
	delete(h.streams, s.id)
}

// outcome is what a frame meant for a request.
type outcome struct {
	s   *h2Stream
	err error // nil for a whole answer
}

func (h *h2) listen() error {
	var done []outcome
	for {
		f, err := h.frames.ReadFrame()
		if err != nil {
			return h.broken(err)
		}
		h.mu.Lock()
		limit := -1
		done, limit, err = h.take(f, done[:0])
		flushErr := h.flush()
		drained := (h.leaving || h.nextID > h2LastID) && len(h.streams) == 0
		h.mu.Unlock()
		if limit >= 0 {
			h.allow(limit)
		}
		for _, o := range done {
			h.finish(o.s.x, o.s.status, o.s.x.body, o.err)
		}
		switch {
		case err != nil:
			return h.broken(err)
		case flushErr != nil:
			return flushErr
		case drained:
			return h.refusal
		}
	}
}

// broken says why the connection cannot go on, to the server, too.
func (h *h2) broken(err error) error {
	code := http2.ErrCodeProtocol
	connection, ok := errors.AsType[http2.ConnectionError](err)
	stream, ok2 := errors.AsType[http2.StreamError](err)
	protocol, ok3 := errors.AsType[*wire.ProtocolError](err)
	switch {
	case ok:
		code = http2.ErrCode(connection)
	case ok2:
		code = stream.Code
	case errors.Is(err, http2.ErrFrameTooLarge):
		code = http2.ErrCodeFrameSize
	case ok3:
		err = protocol
	default:
		return err
	}
	if detail := h.frames.ErrorDetail(); detail != nil {
		err = fmt.Errorf("%w: %w", err, detail)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.frames.WriteGoAway(0, code, nil)
	_ = h.flush()
	if ok3 {
		return err
	}
	return &wire.ProtocolError{What: err.Error()}
}

// take handles a frame. It adds to done what that decided, and gives the new
// limit on streams, or -1 for the same as before. The mutex is held.
func (h *h2) take(f http2.Frame, done []outcome) (_ []outcome, limit int, err error) {
	switch f := f.(type) {
	case *http2.DataFrame:
		done, err = h.takeData(f, done)
	case *http2.HeadersFrame:
		h.head.begin(f.StreamID, f.StreamEnded())
		done, err = h.takeBlock(f.HeaderBlockFragment(), f.HeadersEnded(), done)
	case *http2.ContinuationFrame:
		done, err = h.takeBlock(f.HeaderBlockFragment(), f.HeadersEnded(), done)
	case *http2.RSTStreamFrame:
		if s := h.streams[f.StreamID]; s != nil {
			h.forgetStream(s)
			done = append(done, outcome{s, &resetError{"stream reset", f.ErrCode}})
		} else {
			err = h.idle(f.StreamID)
		}
	case *http2.GoAwayFrame:
		h.leaving, h.refusal = true, &resetError{"server going away", f.ErrCode}
		for _, s := range h.streams {
			if s.id > f.LastStreamID {
				h.forgetStream(s)
				done = append(done, outcome{s, h.refusal})
			}
		}
		return done, 0, nil
	case *http2.SettingsFrame:
		if !f.IsAck() {
			limit, err = h.adopt(f)
			return done, limit, err
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			_ = h.frames.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		err = h.widen(f)
	case *http2.PushPromiseFrame:
		err = &wire.ProtocolError{What: "pushed, though that was forbidden"}
	}
	if h.nextID > h2LastID {
		return done, 0, err
	}
	return done, -1, err
}

// idle is the error of a frame on a stream that was never opened.
func (h *h2) idle(id uint32) error {
	if id%2 == 0 || id >= h.nextID {
		return &wire.ProtocolError{What: fmt.Sprintf("frame on stream %d, which is not open", id)}
	}
	return nil // one that we reset, or that ended
}

func (h *h2) takeData(f *http2.DataFrame, done []outcome) ([]outcome, error) {
	if h.unread += f.Length; h.unread >= h2Window/2 {
		_ = h.frames.WriteWindowUpdate(0, h.unread)
		h.unread = 0
	}
	s := h.streams[f.StreamID]
	if s == nil {
		return done, h.idle(f.StreamID)
	}
	if s.status == 0 {
		return h.refuse(s, "body before the head", done), nil
	}
	if s.unread += f.Length; s.unread >= h2Window/2 && !f.StreamEnded() {
		_ = h.frames.WriteWindowUpdate(s.id, s.unread)
		s.unread = 0
	}
	s.received += int64(len(f.Data()))
	if s.x.sampled {
		s.x.body = append(s.x.body, f.Data()...)
	}
	if f.StreamEnded() {
		return h.whole(s, done), nil
	}
	return done, nil
}

// whole ends a stream whose answer has come to its end.
func (h *h2) whole(s *h2Stream, done []outcome) []outcome {
	if s.length >= 0 && s.received != s.length && !s.isHead && s.status != 304 {
		return h.refuse(s, fmt.Sprintf("%d bytes of body, and Content-Length %d", s.received, s.length), done)
	}
	if len(s.left) > 0 { // answered without having read all of the request
		h.reset(s, http2.ErrCodeNo)
	} else {
		h.forgetStream(s)
	}
	return append(done, outcome{s: s})
}

// refuse ends a stream whose answer is malformed (RFC 9113 §8.1.1).
func (h *h2) refuse(s *h2Stream, what string, done []outcome) []outcome {
	h.reset(s, http2.ErrCodeProtocol)
	return append(done, outcome{s, &wire.ProtocolError{What: what}})
}

// takeBlock takes a piece of a header block, and at its end what it says.
func (h *h2) takeBlock(fragment []byte, last bool, done []outcome) ([]outcome, error) {
	head := &h.head
	if head.size += len(fragment) + 9; head.size > wire.MaxHead { // empty frames cost, too
		return done, &wire.ProtocolError{What: fmt.Sprintf("head larger than %d bytes", wire.MaxHead)}
	}
	_, err := head.decoder.Write(fragment)
	if err == nil && last {
		err = head.decoder.Close()
	}
	if err != nil {
		return done, http2.ConnectionError(http2.ErrCodeCompression)
	}
	if !last {
		return done, nil
	}
	s := h.streams[head.id]
	if s == nil {
		return done, h.idle(head.id)
	}
	switch trailers := s.status != 0; {
	case head.mistaken != "":
		return h.refuse(s, head.mistaken, done), nil
	case trailers && (!head.last || head.status != 0):
		return h.refuse(s, "a second head", done), nil
	case !trailers && (head.status < 100 || head.status == 101):
		return h.refuse(s, fmt.Sprintf("a head with status %d", head.status), done), nil
	case !trailers && head.status < 200:
		if s.interim++; head.last || s.interim > h2Interim {
			return h.refuse(s, "interim answers only", done), nil
		}
		return done, nil
	case !trailers:
		s.status, s.length = head.status, head.length
	}
	if head.last {
		return h.whole(s, done), nil
	}
	return done, nil
}

func (d *h2Head) begin(id uint32, last bool) {
	*d = h2Head{decoder: d.decoder, id: id, last: last, length: -1}
}

// emit takes a decoded field.
func (d *h2Head) emit(f hpack.HeaderField) {
	switch {
	case f.Name == ":status":
		status, err := strconv.Atoi(f.Value)
		if d.status != 0 || d.regular || err != nil || len(f.Value) != 3 || status < 100 || status > 599 {
			d.mistaken = fmt.Sprintf("bad :status %.40q", f.Value)
		}
		d.status = status
	case strings.HasPrefix(f.Name, ":"):
		d.mistaken = fmt.Sprintf("pseudo-header %.40q in an answer", f.Name)
	case f.Name == "content-length":
		n, err := strconv.ParseUint(f.Value, 10, 62)
		if err != nil || d.length >= 0 && d.length != int64(n) {
			d.mistaken = fmt.Sprintf("bad content-length %.40q", f.Value)
		}
		d.length = int64(n)
	case f.Name == "connection" || f.Name == "transfer-encoding":
		d.mistaken = f.Name + " in HTTP/2"
	}
	d.regular = d.regular || !strings.HasPrefix(f.Name, ":")
	if d.size += int(f.Size()); d.size > wire.MaxHead {
		d.mistaken = fmt.Sprintf("head larger than %d bytes", wire.MaxHead)
	}
}

// adopt takes the server's settings over, and gives the limit on streams, or -1
// for the same as before.
func (h *h2) adopt(f *http2.SettingsFrame) (limit int, err error) {
	limit = -1
	err = f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		switch s.ID {
		case http2.SettingMaxConcurrentStreams:
			limit = int(min(s.Val, h2Streams))
		case http2.SettingInitialWindowSize:
			grown := int64(s.Val) - h.initial
			h.initial = int64(s.Val)
			for _, s := range h.streams {
				if s.window += grown; s.window > math.MaxInt32 {
					return http2.ConnectionError(http2.ErrCodeFlowControl)
				}
			}
		case http2.SettingMaxFrameSize:
			h.maxFrame = int(s.Val)
		case http2.SettingHeaderTableSize:
			h.encoder.SetMaxDynamicTableSizeLimit(s.Val)
		}
		return nil
	})
	_ = h.frames.WriteSettingsAck()
	if h.leaving {
		limit = -1
	}
	return limit, err
}

// widen lets more of the bodies be sent.
func (h *h2) widen(f *http2.WindowUpdateFrame) error {
	window := &h.window
	if f.StreamID != 0 {
		s := h.streams[f.StreamID]
		if s == nil {
			return h.idle(f.StreamID)
		}
		window = &s.window
	}
	if *window += int64(f.Increment); *window > math.MaxInt32 {
		return http2.ConnectionError(http2.ErrCodeFlowControl)
	}
	return nil
}
