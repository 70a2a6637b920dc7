package wire

import (
	"bytes"
	"math"
	"time"
)

// MaxEvent is the largest event that is taken unless Events.Limit says otherwise.
const MaxEvent = 1 << 20

// Event is one server-sent event, valid until the next Feed. Its bytes are as
// they came: the standard puts replacement characters for what is not UTF-8,
// which is left to the reader.
type Event struct {
	Type   []byte // empty means "message"
	ID     []byte // the last that was given, by this event or one before
	Data   []byte // lines are joined by \n; nil when it was not kept
	Length int    // of the data in bytes, kept or not
}

// Events parses the body of a text/event-stream (WHATWG HTML §9.2.6,
// "Interpreting an event stream"). An event that its stream does not finish is
// dropped. The zero value is ready to use.
//
// It is small and holds no data, for there is one per connection: the caller
// lends it a buffer.
type Events struct {
	Limit int           // bytes that an event may have in data and type, and in its identifier; 0 is MaxEvent
	Retry time.Duration // how long to wait before connecting again; 0 when the server has not said

	kind   []byte // the event's type so far
	id     []byte // the last identifier and, while its line comes, the next
	idLen  int    // of the last identifier
	length int    // of the data so far
	retry  int64  // milliseconds so far in a retry line; noDigits or notNumber
	name   [6]byte
	named  uint8 // bytes of the field's name so far, as many as name holds
	field  field
	state  lineState
	begun  bool // the first line or a byte order mark is over
	data   bool // the event has data
	cr     bool // the last byte was a CR, so that an LF belongs to it
}

type lineState uint8

const (
	inName lineState = iota
	afterColon
	inValue
)

type field uint8

const (
	ignored field = iota // comments, and names that the standard does not know
	dataField
	typeField
	idField
	retryField
)

const (
	noDigits  = -1
	notNumber = -2
)

// Feed takes bytes of the body. It consumes them up to the end of the next event
// and says how many that were and whether there is one; if not, it consumed
// all. The data is gathered in *buffer, which is emptied first and must be the
// same until the event is whole; where buffer is nil, it is only counted. The
// one error is a *ProtocolError for an event beyond the limit, and final.
func (e *Events) Feed(b []byte, buffer *[]byte) (n int, event Event, done bool, err error) {
	for n < len(b) && !done && err == nil {
		c, cr := b[n], e.cr
		e.cr = c == '\r'
		switch {
		case c == '\n' && cr:
			n++
		case c == '\n' || c == '\r':
			n++
			event, done, err = e.endLine(buffer)
		case e.state == inName:
			n++
			err = e.takeName(c, buffer)
		case e.state == afterColon && c == ' ':
			n++
			e.state = inValue
		default:
			value := untilLineEnd(b[n:])
			n += len(value)
			e.state = inValue
			err = e.takeValue(value, buffer)
		}
	}
	return n, event, done, err
}

// Begun reports whether data of an unfinished event has arrived, so that the
// buffer is still needed.
func (e *Events) Begun() bool { return e.data }

func (e *Events) takeName(c byte, buffer *[]byte) error {
	if c == ':' {
		e.state = afterColon
		return e.beginValue(buffer)
	}
	if int(e.named) < len(e.name) {
		e.name[e.named] = c
		e.named++
	}
	if !e.begun && string(e.name[:e.named]) == "\xef\xbb\xbf" {
		e.begun, e.named = true, 0
	}
	return nil
}

// beginValue is called when the field's name is whole.
func (e *Events) beginValue(buffer *[]byte) error {
	switch string(e.name[:e.named]) {
	case "data":
		e.field = dataField
		switch {
		case e.data:
			return e.takeValue([]byte{'\n'}, buffer)
		case buffer != nil:
			*buffer = (*buffer)[:0]
		}
		e.data = true
	case "event":
		e.field, e.kind = typeField, e.kind[:0]
	case "id":
		e.field = idField
	case "retry":
		e.field, e.retry = retryField, noDigits
	default:
		e.field = ignored
	}
	return nil
}

// takeValue takes a piece of the field's value.
func (e *Events) takeValue(b []byte, buffer *[]byte) error {
	switch e.field {
	case dataField:
		if e.length += len(b); buffer != nil {
			*buffer = append(*buffer, b...)
		}
	case typeField:
		e.kind = append(e.kind, b...)
	case idField:
		e.id = append(e.id, b...)
	case retryField:
		e.takeDigits(b)
	}
	limit := e.Limit
	if limit == 0 {
		limit = MaxEvent
	}
	if e.length+len(e.kind)+len(e.id)-e.idLen > limit {
		return protocol("event larger than %d bytes", limit)
	}
	return nil
}

func (e *Events) takeDigits(b []byte) {
	for _, c := range b {
		if c < '0' || c > '9' || e.retry == notNumber {
			e.retry = notNumber
			return
		}
		const most = math.MaxInt64 / int64(time.Millisecond)
		e.retry = min(10*max(0, e.retry)+int64(c-'0'), most)
	}
}

// endLine ends a line and, if it is empty, the event.
func (e *Events) endLine(buffer *[]byte) (event Event, done bool, err error) {
	if e.state == inName && e.named == 0 {
		event, done = e.dispatch(buffer)
		e.begun = true
		return event, done, nil
	}
	if e.state == inName {
		err = e.beginValue(buffer) // a name without a colon
	}
	switch next := e.id[e.idLen:]; {
	case e.field == retryField && e.retry >= 0:
		e.Retry = time.Duration(e.retry) * time.Millisecond
	case e.field == idField && bytes.IndexByte(next, 0) < 0:
		e.idLen = copy(e.id, next)
	}
	e.id = e.id[:e.idLen]
	e.state, e.named, e.begun = inName, 0, true
	return Event{}, false, err
}

// dispatch gives the event, if it has data, and begins another.
func (e *Events) dispatch(buffer *[]byte) (event Event, done bool) {
	if done = e.data; done {
		event = Event{Type: e.kind, ID: e.id, Length: e.length}
		if buffer != nil {
			event.Data = *buffer
		}
	}
	e.kind, e.length, e.data = e.kind[:0], 0, false
	return event, done
}

// untilLineEnd is what comes before the line's end, but no more than a piece:
// looking for each of two ends in all of b would take quadratic time where lines
// are short.
func untilLineEnd(b []byte) []byte {
	b = b[:min(len(b), 1<<10)]
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i]
	}
	if i := bytes.IndexByte(b, '\r'); i >= 0 {
		b = b[:i]
	}
	return b
}
