package wire

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
)

// Handshake writes the request that opens a WebSocket (RFC 6455 §4.1), but for
// what AppendUpgrade adds. Headers are more of them, each as "Name: value".
func Handshake(path, host string, headers ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", path, host)
	for _, h := range headers {
		b.WriteString(h)
		b.WriteString("\r\n")
	}
	return []byte(b.String())
}

// AppendUpgrade appends the whole request: the handshake, whose lines all end in
// CRLF, the key and the empty line. The key should be random, and another for
// each connection.
func AppendUpgrade(dst, handshake []byte, key [16]byte) []byte {
	dst = append(append(dst, handshake...), "Sec-WebSocket-Key: "...)
	dst = base64.StdEncoding.AppendEncode(dst, key[:])
	return append(dst, "\r\n\r\n"...)
}

// RefusedError is a proper answer that does not open the WebSocket. What follows
// its head was not read, so the connection is of no more use.
type RefusedError struct{ Status int }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("WebSocket refused with status %d", e.Status)
}

// Upgrade checks the answer to AppendUpgrade's request, of which it has to be
// given the same handshake and key.
type Upgrade struct {
	Handshake []byte
	Key       [16]byte

	answer Response // for its line buffer and status
}

// Feed takes bytes that arrived. It consumes what belongs to the answer's head
// and says how much that was and whether the WebSocket is open: what follows is
// for Messages. An answer other than 101 is a *RefusedError; one that breaks
// RFC 6455 §4.1, or agrees to what was not asked for, is a *ProtocolError.
func (u *Upgrade) Feed(b []byte) (n int, done bool, err error) {
	for n < len(b) {
		head, used, err := u.answer.until(b[n:], "\r\n\r\n", MaxHead, "head")
		n += used
		if head == nil || err != nil {
			return n, false, err
		}
		line, headers := cutLine(head)
		if err := u.answer.parseStatus(line); err != nil {
			return n, false, err
		}
		switch status := u.answer.Status; {
		case status == 101:
			err := u.check(headers)
			return n, err == nil, err
		case status >= 200:
			return n, false, &RefusedError{status}
		}
		if u.answer.interim++; u.answer.interim > maxInterim {
			return n, false, protocol("more than %d interim answers", maxInterim)
		}
	}
	return n, false, nil
}

// EOF is the error of a connection that ended before the WebSocket was open.
func (u *Upgrade) EOF() error { return u.answer.EOF() }

// check reads the headers of a 101 answer.
func (u *Upgrade) check(headers []byte) error {
	if u.answer.old {
		return protocol("switched protocols in HTTP/1.0")
	}
	var upgrade, connection, accept, subprotocol bool
	for len(headers) > 0 {
		var line []byte
		line, headers = cutLine(headers)
		name, value, err := splitHeader(line)
		if err != nil {
			return err
		}
		switch {
		case is(name, "upgrade"):
			if upgrade || !is(value, "websocket") {
				return protocol("switched to %q, want websocket", value)
			}
			upgrade = true
		case is(name, "connection"):
			connection = connection || hasToken(value, "upgrade")
		case is(name, "sec-websocket-accept"):
			if accept || string(value) != string(u.accept()) {
				return protocol("Sec-WebSocket-Accept %q does not match the key", value)
			}
			accept = true
		case is(name, "sec-websocket-extensions"):
			if len(value) > 0 {
				return protocol("extension %q, of which we speak none", value)
			}
		case is(name, "sec-websocket-protocol"):
			if subprotocol || !u.offers(value) {
				return protocol("subprotocol %q, which was not asked for", value)
			}
			subprotocol = true
		}
	}
	switch {
	case !upgrade:
		return protocol("switched protocols without an Upgrade header")
	case !connection:
		return protocol("switched protocols without Connection: Upgrade")
	case !accept:
		return protocol("switched protocols without Sec-WebSocket-Accept")
	}
	return nil
}

// accept is what the server makes of the key.
func (u *Upgrade) accept() []byte {
	b := base64.StdEncoding.AppendEncode(make([]byte, 0, 64), u.Key[:])
	sum := sha1.Sum(append(b, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.AppendEncode(b[:0], sum[:])
}

// offers reports whether the request asked for a subprotocol.
func (u *Upgrade) offers(subprotocol []byte) bool {
	for rest := u.Handshake; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !is(name, "sec-websocket-protocol") {
			continue
		}
		for offer := range bytes.SplitSeq(value, []byte(",")) {
			if offer = bytes.Trim(offer, " \t"); len(offer) > 0 && bytes.Equal(offer, subprotocol) {
				return true
			}
		}
	}
	return false
}

// hasToken looks for a lower-case word in a comma-separated list.
func hasToken(list []byte, word string) bool {
	for token := range bytes.SplitSeq(list, []byte(",")) {
		if is(bytes.Trim(token, " \t"), word) {
			return true
		}
	}
	return false
}
