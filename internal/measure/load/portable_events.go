package load

import (
	"errors"
	"io"

	"github.com/backend-showdown/showdown/internal/measure/wire"
)

// eventStream listens to server-sent events over HTTP/1.1.
type eventStream struct {
	*link
	reader
	answer wire.Response
	events wire.Events
	body   []byte    // of what was just read
	x      *exchange // the request, until the answer's head is in
	open   bool      // it is in
	keep   bool      // the event under way is to be checked
	data   []byte
}

func newEventStream(l *link) *eventStream { return &eventStream{link: l} }

func (e *eventStream) greet() error { return nil }

func (e *eventStream) farewell() {}

func (e *eventStream) send(x *exchange) error {
	_, err := e.conn.Write(x.request)
	return err
}

func (e *eventStream) listen() error {
	for {
		b, err := e.read(e.conn)
		if len(b) > 0 {
			if err := e.take(b); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return errHungUp
		}
		if err != nil {
			return err
		}
	}
}

func (e *eventStream) take(b []byte) error {
	x := e.arrived(len(b))
	if !e.open && e.x == nil {
		if e.x = x; x == nil {
			return &wire.ProtocolError{What: "bytes without a request"}
		}
		e.answer.Reset(false)
	}
	e.body = e.body[:0]
	_, done, err := e.answer.Feed(b, &e.body)
	if err != nil {
		return err
	}
	if !e.open && e.answer.Status >= 200 {
		if e.answer.Status != 200 { // another one means no stream (WHATWG HTML §9.2.3)
			return &wire.RefusedError{Status: e.answer.Status}
		}
		e.subscribed(e.x)
		e.open, e.x = true, nil
	}
	if err := e.hear(e.body); err != nil {
		return err
	}
	if done {
		return errHungUp
	}
	return nil
}

// hear takes a piece of the stream.
func (e *eventStream) hear(b []byte) error {
	for len(b) > 0 {
		if !e.events.Begun() {
			e.keep = e.wanted()
		}
		var data *[]byte
		if e.keep {
			data = &e.data
		}
		n, event, done, err := e.events.Feed(b, data)
		if err != nil || !done {
			return err
		}
		b = b[n:]
		e.message(e.keep, event.Data)
	}
	return nil
}
