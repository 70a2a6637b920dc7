package showdown

import (
	"math"
	"testing"
	"time"
)

// inWords holds a way to write values against what it should give.
func inWords[T any](t *testing.T, what string, write func(T) string, cases []struct {
	in   T
	want string
},
) {
	t.Helper()
	for _, c := range cases {
		if got := write(c.in); got != c.want {
			t.Errorf("%s(%v) = %q, want %q", what, c.in, got, c.want)
		}
	}
}

func TestSignificant(t *testing.T) {
	inWords(t, "Significant", Significant, []struct {
		in   float64
		want string
	}{
		{0, "0"},
		{0.0004, "0.000"},
		{0.0005001, "0.001"},
		{0.812, "0.812"},
		{0.9994, "0.999"},
		{0.9995, "1.00"},
		{1, "1.00"},
		{9.994, "9.99"},
		{9.995, "10.0"},
		{99.94, "99.9"},
		{99.95, "100"},
		{950, "950"},
		{999.4, "999"},
		{999.5, "1.00k"},
		{1000, "1.00k"},
		{41_234, "41.2k"},
		{99_949, "99.9k"},
		{99_950, "100k"},
		{999_499, "999k"},
		{999_500, "1.00M"},
		{1_200_000, "1.20M"},
		{1e9, "1000M"},
		{-41_234, "-41.2k"},
		{-999.5, "-1.00k"},
		{-999_500, "-1.00M"},
	})
}

func TestRateString(t *testing.T) {
	inWords(t, "Rate.String", Rate.String, []struct {
		in   Rate
		want string
	}{{0, "0/s"}, {0.5, "0.500/s"}, {950, "950/s"}, {41_200, "41.2k/s"}, {1.2e6, "1.20M/s"}})
}

func TestBytesString(t *testing.T) {
	inWords(t, "Bytes.String", Bytes.String, []struct {
		in   Bytes
		want string
	}{
		{0, "0 B"},
		{7, "7 B"},
		{999, "999 B"},
		{1000, "1.0 kB"},
		{1024, "1.0 kB"},
		{10_188, "9.9 kB"},
		{10_189, "10 kB"},
		{999 << 10, "999 kB"},
		{1000 << 10, "1.0 MB"},
		{31 << 20, "31 MB"},
		{3 << 29, "1.5 GB"},
		{5 << 40, "5.0 TB"},
		{2000 << 40, "2000 TB"},
		{-1024, "-1.0 kB"},
		{-31 << 20, "-31 MB"},
	})
}

// Just below the step to the next unit, rounding must not give a fourth digit.
func TestBytesNeverHaveFourDigitsBelowTerabytes(t *testing.T) {
	inWords(t, "Bytes.String", Bytes.String, []struct {
		in   Bytes
		want string
	}{{1000<<10 - 1, "1.0 MB"}, {1000<<20 - 1, "1.0 GB"}, {1000<<30 - 1, "1.0 TB"}})
}

func TestMillis(t *testing.T) {
	inWords(t, "Millis", Millis, []struct {
		in   time.Duration
		want string
	}{
		{0, "0"},
		{time.Microsecond, "0.001"},
		{812 * time.Microsecond, "0.812"},
		{999_500, "1.00"},
		{61_234 * time.Microsecond, "61.2"},
		{99_950 * time.Microsecond, "100"},
		{1234 * time.Millisecond, "1234"},
		{-2 * time.Millisecond, "-2.00"},
	})
}

func TestClock(t *testing.T) {
	inWords(t, "Clock", Clock, []struct {
		in   time.Duration
		want string
	}{
		{0, "0 s"},
		{400 * time.Millisecond, "0 s"},
		{600 * time.Millisecond, "1 s"},
		{48 * time.Second, "48 s"},
		{94 * time.Second, "94 s"},
		{95 * time.Second, "1 min 35 s"},
		{6 * time.Minute, "6 min 00 s"},
		{599 * time.Second, "9 min 59 s"},
		{10 * time.Minute, "10 min"},
		{59 * time.Minute, "59 min"},
		{time.Hour, "1 h 00 min"},
		{80 * time.Minute, "1 h 20 min"},
		{25*time.Hour + 59*time.Second, "25 h 00 min"},
		{-5 * time.Second, "-5 s"},
	})
}

func TestPlural(t *testing.T) {
	for _, c := range []struct {
		n          int
		noun, want string
	}{{0, "bout", "0 bouts"}, {1, "bout", "1 bout"}, {2, "bout", "2 bouts"}, {1, "process", "1 process"}, {3, "process", "3 processes"}, {-1, "bout", "-1 bouts"}} {
		if got := Plural(c.n, c.noun); got != c.want {
			t.Errorf("Plural(%d, %q) = %q, want %q", c.n, c.noun, got, c.want)
		}
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]Rate{
		"2000":       2000,
		"2000/s":     2000,
		" 2000/s\t":  2000,
		"2k":         2000,
		"2k/s":       2000,
		"1.5M/s":     1.5e6,
		"120/m":      2,
		"7200/h":     2,
		"1.8k/m":     30,
		"0.5":        0.5,
		"1e3":        1000,
		"+3":         3,
		"1000M":      1e9,
		"3600000M/h": 1e9,
	} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %v, %v, want %v", text, float64(got), err, float64(want))
		}
	}
}

func TestParseRateRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "fast", "/s", "k", "M/s", "0", "-1", "-0", "0k/s", "NaN", "Inf", "-Inf", "infinity/m",
		"2kk", "2K", "2m/s", "2/d", "2//s", "2/s/s", "2 k", "2 /s", "1,5", "1e400", "1e-400", "1000000001", "1001M", "二",
	} {
		got, err := ParseRate(text)
		if err == nil || got != 0 {
			t.Errorf("ParseRate(%q) = %v, %v, want an error", text, float64(got), err)
			continue
		}
		if CodeOf(err) != BadUsage || HintOf(err) == "" {
			t.Errorf("ParseRate(%q): code %d and hint %q, want code %d and some hint", text, CodeOf(err), HintOf(err), BadUsage)
		}
	}
}

// What is read is a rate that can be played, and what is printed of it reads as
// the same rate again, to the digits that were printed.
func FuzzParseRate(f *testing.F) {
	for _, text := range []string{"2000", "2k/s", "1.5M/s", "120/m", "7200/h", "0x1p4", "1e-9", "-1", "NaN", "999.95", "1000M", "/s", "k"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRate(text)
		if err != nil {
			if r != 0 || CodeOf(err) != BadUsage {
				t.Fatalf("%q: rate %v with error %v of code %d", text, float64(r), err, CodeOf(err))
			}
			return
		}
		if !(r > 0) || r > 1e9 {
			t.Fatalf("%q was read as %v", text, float64(r))
		}
		if r < 0.001 {
			return // String has no digits for so few
		}
		again, err := ParseRate(r.String())
		if err != nil || math.Abs(float64(again-r)) > max(0.005*float64(r), 0.0005001) {
			t.Fatalf("%q is %v, printed as %s, read again as %v, %v", text, float64(r), r, float64(again), err)
		}
	})
}
