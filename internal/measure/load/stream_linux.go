package load

import (
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/measure/wire"
)

// stream is what a connection that carries messages has beside its socket.
type stream struct {
	upgrade  *wire.Upgrade // until the WebSocket is open
	messages wire.Messages
	events   *wire.Events
	buffer   []byte        // of a message that arrives in pieces
	owed     []byte        // a frame that the server is due: a pong or a close
	last     time.Duration // when the last message arrived; negative before the first
	kept     bool          // whether the message under way is sampled
}

// openStream sends what makes a stream of a new connection.
func (l *loop) openStream(c *conn) {
	c.state, c.written = opening, 0
	c.stream = &stream{last: -1}
	if l.target.Protocol == WebSocket {
		u := &wire.Upgrade{Handshake: l.target.Handshake}
		_, _ = rand.Read(u.Key[:]) // it never fails
		c.stream.upgrade = u
		c.out = wire.AppendUpgrade(c.out[:0], u.Handshake, u.Key)
	} else {
		c.stream.events = &wire.Events{}
		c.out, c.want = l.rec.traffic.Append(c.out[:0], l.k)
		c.k = l.k
		l.k += uint64(l.of)
		c.answer.Reset(false)
	}
	l.driver.send(c)
}

// streamOpen takes an opened stream into use.
func (l *loop) streamOpen(c *conn, at time.Duration) {
	l.opening--
	l.waiting.remove(c)
	if l.window.Listen {
		c.state, c.out, c.written = listening, nil, 0
		return
	}
	l.ready(c, at)
}

// fill opens what is missing of an audience.
func (l *loop) fill() {
	for l.window.Listen && l.now >= l.reopen && l.opening < mostOpening && l.live < l.target.Open {
		l.rec.due()
		if !l.open() {
			return
		}
	}
}

// attend makes listeners of idle streams, or the other way round, as the window asks.
func (l *loop) attend() {
	for _, c := range l.conns {
		switch {
		case c.stream == nil:
		case l.window.Listen && c.state == idle:
			l.idle.remove(c)
			c.state, c.stream.last = listening, 0
		case !l.window.Listen && c.state == listening:
			l.ready(c, 0)
		}
	}
}

// heard takes bytes that arrived on a stream.
func (l *loop) heard(c *conn, b []byte, at time.Duration) {
	s := c.stream
	if s.events != nil {
		l.heardEvents(c, b, at)
		return
	}
	if s.upgrade != nil {
		n, done, err := s.upgrade.Feed(b)
		if err != nil {
			l.broke(c, err)
			return
		}
		if b = b[n:]; !done {
			return
		}
		s.upgrade = nil
		l.streamOpen(c, at)
	}
	for len(b) > 0 && c.state != closed {
		n, m, done, err := s.messages.Feed(b, l.keeping(c))
		if err != nil {
			l.protest(c, err)
			return
		}
		if b = b[n:]; done {
			l.message(c, &m, at)
		}
	}
}

// keeping is where the message under way is gathered, or nil if it is only counted.
func (l *loop) keeping(c *conn) *[]byte {
	s := c.stream
	if !s.messages.Begun() {
		s.kept = c.state == busy && c.sampled || c.state == listening && l.rec.sampled(l.rec.OK)
	}
	if s.kept {
		return &s.buffer
	}
	return nil
}

// message takes what the server said.
func (l *loop) message(c *conn, m *wire.Message, at time.Duration) {
	switch m.Op {
	case wire.Ping:
		l.owe(c, wire.Pong, m.Payload)
	case wire.Pong:
	case wire.Close:
		l.owe(c, wire.Close, nil)
		l.broke(c, fmt.Errorf("the server closed the WebSocket with code %d: %w", m.Code, unix.ECONNRESET))
	default:
		switch c.state {
		case busy:
			l.conclude(c, c.want, m.Payload, at)
			l.ready(c, max(at, c.asked))
		case listening:
			l.deliver(c, m.Payload, at)
		}
	}
}

func (l *loop) heardEvents(c *conn, b []byte, at time.Duration) {
	l.scratch = l.scratch[:0]
	n, done, err := c.answer.Feed(b, &l.scratch)
	switch {
	case err != nil:
		l.broke(c, err)
		return
	case c.answer.Status == 0:
		return
	case c.state == opening && c.answer.Status != 200:
		l.broke(c, &wire.RefusedError{Status: c.answer.Status})
		return
	case c.state == opening:
		l.streamOpen(c, at)
	}
	s := c.stream
	for body := l.scratch; len(body) > 0; {
		if !s.events.Begun() {
			s.kept = l.rec.sampled(l.rec.OK)
		}
		var buffer *[]byte
		if s.kept {
			buffer = &s.buffer
		}
		used, event, whole, err := s.events.Feed(body, buffer)
		if err != nil {
			l.broke(c, err)
			return
		}
		if body = body[used:]; whole {
			l.deliver(c, event.Data, at)
		}
	}
	switch {
	case n < len(b):
		l.broke(c, &wire.ProtocolError{What: "bytes beyond the answer"})
	case done:
		l.broke(c, fmt.Errorf("the server ended the stream: %w", unix.ECONNRESET))
	}
}

// deliver counts a message that a listener got.
func (l *loop) deliver(c *conn, payload []byte, at time.Duration) {
	s := c.stream
	l.rec.delivered(c.k, at-c.asked, at-s.last, s.last < 0, s.kept, payload)
	s.last = max(0, at)
	if cap(s.buffer) > readBuffer {
		s.buffer = nil
	}
}

// owe sends the server a control frame, in place of one that is not sent yet.
func (l *loop) owe(c *conn, op wire.Opcode, payload []byte) {
	if l.driver.replying(c) {
		return
	}
	c.stream.owed = wire.AppendFrame(c.stream.owed[:0], op, payload, mrand.Uint32())
	l.driver.reply(c)
}

// protest tells the server what it did wrong, and leaves.
func (l *loop) protest(c *conn, err error) {
	if frame, ok := errors.AsType[*wire.FrameError](err); ok {
		l.owe(c, wire.Close, frame.Code.Payload())
	}
	l.broke(c, err)
}

// part says good-bye on all WebSockets.
func (l *loop) part() {
	for _, c := range l.conns {
		if c.stream != nil && c.stream.events == nil && (c.state == idle || c.state == listening || c.state == busy) {
			l.owe(c, wire.Close, wire.CloseNormal.Payload())
		}
	}
	_ = l.driver.wait(1, 0, 0)
}
