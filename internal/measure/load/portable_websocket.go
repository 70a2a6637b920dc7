package load

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	weak "math/rand/v2"
	"sync"

	"github.com/backend-showdown/showdown/internal/measure/wire"
)

// webSocket speaks RFC 6455. A request is a text message, its answer the next
// message; what comes while none is asked for is listened to, or ignored.
type webSocket struct {
	*link
	reader
	early    []byte // what came together with the handshake's answer
	messages wire.Messages
	x        *exchange // whose answer is arriving; nil when nobody asked
	keep     bool      // the message under way is to be checked
	body     []byte
	ended    chan struct{} // closed when nothing is read any more

	mu      sync.Mutex // guards what follows
	out     []byte
	leaving bool // a close frame was sent
}

func newWebSocket(l *link) *webSocket { return &webSocket{link: l, ended: make(chan struct{})} }

func (w *webSocket) greet() error {
	upgrade := wire.Upgrade{Handshake: w.engine.target.Handshake}
	_, _ = rand.Read(upgrade.Key[:]) // never fails
	if _, err := w.conn.Write(wire.AppendUpgrade(nil, upgrade.Handshake, upgrade.Key)); err != nil {
		return err
	}
	for {
		b, err := w.read(w.conn)
		n, done, refused := upgrade.Feed(b)
		switch {
		case refused != nil:
			return refused
		case done:
			w.early = b[n:]
			return nil
		case errors.Is(err, io.EOF):
			return upgrade.EOF()
		case err != nil:
			return err
		}
	}
}

func (w *webSocket) send(x *exchange) error { return w.say(wire.Text, x.request) }

// say sends a frame. Only the first close frame goes out, and nothing after it.
func (w *webSocket) say(op wire.Opcode, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leaving {
		return errHungUp
	}
	w.leaving = op == wire.Close
	// The mask protects intermediaries from what pages in browsers send (RFC 6455
	// §10.3); nothing here comes from one, so it need not be strong.
	w.out = wire.AppendFrame(w.out[:0], op, payload, weak.Uint32())
	_, err := w.conn.Write(w.out)
	return err
}

// bye sends a close frame.
func (w *webSocket) bye(code wire.CloseCode) {
	_ = w.say(wire.Close, code.Payload())
}

// farewell waits for the server's close frame, until the connection's deadline.
func (w *webSocket) farewell() {
	w.bye(wire.CloseNormal)
	<-w.ended
}

func (w *webSocket) listen() error {
	defer close(w.ended)
	err := w.take(w.early)
	for w.early = nil; err == nil; {
		var b []byte
		var broken error
		b, broken = w.read(w.conn)
		if len(b) > 0 {
			err = w.take(b)
		}
		if err == nil && broken != nil {
			err = broken
			if errors.Is(broken, io.EOF) {
				err = errHungUp
			}
		}
	}
	if wrong, ok := errors.AsType[*wire.FrameError](err); ok {
		w.bye(wrong.Code)
	}
	return err
}

// take handles the frames in b.
func (w *webSocket) take(b []byte) error {
	asked := w.arrived(len(b))
	for len(b) > 0 {
		if !w.messages.Begun() {
			if w.x = asked; w.x != nil {
				w.keep = w.x.sampled
			} else {
				w.keep = w.wanted()
			}
		}
		var buffer *[]byte
		if w.keep {
			buffer = &w.body
		}
		n, m, done, err := w.messages.Feed(b, buffer)
		if err != nil || !done {
			return err
		}
		b = b[n:]
		switch m.Op {
		case wire.Ping:
			if err := w.say(wire.Pong, m.Payload); err != nil {
				return err
			}
		case wire.Pong:
		case wire.Close:
			return w.closed(m)
		default:
			w.answered(m)
			asked = w.arrived(0)
		}
	}
	return nil
}

func (w *webSocket) answered(m wire.Message) {
	if w.x == nil {
		w.message(w.keep, m.Payload)
		return
	}
	w.finish(w.x, w.x.want, m.Payload, nil)
}

// closed answers the server's close frame.
func (w *webSocket) closed(m wire.Message) error {
	code := m.Code
	if code == 0 {
		code = wire.CloseNormal
	}
	w.bye(code)
	return fmt.Errorf("%w: code %d %s", errHungUp, m.Code, m.Payload)
}
