package wire

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Opcode says what a WebSocket frame holds (RFC 6455 §5.2).
type Opcode byte

// The opcodes.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xa
)

func (o Opcode) control() bool { return o >= Close }

// CloseCode says why a WebSocket is closed (RFC 6455 §7.4).
type CloseCode uint16

// The codes that a client of ours sends.
const (
	CloseNormal   CloseCode = 1000
	CloseProtocol CloseCode = 1002 // the server broke the protocol
	CloseInvalid  CloseCode = 1007 // text that is not UTF-8
	CloseTooBig   CloseCode = 1009
)

// Payload is what a close frame with c and no reason holds.
func (c CloseCode) Payload() []byte { return []byte{byte(c >> 8), byte(c)} }

// maySend reports whether an endpoint may put c into a close frame: what RFC
// 6455 §7.4 and IANA's registry define, but for the codes that only stand for
// what was seen, and the ranges of libraries and applications.
func (c CloseCode) maySend() bool {
	switch {
	case c == 1004 || c == 1005 || c == 1006:
		return false
	case c >= 1000 && c <= 1014, c >= 3000 && c <= 4999:
		return true
	}
	return false
}

const (
	// MaxMessage is the largest message that is taken unless Messages.Limit says otherwise.
	MaxMessage = 16 << 20
	// MaxControl is the largest payload of a ping, pong or close (RFC 6455 §5.5).
	MaxControl = 125
)

// FrameError is a ProtocolError of a WebSocket, with the code that tells the server.
type FrameError struct {
	Code CloseCode
	*ProtocolError
}

func (e *FrameError) Unwrap() error { return e.ProtocolError }

func frameError(code CloseCode, format string, args ...any) error {
	return &FrameError{code, &ProtocolError{What: fmt.Sprintf(format, args...)}}
}

// AppendFrame appends a whole, final frame from the client. The mask should not
// be guessable where intermediaries are to be protected (RFC 6455 §10.3). The
// payload may not lie in dst's free space, and at most MaxControl bytes make a
// control frame.
func AppendFrame(dst []byte, op Opcode, payload []byte, mask uint32) []byte {
	const final, masked = 0x80, 0x80
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, final|byte(op), masked|byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, final|byte(op), masked|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, final|byte(op), masked|127), uint64(n))
	}
	dst = binary.BigEndian.AppendUint32(dst, mask)
	start := len(dst)
	dst = append(dst, payload...)
	applyMask(dst[start:], mask)
	return dst
}

// AppendClose appends a close frame with a code and no reason.
func AppendClose(dst []byte, code CloseCode, mask uint32) []byte {
	return AppendFrame(dst, Close, code.Payload(), mask)
}

