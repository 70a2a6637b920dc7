package wire

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestAppendRange(t *testing.T) {
	for _, c := range []struct {
		first, last int64
		want        string
	}{{0, 0, "bytes=0-0"}, {0, 499, "bytes=0-499"}, {500, -1, "bytes=500-"}, {1, math.MaxInt64, "bytes=1-9223372036854775807"}} {
		if got := AppendRange([]byte("Range: "), c.first, c.last); string(got) != "Range: "+c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestParseContentRange(t *testing.T) {
	for value, want := range map[string][3]int64{
		"bytes 0-0/1":        {0, 0, 1},
		"bytes 42-1233/1234": {42, 1233, 1234},
		"bytes 42-1233/*":    {42, 1233, -1},
		"bytes */1234":       {-1, -1, 1234},
		"bytes */0":          {-1, -1, 0},
		"BYTES 007-9/00010":  {7, 9, 10},
		"bytes 0-99999999999999998/99999999999999999": {0, 99999999999999998, 99999999999999999},
	} {
		first, last, size, err := ParseContentRange([]byte(value))
		if got := [3]int64{first, last, size}; err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", value, got, err, want)
		}
	}
	for _, value := range []string{
		"", "bytes", "bytes ", "bytes 0-1", "bytes 0-1/", "bytes 0-/5", "bytes -1/5", "bytes /5", "bytes */*", "bytes */", "bytes 1-0/5", "bytes 0-5/5",
		"bytes 0-1/5/6", "bytes  0-1/5", "bytes 0 - 1/5", "bytes=0-1/5", "items 0-1/5", "bytes 0-1/-5", "bytes 0-+1/5", "bytes 0-1/5 ", " bytes 0-1/5", "bytes 0-1-2/5",
		"bytes 0-1/9223372036854775808", "bytes 0-1/1844674407370955161700", "bytes 0-1/**", "bytes *-1/5", "bytes 0-1/0x5",
	} {
		_, _, _, err := ParseContentRange([]byte(value))
		if _, ok := errors.AsType[*ProtocolError](err); !ok {
			t.Errorf("%q: %v, want a ProtocolError", value, err)
		}
	}
	value := []byte("bytes 42-1233/1234")
	if n := testing.AllocsPerRun(100, func() { _, _, _, _ = ParseContentRange(value) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The grammar of RFC 9110 §14.4, with at most 18 digits.
var contentRange = regexp.MustCompile(`^(?i:bytes) (?:([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)|\*/([0-9]{1,18}))$`)

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 42-1233/1234")
	f.Add("bytes 0-1/*")
	f.Add("bytes */1234")
	f.Fuzz(func(t *testing.T, value string) {
		first, last, size, err := ParseContentRange([]byte(value))
		groups := contentRange.FindStringSubmatch(value)
		number := func(i int) int64 {
			n, err := strconv.ParseInt(groups[i], 10, 64)
			if err != nil {
				return -1
			}
			return n
		}
		want := ""
		switch {
		case groups == nil:
		case groups[1] == "":
			want = fmt.Sprint(-1, -1, number(4))
		case number(1) <= number(2) && (groups[3] == "*" || number(2) < number(3)):
			want = fmt.Sprint(number(1), number(2), number(3))
		}
		if got := strings.TrimSpace(fmt.Sprint(first, last, size)); (err == nil) != (want != "") || err == nil && got != want {
			t.Fatalf("%q: %s, %v, want %s", value, got, err, want)
		}
	})
}
