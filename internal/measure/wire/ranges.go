package wire

import (
	"bytes"
	"strconv"
)

// AppendRange appends the value of a Range header that asks for the bytes from
// first to last, both included; a last below 0 asks for all from first on
// (RFC 9110 §14.2).
func AppendRange(dst []byte, first, last int64) []byte {
	dst = append(strconv.AppendInt(append(dst, "bytes="...), first, 10), '-')
	if last < 0 {
		return dst
	}
	return strconv.AppendInt(dst, last, 10)
}

// ParseContentRange reads the value of a Content-Range header (RFC 9110 §14.4):
// the first and last byte that the answer holds, and the size of the whole. A
// size of "*" is -1; "*/size", which comes with status 416, has -1 for first and
// last. What is not a range of bytes is a *ProtocolError.
func ParseContentRange(value []byte) (first, last, size int64, err error) {
	bad := func() (int64, int64, int64, error) {
		return 0, 0, 0, protocol("bad Content-Range %q", value[:min(len(value), 60)])
	}
	unit, rest, _ := bytes.Cut(value, []byte(" "))
	span, total, ok := bytes.Cut(rest, []byte("/"))
	if !ok || !is(unit, "bytes") {
		return bad()
	}
	first, last, size = -1, -1, -1
	if string(total) != "*" {
		if size, ok = parseDigits(total); !ok {
			return bad()
		}
	}
	if string(span) == "*" {
		if size < 0 {
			return bad()
		}
		return first, last, size, nil
	}
	from, to, _ := bytes.Cut(span, []byte("-"))
	var ok1, ok2 bool
	first, ok1 = parseDigits(from)
	last, ok2 = parseDigits(to)
	if !ok1 || !ok2 || last < first || size >= 0 && size <= last {
		return bad()
	}
	return first, last, size, nil
}

// parseDigits reads a number of bytes; more than 18 digits are none.
func parseDigits(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, len(b) > 0 && len(b) <= 18
}
