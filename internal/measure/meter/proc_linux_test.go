package meter

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// statLine is a line of /proc/PID/stat with a name and what this package reads.
func statLine(name string, parent, user, system, childUser, childSystem int) string {
	return fmt.Sprintf("4711 (%s) S %d 4711 4711 0 -1 4194560 100 200 0 0 %d %d %d %d 20 0 7 0 430615 3133440 411 18446744073709551615 1 1 0 0\n",
		name, parent, user, system, childUser, childSystem)
}

func TestParseStat(t *testing.T) {
	for _, name := range []string{"cat", "", "Web Content", "(sd-pam)", "a) R 1 2 3 4 5", "((", "))", "tmux: server", "new\nline", "\xff\xfe"} {
		s, ok := parseStat([]byte(statLine(name, 42, 150, 25, 7, 3)))
		want := stat{parent: 42, used: 1750 * time.Millisecond, children: 100 * time.Millisecond}
		if !ok || s != want {
			t.Errorf("name %q: %+v, %v, want %+v", name, s, ok, want)
		}
	}
}

func TestParseStatRefuses(t *testing.T) {
	whole := statLine("cat", 1, 2, 3, 4, 5)
	for name, text := range map[string]string{
		"nothing":                               "",
		"no name":                               "4711 cat S 1 2 3",
		"cut in name":                           whole[:7],
		"cut before the children's system time": whole[:strings.Index(whole, " 5 20 0 7")],
		"only a parenthesis":                    ")",
	} {
		if s, ok := parseStat([]byte(text)); ok || s != (stat{}) {
			t.Errorf("%s: read %+v, %v", name, s, ok)
		}
	}
}

func TestParseCPULine(t *testing.T) {
	for _, c := range []struct {
		name, text         string
		busy, steal, total time.Duration
	}{
		{
			"kernel of today", "cpu  100 20 30 4000 50 6 7 8 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 5\n",
			1500 * time.Millisecond, 80 * time.Millisecond, 42210 * time.Millisecond,
		},
		{"just enough fields, no line end", "cpu 1 1 1 1 1 1 1 1", 30 * time.Millisecond, 10 * time.Millisecond, 80 * time.Millisecond},
		{"before steal was counted", "cpu 1 1 1 1 1 1 1\n", 0, 0, 0},
		{"one processor's line", "cpu0 1 1 1 1 1 1 1 1 1 1\n", 0, 0, 0},
		{"the line is not the first", "intr 5\ncpu 1 1 1 1 1 1 1 1 1 1\n", 0, 0, 0},
		{"nothing", "", 0, 0, 0},
		{"line end", "\n", 0, 0, 0},
		{"words", "cpu a b c d e f g h i j\n", 0, 0, 0},
	} {
		if busy, steal, total := parseCPULine([]byte(c.text)); busy != c.busy || steal != c.steal || total != c.total {
			t.Errorf("%s: busy %v steal %v total %v, want %v %v %v", c.name, busy, steal, total, c.busy, c.steal, c.total)
		}
	}
}

func TestParsePressure(t *testing.T) {
	for _, c := range []struct {
		name, text string
		total      time.Duration
		unknown    bool
	}{
		{"some and full", "some avg10=15.16 avg60=11.72 avg300=28.48 total=1337074337\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n", 1337074337 * time.Microsecond, false},
		{"full first", "full avg10=0.00 total=9\nsome avg10=0.00 total=7\n", 7 * time.Microsecond, false},
		{"no line end", "some total=0", 0, false},
		{"only full", "full avg10=0.00 avg60=0.00 avg300=0.00 total=9\n", 0, true},
		{"no total", "some avg10=0.00\n", 0, true},
		{"a word", "some total=many\n", 0, true},
		{"nothing", "", 0, true},
	} {
		if total, unknown := parsePressure([]byte(c.text)); total != c.total || unknown != c.unknown {
			t.Errorf("%s: %v unknown %v, want %v unknown %v", c.name, total, unknown, c.total, c.unknown)
		}
	}
}

func TestKilobytes(t *testing.T) {
	const rollup = "564555fd6000-7ffcca572000 ---p 00000000 00:00 0  [rollup]\nRss:                1764 kB\nPss_Dirty:           112 kB\nPss:                 471 kB\nPss_Anon:            113 kB\n"
	for _, c := range []struct {
		name, text, field string
		want              showdown.Bytes
		ok                bool
	}{
		{"pss, not its parts", rollup, "Pss:", 471 << 10, true},
		{"rss", rollup, "Rss:", 1764 << 10, true},
		{"tabs, as in status", "Name:\tcat\nVmRSS:\t    1764 kB\n", "VmRSS:", 1764 << 10, true},
		{"no unit", "VmRSS: 5", "VmRSS:", 5 << 10, true},
		{"missing, as of a kernel thread", "Name:\tkthreadd\n", "VmRSS:", 0, false},
		{"nothing", "", "VmRSS:", 0, false},
		{"no number", "VmRSS: kB\n", "VmRSS:", 0, false},
		{"a word", "VmRSS: many kB\n", "VmRSS:", 0, false},
		{"within a line", "x VmRSS: 5 kB\n", "VmRSS:", 0, false},
	} {
		if got, ok := kilobytes([]byte(c.text), c.field); got != c.want || ok != c.ok {
			t.Errorf("%s: %d, %v, want %d, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// No file panics a reader, and no name of a process changes what is read of it.
func FuzzProcFiles(f *testing.F) {
	for _, text := range []string{
		"", ")", "a) b", "cpu 1 2 3 4 5 6 7 8 9 10\n", "cpu", "some avg10=0.00 total=12\n", "some total=", "Pss:  12 kB\n", "Pss:kB",
		"cpu 9223372036854775807 -1 99999999999999999999 0 0 0 0 0", "some total=-9223372036854775808", "Pss: 9223372036854775807 kB", statLine("x", 1, 2, 3, 4, 5),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		parseStat(text)
		parseCPULine(text)
		parsePressure(text)
		if n, ok := kilobytes(text, "Pss:"); ok && !strings.Contains(string(text), "Pss:") {
			t.Errorf("%v out of %q", n, text)
		}
		s, ok := parseStat([]byte(statLine(string(text), 42, 150, 25, 7, 3)))
		if want := (stat{parent: 42, used: 1750 * time.Millisecond, children: 100 * time.Millisecond}); !ok || s != want {
			t.Errorf("a process called %q: %+v, %v, want %+v", text, s, ok, want)
		}
	})
}