// applyMask masks b in place (RFC 6455 §5.3).
func applyMask(b []byte, mask uint32) {
	wide := uint64(mask)<<32 | uint64(mask)
	for len(b) >= 8 {
		binary.BigEndian.PutUint64(b, binary.BigEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(wide >> (56 - 8*i))
	}
}

// Message is what a server said on a WebSocket.
type Message struct {
	Op      Opcode    // Text, Binary, Ping, Pong or Close
	Payload []byte    // valid until the next Feed; of a Close, the reason; nil for a data message that was not kept
	Length  int64     // of the payload in bytes, kept or not
	Code    CloseCode // of a Close; 0 when the server gave none
}

// Messages parses what a server sends on a WebSocket after its handshake
// (RFC 6455 §5), without extensions. The zero value is ready to use.
//
// It is small and holds no message, for there is one per connection: where a
// message arrives in pieces, the caller lends it a buffer.
type Messages struct {
	Limit int64 // bytes of the largest message taken; 0 is MaxMessage

	left     int64  // payload of the current frame still to come
	length   int64  // payload of the current data message so far
	pending  []byte // payload of a control frame that arrives in pieces
	text     utf8Check
	head     [10]byte // an unfinished frame header
	headed   uint8    // bytes in it
	op       Opcode   // of the current frame
	message  Opcode   // of the current data message; 0 is none
	final    bool     // whether the current frame ends its message
	inFrame  bool     // whether the current frame's header is in
	finished bool     // a close frame came
}

// Feed takes bytes that arrived. It consumes them up to the end of the next
// message and says how many that were and whether there is one; if not, it
// consumed all. Errors are a *FrameError, and final.
//
// A data message that lies in b in one piece is given as a part of b. Of others
// the pieces are gathered in *buffer, which is emptied first and must be the
// same until the message is whole; where buffer is nil, they are only counted.
func (m *Messages) Feed(b []byte, buffer *[]byte) (n int, message Message, done bool, err error) {
	for {
		if !m.inFrame {
			used, err := m.takeHeader(b[n:])
			n += used
			if err != nil || !m.inFrame {
				return n, Message{}, false, err
			}
		}
		end := n + int(min(m.left, int64(len(b)-n)))
		piece := b[n:end:end]
		n = end
		m.left -= int64(len(piece))
		if m.op.control() {
			message, done, err = m.takeControl(piece)
		} else {
			message, done, err = m.takeData(piece, buffer)
		}
		if m.left > 0 || done || err != nil {
			return n, message, done, err
		}
	}
}

// Begun reports whether a data message has arrived in part, so that the buffer
// is still needed.
func (m *Messages) Begun() bool { return m.message != 0 }

// EOF tells m that the server ended the connection. It returns nil when a close
// frame came before.
func (m *Messages) EOF() error {
	if m.finished {
		return nil
	}
	return protocol("WebSocket ended without a close frame")
}

func (m *Messages) takeHeader(b []byte) (int, error) {
	if m.finished && len(b) > 0 {
		return 0, frameError(CloseProtocol, "bytes after the close frame")
	}
	before := int(m.headed)
	head := m.head[:before+copy(m.head[before:], b)]
	size, err := m.parseHeader(head)
	if err != nil {
		return 0, err
	}
	if size == 0 {
		m.headed = uint8(len(head))
		return len(b), nil
	}
	m.headed, m.inFrame = 0, true
	return size - before, nil
}

// parseHeader reads a frame's header and returns its size, or 0 when head is
// not yet the whole of it.
func (m *Messages) parseHeader(head []byte) (size int, err error) {
	if len(head) < 2 {
		return 0, nil
	}
	op, final, length := Opcode(head[0]&0x0f), head[0]&0x80 != 0, int64(head[1]&0x7f)
	switch {
	case head[0]&0x70 != 0:
		return 0, frameError(CloseProtocol, "reserved bits in a frame without an extension")
	case head[1]&0x80 != 0:
		return 0, frameError(CloseProtocol, "masked frame from a server")
	case op > Pong || op > Binary && op < Close:
		return 0, frameError(CloseProtocol, "unknown opcode %#x", byte(op))
	case op.control() && !final:
		return 0, frameError(CloseProtocol, "control frame in fragments")
	case op.control() && length > MaxControl:
		return 0, frameError(CloseProtocol, "control frame larger than %d bytes", MaxControl)
	case op == Continuation && m.message == 0:
		return 0, frameError(CloseProtocol, "continuation of no message")
	case !op.control() && op != Continuation && m.message != 0:
		return 0, frameError(CloseProtocol, "message within the fragments of another")
	}
	switch size = 2; {
	case length == 126 && len(head) < 4, length == 127 && len(head) < 10:
		return 0, nil
	case length == 126:
		if size, length = 4, int64(binary.BigEndian.Uint16(head[2:])); length < 126 {
			return 0, frameError(CloseProtocol, "length %d in more bytes than it takes", length)
		}
	case length == 127:
		if size, length = 10, int64(binary.BigEndian.Uint64(head[2:])); length < 0 {
			return 0, frameError(CloseProtocol, "length with the top bit set")
		} else if length <= 0xffff {
			return 0, frameError(CloseProtocol, "length %d in more bytes than it takes", length)
		}
	}
	limit := m.Limit
	if limit == 0 {
		limit = MaxMessage
	}
	if !op.control() {
		if length > limit-m.length {
			return 0, frameError(CloseTooBig, "message larger than %d bytes", limit)
		}
		if op != Continuation {
			m.message = op
		}
	}
	m.op, m.final, m.left = op, final, length
	return size, nil
}

// takeData takes a piece of the payload of a data frame, the last one if
// nothing is left.
func (m *Messages) takeData(piece []byte, buffer *[]byte) (message Message, done bool, err error) {
	done = m.final && m.left == 0
	if m.message == Text && !m.text.take(piece, done) {
		return Message{}, false, frameError(CloseInvalid, "text that is not UTF-8")
	}
	payload := piece
	switch {
	case buffer == nil:
		payload = nil
	case !done || m.length > 0:
		if m.length == 0 {
			*buffer = (*buffer)[:0]
		}
		*buffer = append(*buffer, piece...)
		payload = *buffer
	}
	m.length += int64(len(piece))
	m.inFrame = m.left > 0
	if !done {
		return Message{}, false, nil
	}
	message = Message{Op: m.message, Payload: payload, Length: m.length}
	m.message, m.length = 0, 0
	return message, true, nil
}

// takeControl takes a piece of the payload of a control frame.
func (m *Messages) takeControl(piece []byte) (message Message, done bool, err error) {
	if m.left > 0 || len(m.pending) > 0 {
		m.pending = append(m.pending, piece...)
		piece = m.pending
	}
	if m.left > 0 {
		return Message{}, false, nil
	}
	m.inFrame, m.pending = false, nil
	message = Message{Op: m.op, Payload: piece, Length: int64(len(piece))}
	if m.op != Close {
		return message, true, nil
	}
	m.finished = true
	switch code := CloseCode(0); {
	case len(piece) == 0:
	case len(piece) == 1:
		return Message{}, false, frameError(CloseProtocol, "close frame with half a code")
	default:
		code, piece = CloseCode(binary.BigEndian.Uint16(piece)), piece[2:]
		if !code.maySend() {
			return Message{}, false, frameError(CloseProtocol, "close code %d, which may not be sent", code)
		}
		if !utf8.Valid(piece) {
			return Message{}, false, frameError(CloseInvalid, "close reason that is not UTF-8")
		}
		message.Payload, message.Length, message.Code = piece, int64(len(piece)), code
	}
	return message, true, nil
}

// utf8Check checks text that comes in pieces, which may cut characters.
type utf8Check struct {
	cut [utf8.UTFMax]byte // the begin of a character
	n   uint8             // bytes in it
}

// take reports whether the text may still be UTF-8 after b, and, if b is the
// last piece, whether it is. After the last piece it is ready for another text.
func (u *utf8Check) take(b []byte, last bool) bool {
	for u.n > 0 && len(b) > 0 {
		u.cut[u.n] = b[0]
		u.n++
		b = b[1:]
		if character := u.cut[:u.n]; utf8.FullRune(character) {
			if !utf8.Valid(character) {
				return false
			}
			u.n = 0
		}
	}
	if last {
		return u.n == 0 && utf8.Valid(b)
	}
	whole := len(b)
	for i := len(b) - 1; i >= max(0, len(b)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				whole = i
			}
			break
		}
	}
	if !utf8.Valid(b[:whole]) {
		return false
	}
	if whole < len(b) { // u.n is 0: a cut character ended above, or b did
		u.n = uint8(copy(u.cut[:], b[whole:]))
	}
	return true
}
