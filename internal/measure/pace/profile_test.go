package pace

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// integral is the number of arrivals that p asks for until at.
func integral(p Profile, at time.Duration) (sum float64) {
	for _, s := range p {
		x := min(at, s.Length).Seconds()
		sum += s.From*x + (s.To-s.From)*x*x/s.Length.Seconds()/2
		if at -= s.Length; at <= 0 {
			break
		}
	}
	return sum
}

func TestEvenArrivals(t *testing.T) {
	s := time.Second
	for _, c := range []struct {
		name string
		p    Profile
		want []float64 // seconds
	}{
		{"ramp up", Profile{Ramp(0, 4, 2*s)}, []float64{0, 1, math.Sqrt2, math.Sqrt(3)}},
		{"ramp down", Profile{Ramp(4, 0, 2*s)}, []float64{0, 2 - math.Sqrt(3), 2 - math.Sqrt2, 1}},
		{"steps", Profile{Hold(2, s), Hold(4, s), Hold(1, 2*s)}, []float64{0, 0.5, 1, 1.25, 1.5, 1.75, 2, 3}},
		{"pause", Profile{Hold(2, s), Hold(0, 10*s), Hold(1, 2*s)}, []float64{0, 0.5, 11, 12}},
		{"pause at first", Profile{Hold(0, s), Hold(2, s)}, []float64{1, 1.5}},
		{"a gap over a border", Profile{Hold(1, 1500*time.Millisecond), Hold(2, s)}, []float64{0, 1, 1.75, 2.25}},
		{"a gap over three stages", Profile{Hold(1, s/2), Hold(0.5, s/2), Hold(1, s)}, []float64{0, 1.25}},
		{"triangle", Profile{Ramp(0, 4, s), Ramp(4, 0, s)}, []float64{0, math.Sqrt(0.5), 1, 2 - math.Sqrt(0.5)}},
		// 12.5/s for 4.4 s are 55.00000000000001 arrivals when rounded.
		{"a border between roundings", Profile{Hold(12.5, 4400*time.Millisecond), Ramp(0, 3.6, 900*time.Millisecond)}, append(spaced(55, 12.5), 4.4, 4.4+math.Sqrt(0.5))},
		{"nothing", Profile{Hold(0, s)}, nil},
		{"no stage", nil, nil},
	} {
		got := all(t, Even(c.p), 100)
		near := len(got) == len(c.want)
		for i := range min(len(got), len(c.want)) {
			near = near && math.Abs(got[i].Seconds()-c.want[i]) <= 2e-9
		}
		if !near {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// spaced are the first n arrivals at a rate.
func spaced(n int, rate float64) (at []float64) {
	for k := range n {
		at = append(at, float64(k)/rate)
	}
	return at
}

// The k-th arrival of a ramp falls where its integral is k, also where the ramp
// is nearly level and where it begins or ends at nothing.
func TestRampIsExact(t *testing.T) {
	for _, s := range []Stage{
		Ramp(0, 1000, 10*time.Second), Ramp(1000, 0, 10*time.Second), Ramp(100, 2000, 30*time.Second),
		Ramp(1000, 1000+1e-9, 10*time.Second), Ramp(1000, math.Nextafter(1000, 0), 10*time.Second),
		Ramp(1e6, 1, 100*time.Millisecond), Ramp(1e-9, 1e5, time.Second), Ramp(777, 0, 3333333333), Ramp(4, 0, 24500*time.Millisecond),
	} {
		length := s.Length.Seconds()
		walk := Even(Profile{s}).Arrivals()
		k := 0
		for ; ; k++ {
			at, ok := walk.Next()
			if !ok {
				break
			}
			// n(t) = from·t + (to-from)·t²/(2·length), in 200 bits, around the nanosecond.
			n := func(ns time.Duration) *big.Float {
				x := new(big.Float).SetPrec(200).SetInt64(int64(ns))
				x.Quo(x, big.NewFloat(1e9))
				slope := new(big.Float).SetPrec(200).Sub(big.NewFloat(s.To), big.NewFloat(s.From))
				slope.Mul(slope, x).Quo(slope, big.NewFloat(2*length))
				return x.Mul(x, slope.Add(slope, big.NewFloat(s.From)))
			}
			want := big.NewFloat(float64(k))
			if n(max(0, at-2)).Cmp(want) > 0 || n(at+3).Cmp(want) < 0 && at+3 < s.Length {
				t.Errorf("%v: arrival %d at %v, where the integral is %v", s, k, at, n(at))
				break
			}
		}
		if want := math.Ceil((s.From + s.To) / 2 * length); float64(k) != want {
			t.Errorf("%v: %d arrivals, want %v", s, k, want)
		}
	}
}

// A profile of one level stage is what Constant and Poisson give, to the nanosecond.
func TestLevelProfile(t *testing.T) {
	for _, rate := range []float64{0.3, 777, 1e5} {
		length := time.Duration(5000 / rate * 1e9)
		if one, same := all(t, Constant(rate, length, 0), 1e4), all(t, Even(Profile{Hold(rate, length)}), 1e4); !slices.Equal(one, same) {
			t.Errorf("%v/s: an even profile is not constant", rate)
		}
		if one, same := all(t, Poisson(rate, length, 3), 1e4), all(t, Random(Profile{Hold(rate, length)}, 3), 1e4); !slices.Equal(one, same) {
			t.Errorf("%v/s: a random profile is not Poisson", rate)
		}
	}
}

// A profile that is cut into many stages is the same but for rounding.
func TestCutProfile(t *testing.T) {
	const length, pieces = 10 * time.Second, 1000
	for _, whole := range []Stage{Hold(300, length), Ramp(0, 600, length), Ramp(1000, 10, length)} {
		var cut Profile
		for i := range pieces {
			from, to := float64(i)/pieces, float64(i+1)/pieces
			cut = append(cut, Ramp(whole.From+(whole.To-whole.From)*from, whole.From+(whole.To-whole.From)*to, length/pieces))
		}
		for name, s := range map[string][2]Schedule{
			"even":   {Even(Profile{whole}), Even(cut)},
			"random": {Random(Profile{whole}, 3), Random(cut, 3)},
		} {
			one, same := all(t, s[0], 1e4), all(t, s[1], 1e4)
			if d := len(one) - len(same); d < -1 || d > 1 { // the last may fall on either side of the end
				t.Errorf("%v, %s: %d arrivals, cut %d", whole, name, len(one), len(same))
			}
			for k := range min(len(one), len(same)) {
				if off := one[k] - same[k]; off < -10 || off > 10 {
					t.Errorf("%v, %s: arrival %d is off by %v when the stage is cut", whole, name, k, off)
					break
				}
			}
		}
	}
}

// Just before the end of a ramp to nothing, rounding must not make a root of
// less than nothing.
func TestEndOfRamp(t *testing.T) {
	s := Ramp(777, 0, 3333333333)
	for i := range 1000 {
		x := s.Length.Seconds() * float64(i) / 1000
		if end := x + s.gap(x, math.Nextafter(s.area(x), 0)); !(math.Abs(end-s.Length.Seconds()) < 1e-6) {
			t.Fatalf("from %v s on, the last arrival comes at %v s, want %v", x, end, s.Length)
		}
	}
}

// Each stage of a random profile gets a Poisson number of arrivals with its own mean.
func TestRandomFollowsTheProfile(t *testing.T) {
	p := Profile{Ramp(0, 2000, time.Second), Hold(500, 2*time.Second), Hold(0, time.Second), Ramp(3000, 1000, time.Second)}
	const seeds = 50
	counts := make([]float64, len(p))
	for seed := range uint64(seeds) {
		arrivals := all(t, Random(p, seed), 1e5)
		end := time.Duration(0)
		for i, s := range p {
			from, _ := slices.BinarySearch(arrivals, end)
			end += s.Length
			to, _ := slices.BinarySearch(arrivals, end)
			counts[i] += float64(to - from)
		}
		if longer := all(t, Random(append(slices.Clone(p), Hold(9999, time.Second)), seed), 1e5); !slices.Equal(arrivals, longer[:len(arrivals)]) {
			t.Fatal("a further stage changes the arrivals before it")
		}
	}
	for i, s := range p {
		want := seeds * (s.From + s.To) / 2 * s.Length.Seconds()
		if math.Abs(counts[i]-want) > 4*math.Sqrt(want) {
			t.Errorf("stage %d: %v arrivals, want %v", i, counts[i], want)
		}
	}
}

func TestProfileMean(t *testing.T) {
	p := Profile{Ramp(0, 1000, 10*time.Second), Hold(1000, 30*time.Second), Ramp(1000, 0, 5*time.Second)}
	if got, want := p.Rate(), 37_500.0/45; math.Abs(got-want) > 1e-9 || p.Length() != 45*time.Second {
		t.Errorf("%v/s for %v, want %v/s for 45s", got, p.Length(), want)
	}
	if n := len(all(t, Even(p), 1e5)); n != 37_500 {
		t.Errorf("%d arrivals, want 37500", n)
	}
}

func TestSchedulesDoNotFollowTheirProfile(t *testing.T) {
	p := Profile{Hold(10, time.Second)}
	even, random := Even(p), Random(p, 1)
	before := [2]int{len(all(t, even, 100)), len(all(t, random, 100))}
	p[0] = Hold(50, time.Second)
	if after := [2]int{len(all(t, even, 100)), len(all(t, random, 100))}; after != before {
		t.Errorf("%v arrivals, then %v", before, after)
	}
}

func TestShare(t *testing.T) {
	for name, s := range map[string]Schedule{
		"constant": Constant(1000, 103*time.Millisecond, 0),
		"poisson":  Poisson(1000, 100*time.Millisecond, 1),
		"ramp":     Even(Profile{Ramp(0, 1000, 200*time.Millisecond)}),
		"few":      Constant(1000, time.Second, 2),
		"none":     Constant(0, time.Second, 0),
	} {
		whole := all(t, s, 1000)
		for _, n := range []int{1, 2, 3, 7} {
			var together []time.Duration
			for i := range n {
				share := Share(s, i, n)
				part := all(t, share, 1000)
				for j, at := range part {
					if at != whole[i+j*n] {
						t.Fatalf("%s: arrival %d of share %d of %d is %v, want %v", name, j, i, n, at, whole[i+j*n])
					}
				}
				if share.Rate() != s.Rate()/float64(n) || share.Length() != s.Length() {
					t.Errorf("%s: share of %d has %v/s for %v", name, n, share.Rate(), share.Length())
				}
				together = append(together, part...)
			}
			if slices.Sort(together); !slices.Equal(together, whole) {
				t.Errorf("%s: %d shares have %d arrivals, want %d", name, n, len(together), len(whole))
			}
		}
	}
}

func TestWalksDoNotAllocate(t *testing.T) {
	p := Profile{Ramp(0, 1e6, time.Second), Hold(1e3, time.Hour)}
	for name, s := range map[string]Schedule{"even": Even(p), "random": Random(p, 1), "share": Share(Even(p), 1, 3)} {
		walk := s.Arrivals()
		if n := testing.AllocsPerRun(1000, func() { walk.Next() }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestParseProfile(t *testing.T) {
	s := time.Second
	for text, want := range map[string]Profile{
		"100..2000/30s":                   {Ramp(100, 2000, 30*s)},
		"0..1000/10s,1000/30s,1000..0/5s": {Ramp(0, 1000, 10*s), Hold(1000, 30*s), Ramp(1000, 0, 5*s)},
		" 0 .. 2k / 1m30s , 1.5M/500ms ":  {Ramp(0, 2000, 90*s), Hold(1.5e6, s/2)},
		"90/m/1h":                         {Hold(1.5, time.Hour)},
		"60/m..2/s/10s":                   {Ramp(1, 2, 10*s)},
		"1...5/10s":                       {Ramp(1, 0.5, 10*s)},
		"5/10s,0/2s,5/10s":                {Hold(5, 10*s), Hold(0, 2*s), Hold(5, 10*s)},
		"1/1000000h,1/1000000h,1/500000h": {Hold(1, 1e6*time.Hour), Hold(1, 1e6*time.Hour), Hold(1, 5e5*time.Hour)},
	} {
		got, err := ParseProfile(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
		if again, err := ParseProfile(got.String()); err != nil || !slices.Equal(again, want) {
			t.Errorf("%q: written as %q and read as %v, %v", text, got, again, err)
		}
	}
	for text, says := range map[string]string{
		"":                      "no length",
		"1000":                  "no length",
		"10..20":                "no length",
		"1000/":                 `"" is not a length`,
		"1000/s":                `"s" is not a length`,
		"1000/10":               `"10" is not a length`,
		"1000/0s":               `"0s" is not a length`,
		"1000/-5s":              `"-5s" is not a length`,
		"/10s":                  `rate ""`,
		"..5/10s":               `rate ""`,
		"5../10s":               `rate ""`,
		"a/10s":                 `rate "a"`,
		"-5..5/10s":             `rate "-5"`,
		"1..2..3/10s":           `rate "2..3"`,
		"0/10s":                 "asks for nothing",
		"0..0/10s,0/1s":         "asks for nothing",
		"5/10s,":                `stage ""`,
		"5/10s;6/10s":           `stage "5/10s;6/10s"`,
		"5/10s,6/10x":           `stage "6/10x"`,
		"1/2000000h,1/2000000h": "292 years",
		"2000000000..1/10s":     `rate "2000000000"`,
	} {
		_, err := ParseProfile(text)
		if err == nil || !strings.Contains(err.Error(), says) || showdown.CodeOf(err) != showdown.BadUsage || showdown.HintOf(err) == "" {
			t.Errorf("%q: %v, hint %q, want an error of usage with %q", text, err, showdown.HintOf(err), says)
		}
	}
}

func FuzzProfile(f *testing.F) {
	f.Add("100..2000/30s", uint64(1))
	f.Add("0..1000/10s, 1k/30s, 90/m/1h, 0/5s, 1000..0/5s", uint64(2))
	f.Add("1e-9..1M/1ns", uint64(3))
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		p, err := ParseProfile(text)
		if err != nil {
			if _, ok := errors.AsType[*showdown.Error](err); !ok {
				t.Fatal(err)
			}
			return
		}
		if again, err := ParseProfile(p.String()); err != nil || !slices.Equal(again, p) {
			t.Fatalf("%v is written as %q and read as %v, %v", []Stage(p), p, again, err)
		}
		length, rate := p.Length(), p.Rate()
		if length <= 0 || !(rate >= 0) || rate > 1e9 {
			t.Fatalf("%v/s for %v", rate, length)
		}
		for name, s := range map[string]Schedule{"even": Even(p), "random": Random(p, seed)} {
			walk, last := s.Arrivals(), time.Duration(0)
			for k := range 2000 {
				at, ok := walk.Next()
				if !ok {
					if want := integral(p, length); name == "even" && math.Abs(float64(k)-want) > 1+1e-9*want {
						t.Fatalf("%q: %d arrivals, want %v", text, k, want)
					}
					break
				}
				if at < last || at >= length {
					t.Fatalf("%q, %s: %v after %v, length %v", text, name, at, last, length)
				}
				if want := integral(p, at); name == "even" && math.Abs(float64(k)-want) > 2+1e-6*want {
					t.Fatalf("%q: arrival %d at %v, where %v have been asked for", text, k, at, want)
				}
				last = at
			}
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for name, s := range map[string]Schedule{
		"constant": Constant(1e4, 10000*time.Hour, 0), "poisson": Poisson(1e4, 10000*time.Hour, 1),
		"ramp": Even(Profile{Ramp(1e4, 2e4, 10000*time.Hour)}), "random ramp": Random(Profile{Ramp(1e4, 2e4, 10000*time.Hour)}, 1),
	} {
		b.Run(name, func(b *testing.B) {
			for walk := s.Arrivals(); b.Loop(); {
				if _, ok := walk.Next(); !ok {
					b.Fatal("ended")
				}
			}
		})
	}
}
