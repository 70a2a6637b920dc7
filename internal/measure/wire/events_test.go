package wire

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func happened(e Event) string { return fmt.Sprintf("%s|%s|%s", e.Type, e.ID, e.Data) }

// feedEvents gives the parser text in pieces of size, and tells what happened.
func feedEvents(text string, size, limit int, keep bool) (e Events, got []string, err error) {
	e.Limit = limit
	var kept []byte
	buffer := &kept
	if !keep {
		buffer = nil
	}
	for b := []byte(text); len(b) > 0; b = b[min(size, len(b)):] {
		for piece := b[:min(size, len(b))]; len(piece) > 0; {
			n, event, done, err := e.Feed(piece, buffer)
			if err != nil {
				return e, got, err
			}
			if !done && n < len(piece) {
				return e, got, fmt.Errorf("no event, and %d of %d bytes consumed", n, len(piece))
			}
			if done && keep && len(event.Data) != event.Length {
				return e, got, fmt.Errorf("length %d of %d bytes", event.Length, len(event.Data))
			}
			if done && keep {
				got = append(got, happened(event))
			} else if done {
				got = append(got, strconv.Itoa(event.Length))
			}
			piece = piece[n:]
		}
	}
	return e, got, nil
}

func TestEvents(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
		retry      time.Duration
	}{
		{"data", "data: hello\n\n", []string{"||hello"}, 0},
		{"no space", "data:hello\n\n", []string{"||hello"}, 0},
		{"one space goes", "data:  hello \n\n", []string{"|| hello "}, 0},
		{"lines are joined", "data: a\ndata\ndata:\ndata: b\n\n", []string{"||a\n\n\nb"}, 0},
		{"the standard's stocks", "data: YHOO\ndata: +2\ndata: 10\n\n", []string{"||YHOO\n+2\n10"}, 0},
		{"the standard's identifiers", ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n", []string{"|1|first event", "||second event", "|| third event"}, 0},
		{"the standard's empty data", "data\n\ndata\ndata\n\ndata:", []string{"||", "||\n"}, 0},
		{"type", "event: add\ndata: 1\n\ndata: 2\n\n", []string{"add||1", "||2"}, 0},
		{"last type", "event: a\nevent: b\ndata: 1\n\n", []string{"b||1"}, 0},
		{"type without data is forgotten", "event: add\n\ndata: 2\n\n", []string{"||2"}, 0},
		{"identifier without data is kept", "id: 7\n\ndata: 2\n\n", []string{"|7|2"}, 0},
		{"identifier lasts", "id: 7\ndata: 1\n\ndata: 2\n\nid: 8\ndata: 3\n\n", []string{"|7|1", "|7|2", "|8|3"}, 0},
		{"identifier with NUL", "id: 7\nid: a\x00b\ndata: 1\n\n", []string{"|7|1"}, 0},
		{"carriage returns", "data: a\rdata: b\r\rdata: c\r\r", []string{"||a\nb", "||c"}, 0},
		{"both", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", []string{"||a\nb", "||c"}, 0},
		{"mixed", "data: a\n\r\ndata: b\r\ndata: c\r\n\ndata: d\n\r", []string{"||a", "||b\nc", "||d"}, 0},
		{"byte order mark", "\ufeffdata: a\n\n", []string{"||a"}, 0},
		{"only one", "\ufeff\ufeffdata: a\ndata: b\n\n", []string{"||b"}, 0},
		{"not after an empty line", "\n\ufeffdata: a\ndata: b\n\n", []string{"||b"}, 0},
		{"not after another line", ":\n\ufeffdata: a\ndata: b\n\n", []string{"||b"}, 0},
		{"only at first", "data: a\n\n\ufeffdata: b\ndata: c\n\n", []string{"||a", "||c"}, 0},
		{"half of one", "\xef\xbbdata: a\ndata: b\n\n", []string{"||b"}, 0},
		{"alone in its line", "\ufeff\ndata: b\n\n", []string{"||b"}, 0},
		{"comments", ":\n: data: a\n:data: b\n\ndata: c\n\n", []string{"||c"}, 0},
		{"unknown names", "datas: a\ndat: b\nDATA: c\n data: d\nretrying: 5\n\ndata: e\n\n", []string{"||e"}, 0},
		{"colons in values", "data: a: b\ndata::c\n\n", []string{"||a: b\n:c"}, 0},
		{"retry", "retry: 1500\n\n", nil, 1500 * time.Millisecond},
		{"retry is digits", "retry: 20\nretry: 1.5\nretry: -3\nretry: 5s\nretry: \nretry\nretry:  7\n\n", nil, 20 * time.Millisecond},
		{"retry for ever", "retry: 99999999999999999999999999\n\n", nil, 9223372036854 * time.Millisecond},
		{"nothing but empty lines", "\n\n\r\r\n\n", nil, 0},
		{"unfinished", "data: a\n\ndata: b\n", []string{"||a"}, 0},
		{"unfinished line", "data: a\n\ndata: b", []string{"||a"}, 0},
		{"bytes as they are", "data: \xff\x00\n\n", []string{"||\xff\x00"}, 0},
		{"a long line", "data: " + strings.Repeat("x", 5000) + "\n\n", []string{"||" + strings.Repeat("x", 5000)}, 0},
	} {
		for _, size := range []int{1, 2, 3, 7, len(c.text)} {
			e, got, err := feedEvents(c.text, size, 0, true)
			if err != nil || !slices.Equal(got, c.want) || e.Retry != c.retry {
				t.Errorf("%s in pieces of %d: %q, retry %v, %v", c.name, size, got, e.Retry, err)
			}
			if e.Begun() != strings.HasPrefix(c.name, "unfinished") && c.name != "the standard's empty data" {
				t.Errorf("%s in pieces of %d: begun %v", c.name, size, e.Begun())
			}
			_, counted, err := feedEvents(c.text, size, 0, false)
			if err != nil || len(counted) != len(c.want) {
				t.Errorf("%s in pieces of %d, not kept: %q, %v", c.name, size, counted, err)
			}
		}
	}
}

func TestEventsAreBounded(t *testing.T) {
	ten := strings.Repeat("x", 10)
	for name, text := range map[string]string{
		"data":        "data: " + strings.Repeat(ten, 100) + "x",
		"empty lines": strings.Repeat("data\n", 1002),
		"lines":       strings.Repeat("data: "+ten+"\n", 100),
		"type":        "event: " + strings.Repeat(ten, 101),
		"identifier":  "id: " + strings.Repeat(ten, 101),
		"together":    "id: " + strings.Repeat(ten, 50) + "\ndata: " + ten + "\nevent: " + strings.Repeat(ten, 100),
	} {
		for _, size := range []int{1, 7, len(text)} {
			for _, keep := range []bool{true, false} {
				e, _, err := feedEvents(text, size, 1000, keep)
				if _, ok := errors.AsType[*ProtocolError](err); !ok {
					t.Errorf("%s in pieces of %d, kept %v: %v, want a ProtocolError", name, size, keep, err)
				}
				if cap(e.kind)+cap(e.id) > 8000 {
					t.Errorf("%s in pieces of %d: kept %d bytes", name, size, cap(e.kind)+cap(e.id))
				}
			}
		}
	}
	for name, text := range map[string]string{
		"data of the limit":     "data: " + strings.Repeat(ten, 100) + "\n\n",
		"an endless comment":    ":" + strings.Repeat(ten, 1000) + "\n",
		"an endless name":       strings.Repeat(ten, 1000),
		"an endless value":      "unknown: " + strings.Repeat(ten, 1000),
		"many comments":         strings.Repeat(": still here\n", 1000),
		"many events":           strings.Repeat("id: 1\ndata: "+ten+"\n\n", 1000),
		"an identifier before":  "id: " + strings.Repeat(ten, 100) + "\n\ndata: " + strings.Repeat(ten, 100) + "\n\n",
		"many identifiers":      strings.Repeat("id: "+ten+"\n", 1000),
		"an endless retry line": "retry: " + strings.Repeat("1", 10_000) + "\n",
	} {
		for _, size := range []int{1, 7, len(text)} {
			if _, _, err := feedEvents(text, size, 1000, true); err != nil {
				t.Errorf("%s in pieces of %d: %v", name, size, err)
			}
		}
	}
	if _, _, err := feedEvents("data: "+strings.Repeat("x", MaxEvent+1), 1<<16, 0, false); err == nil {
		t.Error("no limit by default")
	}
}

func TestEventsDoNotAllocate(t *testing.T) {
	b := []byte("event: tick\nid: 42\ndata: {\"price\": 1}\ndata: {}\n\n: still here\n\ndata: 2\r\n\r\n")
	var e Events
	kept := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		for _, piece := range [][]byte{b[:9], b[9:30], b[30:]} {
			for len(piece) > 0 {
				n, _, _, err := e.Feed(piece, &kept)
				if err != nil {
					t.Fatal(err)
				}
				piece = piece[n:]
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// interpret reads a whole stream by the letter of the standard, §9.2.6.
func interpret(stream string) (events []string) {
	stream = strings.TrimPrefix(stream, "\ufeff")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	data, kind, id := "", "", ""
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if data != "" {
				events = append(events, fmt.Sprintf("%s|%s|%s", kind, id, strings.TrimSuffix(data, "\n")))
			}
			data, kind = "", ""
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			kind = value
		case "data":
			data += value + "\n"
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		}
	}
	return events
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("\ufeffdata: a\r\ndata:b\r\revent: x\nid: 1\ndata\n\n"), 3)
	f.Add([]byte(": c\nid: a\x00\nretry: 10\nid\ndata: a\n\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = max(1, min(size, 1<<16))
		text := string(data)
		want := interpret(text)
		whole, events, err := feedEvents(text, max(1, len(text)), 0, true)
		pieces, events2, err2 := feedEvents(text, size, 0, true)
		_, counted, err3 := feedEvents(text, size, 0, false)
		if err != nil || err2 != nil || err3 != nil || !slices.Equal(events, want) || !slices.Equal(events2, want) || len(counted) != len(want) || whole.Retry != pieces.Retry {
			t.Fatalf("whole: %q %v; in pieces of %d: %q %v; counted %q %v; want %q", events, err, size, events2, err2, counted, err3, want)
		}
	})
}

func BenchmarkEvents(b *testing.B) {
	for _, keep := range []bool{true, false} {
		b.Run(fmt.Sprintf("keep=%v", keep), func(b *testing.B) {
			var (
				e      Events
				kept   []byte
				buffer = &kept
				text   = []byte("id: 1234\ndata: " + strings.Repeat("x", 200) + "\n\n")
			)
			if !keep {
				buffer = nil
			}
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, _, done, err := e.Feed(text, buffer); !done || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
