package load

import (
	"errors"
	"io"
	"syscall"

	"github.com/backend-showdown/showdown/internal/measure/wire"
)

// Read buffers begin small, for there may be many connections, and grow where
// answers fill them.
const (
	smallBuffer = 4 << 10
	largeBuffer = 64 << 10
)

// reader reads a connection into a buffer that grows as needed.
type reader struct{ buffer []byte }

func (r *reader) read(from io.Reader) ([]byte, error) {
	if r.buffer == nil {
		r.buffer = make([]byte, smallBuffer)
	}
	n, err := from.Read(r.buffer)
	b := r.buffer[:n]
	if n == len(r.buffer) && n < largeBuffer {
		r.buffer = make([]byte, 4*n)
	}
	return b, err
}

// http1 speaks HTTP/1.1.
type http1 struct {
	*link
	reader
	answer wire.Response
	x      *exchange // whose answer is being read; nil between answers
}

func newHTTP1(l *link) *http1 { return &http1{link: l} }

func (h *http1) greet() error { return nil }

func (h *http1) farewell() {}

func (h *http1) send(x *exchange) error {
	_, err := h.conn.Write(x.request)
	return err
}

func (h *http1) listen() error {
	for {
		b, err := h.read(h.conn)
		if len(b) > 0 {
			if err := h.take(b); err != nil || h.x == nil && !h.answer.KeepAlive {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return h.ended()
		case err != nil:
			return err
		}
	}
}

// take feeds the parser, which is done with the answer or wants more.
func (h *http1) take(b []byte) error {
	if x := h.arrived(len(b)); h.x == nil {
		if x == nil {
			return &wire.ProtocolError{What: "bytes without a request"}
		}
		h.x = x
		x.body = x.body[:0]
		h.answer.Reset(isHead(x.request))
	}
	var body *[]byte
	if h.x.sampled {
		body = &h.x.body
	}
	n, done, err := h.answer.Feed(b, body)
	switch {
	case err != nil:
		return err
	case done && n < len(b):
		return &wire.ProtocolError{What: "bytes beyond the answer"}
	case done:
		h.whole()
	}
	return nil
}

// whole hands over the answer, which makes the connection free again.
func (h *http1) whole() {
	x := h.x
	h.x = nil
	if !h.answer.KeepAlive {
		h.allow(0)
	}
	h.finish(x, h.answer.Status, x.body, nil)
}

// ended handles the server's close.
func (h *http1) ended() error {
	if h.x == nil {
		return syscall.ECONNRESET // it said nothing: the connection broke, the protocol did not
	}
	if err := h.answer.EOF(); err != nil {
		return err
	}
	h.whole()
	return nil
}
