package pace

import (
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// all walks a schedule to its end, but not beyond limit arrivals.
func all(t rapid.TB, s Schedule, limit int) []time.Duration {
	t.Helper()
	var arrivals []time.Duration
	walk := s.Arrivals()
	for {
		at, ok := walk.Next()
		if !ok {
			return arrivals
		}
		if arrivals = append(arrivals, at); len(arrivals) > limit {
			t.Fatalf("more than %d arrivals", limit)
		}
	}
}

func TestPoissonIsItsSeed(t *testing.T) {
	one, same := all(t, Poisson(1000, 5*time.Second, 7), 1e4), all(t, Poisson(1000, 5*time.Second, 7), 1e4)
	if !slices.Equal(one, same) {
		t.Error("the same seed gave other arrivals")
	}
	if slices.Equal(one, all(t, Poisson(1000, 5*time.Second, 8), 1e4)) {
		t.Error("another seed gave the same arrivals")
	}
	if long := all(t, Poisson(1000, 10*time.Second, 7), 2e4); !slices.Equal(one, long[:len(one)]) {
		t.Error("the length changes arrivals that lie before it")
	}
}

// The number of arrivals is Poisson distributed: mean and variance are rate × length.
func TestPoissonMeanRate(t *testing.T) {
	for _, c := range []struct {
		rate   float64
		length time.Duration
	}{{50, 10 * time.Second}, {2000, time.Second}, {40_000, 500 * time.Millisecond}} {
		const seeds = 60
		var counts []float64
		total, want := 0.0, c.rate*c.length.Seconds()
		for seed := range uint64(seeds) {
			n := float64(len(all(t, Poisson(c.rate, c.length, seed), 1e6)))
			counts, total = append(counts, n), total+n
		}
		if z := (total - seeds*want) / math.Sqrt(seeds*want); math.Abs(z) > 4 {
			t.Errorf("%v/s for %v: %v arrivals on average, want %v (%.1f standard errors)", c.rate, c.length, total/seeds, want, z)
		}
		variance := 0.0
		for _, n := range counts {
			variance += (n - total/seeds) * (n - total/seeds) / (seeds - 1)
		}
		// The ratio times 59 follows χ² with 59 degrees: within 0.45 and 1.85 but for once in 10,000.
		if ratio := variance / want; ratio < 0.45 || ratio > 1.85 {
			t.Errorf("%v/s for %v: the counts' variance is %.2f of their mean, want 1", c.rate, c.length, ratio)
		}
	}
}

// andersonDarling is A² of a sorted sample against the exponential distribution
// of mean 1 (Anderson and Darling, JASA 49, 1954, 765–769).
func andersonDarling(x []float64) float64 {
	n, sum := len(x), 0.0
	for i, v := range x {
		sum += float64(2*i+1) * (math.Log(-math.Expm1(-v)) - x[n-1-i])
	}
	return -float64(n) - sum/float64(n)
}

// a2Critical is what A² exceeds once in twenty times when the distribution is
// known in full (D'Agostino and Stephens, Goodness-of-Fit Techniques, 1986, table 4.2).
const a2Critical = 2.492

func TestAndersonDarling(t *testing.T) {
	// Quantiles at (i+½)/n fit as well as can be; those of a mean 10% off do not.
	const n = 2000
	fits, off := make([]float64, n), make([]float64, n)
	for i := range fits {
		fits[i] = -math.Log1p(-(float64(i) + 0.5) / n)
		off[i] = 1.1 * fits[i]
	}
	if a, b := andersonDarling(fits), andersonDarling(off); a > 0.1 || b < a2Critical {
		t.Errorf("A² is %v for a sample that fits and %v for one that does not", a, b)
	}
	// By hand: -2 - (ln(1-e^-1) - 2 + 3(ln(1-e^-2) - 1))/2.
	if got, want := andersonDarling([]float64{1, 2}), 0.947457; math.Abs(got-want) > 1e-6 {
		t.Errorf("A² is %v, want %v", got, want)
	}
}

// A test at 5% refuses a true hypothesis for one seed in twenty. These seeds are
// fixed, so what passes once passes always.
func TestPoissonGapsAreExponential(t *testing.T) {
	const n = 2000
	for name, gaps := range map[string]func(seed uint64) []float64{
		// So slow that rounding to nanoseconds plays no part.
		"hold": func(seed uint64) []float64 {
			return gapsOf(t, Poisson(0.5, 2*n*time.Hour, seed), n, func(at float64) float64 { return at / 2 })
		},
		// What counts is the gap in the integral of the rate.
		"ramp": func(seed uint64) []float64 {
			return gapsOf(t, Random(Profile{Ramp(0, 1, 2*n*time.Second), Ramp(1, 0.5, 2*n*time.Second)}, seed), n, func(at float64) float64 {
				const length = 2.0 * n
				if at < length {
					return at * at / length / 2
				}
				at -= length
				return length/2 + at - at*at/length/4
			})
		},
	} {
		passed, independent := 0, 0
		for seed := range uint64(100) {
			x := gaps(seed)
			if math.Abs(lagOneCorrelation(x)) < 1.96/math.Sqrt(n) {
				independent++
			}
			slices.Sort(x)
			if andersonDarling(x) < a2Critical {
				passed++
			}
		}
		t.Logf("%s: %d exponential, %d independent", name, passed, independent)
		if passed < 94 {
			t.Errorf("%s: the gaps of %d of 100 seeds look exponential, want at least 94", name, passed)
		}
		if independent < 90 {
			t.Errorf("%s: the gaps of %d of 100 seeds look independent of the gap before, want at least 90", name, independent)
		}
	}
}

// gapsOf are the first n gaps, in the integral of the rate.
func gapsOf(t *testing.T, s Schedule, n int, integral func(at float64) float64) []float64 {
	walk, last, gaps := s.Arrivals(), 0.0, make([]float64, n)
	for i := range gaps {
		at, ok := walk.Next()
		if !ok {
			t.Fatal("ended early")
		}
		now := integral(at.Seconds())
		gaps[i], last = now-last, now
	}
	return gaps
}

func lagOneCorrelation(x []float64) float64 {
	mean := 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	var product, square float64
	for i, v := range x {
		square += (v - mean) * (v - mean)
		if i > 0 {
			product += (v - mean) * (x[i-1] - mean)
		}
	}
	return product / square
}

func TestSchedulesStayEnded(t *testing.T) {
	for name, s := range map[string]Schedule{
		"poisson":           Poisson(1000, 10*time.Millisecond, 1),
		"constant, length":  Constant(1000, 10*time.Millisecond, 0),
		"constant, count":   Constant(1000, time.Hour, 5),
		"poisson, nothing":  Poisson(1000, 0, 1),
		"constant, nothing": Constant(1000, 0, 0),
		"even":              Even(Profile{Ramp(0, 1000, 10*time.Millisecond), Hold(1000, 10*time.Millisecond)}),
		"random":            Random(Profile{Ramp(1000, 0, 10*time.Millisecond), Hold(0, time.Hour)}, 1),
		"no profile":        Even(nil),
		"share":             Share(Constant(1000, 10*time.Millisecond, 0), 3, 4),
	} {
		all(t, s, 100)
		walk := s.Arrivals()
		for ok := true; ok; {
			_, ok = walk.Next()
		}
		for range 3 {
			if at, ok := walk.Next(); ok {
				t.Errorf("%s: %v after the end", name, at)
			}
		}
	}
}

func TestConstantArrivals(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		name   string
		rate   float64
		length time.Duration
		count  uint64
		want   []time.Duration
	}{
		{"the arrival at the length is out", 100, 30 * ms, 0, []time.Duration{0, 10 * ms, 20 * ms}},
		{"the one before is in", 100, 30*ms + 1, 0, []time.Duration{0, 10 * ms, 20 * ms, 30 * ms}},
		{"count", 100, time.Hour, 2, []time.Duration{0, 10 * ms}},
		{"length before count", 100, 15 * ms, 9, []time.Duration{0, 10 * ms}},
		{"one a minute", 1.0 / 60, 90 * time.Second, 0, []time.Duration{0, time.Minute}},
		{"slower than its length", 0.001, time.Second, 0, []time.Duration{0}},
		{"thirds", 3, time.Second, 0, []time.Duration{0, 333333333, 666666666}},
		{"no rate", 0, time.Second, 0, nil},
		{"no length", 100, 0, 0, nil},
		{"negative length", 100, -1, 0, nil},
	} {
		if got := all(t, Constant(c.rate, c.length, c.count), 100); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// exactly is k/rate in nanoseconds, without rounding on the way.
func exactly(k uint64, rate float64) float64 {
	r := new(big.Rat).SetFloat64(rate)
	ns, _ := r.Quo(new(big.Rat).SetFrac(new(big.Int).SetUint64(k*1e9), big.NewInt(1)), r).Float64()
	return ns
}

func TestConstantDoesNotDrift(t *testing.T) {
	for _, rate := range []float64{3, 777, 1e4, 123_456.789, 3e6} {
		s := Constant(rate, time.Duration(math.MaxInt64), 0).Arrivals().(*evenWalk)
		for _, k := range []uint64{1, 7, 999_999, 10_000_000} {
			s.k = k
			at, ok := s.Next()
			if off := float64(at) - exactly(k, rate); !ok || math.Abs(off) > 2 {
				t.Errorf("arrival %d at %v/s is off by %v ns", k, rate, off)
			}
		}
	}
}

func TestTenMillionArrivalsWithoutDrift(t *testing.T) {
	const rate = 123_456.789
	s, last := Constant(rate, time.Hour, 0).Arrivals(), time.Duration(0)
	for k := range uint64(10_000_001) {
		at, ok := s.Next()
		if !ok || at < last {
			t.Fatalf("arrival %d: %v, %v after %v", k, at, ok, last)
		}
		last = at
	}
	if off := float64(last) - exactly(10_000_000, rate); math.Abs(off) > 2 {
		t.Errorf("off by %v ns", off)
	}
}

func TestHugeRatesAndLengths(t *testing.T) {
	forever := time.Duration(math.MaxInt64)
	for name, s := range map[string]Arrivals{
		"poisson, 1e15/s":               Poisson(1e15, forever, 1).Arrivals(),
		"constant, 1e15/s":              Constant(1e15, forever, 0).Arrivals(),
		"poisson, one in 100 years":     Poisson(1/3.2e9, forever, 1).Arrivals(),
		"constant, one in 100 years":    Constant(1/3.2e9, forever, 0).Arrivals(),
		"constant, one in 300 years":    Constant(1/9.3e9, forever, 0).Arrivals(),
		"constant, the smallest rate":   Constant(math.SmallestNonzeroFloat64, forever, 0).Arrivals(),
		"poisson, the smallest rate":    Poisson(math.SmallestNonzeroFloat64, forever, 1).Arrivals(),
		"constant, the largest rate":    Constant(math.MaxFloat64, forever, 0).Arrivals(),
		"poisson, the largest rate":     Poisson(math.MaxFloat64, forever, 1).Arrivals(),
		"constant, the largest k":       &evenWalk{rest: Profile{Hold(1, forever)}, k: math.MaxUint64 - 10},
		"constant, the largest k, fast": &evenWalk{rest: Profile{Hold(3e9, forever)}, k: math.MaxUint64 - 10_000},
	} {
		last := time.Duration(0)
		for range 1000 {
			at, ok := s.Next()
			if !ok {
				break
			}
			if at < last || at >= forever {
				t.Fatalf("%s: %d after %d", name, at, last)
			}
			last = at
		}
	}
	if got := all(t, Constant(1/9.3e9, forever, 0), 2); len(got) != 1 {
		t.Errorf("an arrival after the end of time: %v", got)
	}
}

func TestEveryScheduleKeepsItsWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := math.Exp(rapid.Float64Range(math.Log(0.01), math.Log(1e9)).Draw(t, "ln rate"))
		arrivals := rapid.Float64Range(0, 2000).Draw(t, "arrivals")
		length := time.Duration(min(arrivals/rate*1e9, math.MaxInt64/2))
		count := rapid.Uint64Range(0, 3000).Draw(t, "count")
		seed := rapid.Uint64().Draw(t, "seed")
		for name, s := range map[string]Schedule{"poisson": Poisson(rate, length, seed), "constant": Constant(rate, length, count)} {
			if s.Rate() != rate || s.Length() != length {
				t.Fatalf("%s: %v/s for %v, want %v/s for %v", name, s.Rate(), s.Length(), rate, length)
			}
			got := all(t, s, 3000)
			if !slices.IsSorted(got) {
				t.Fatalf("%s: arrivals fall", name)
			}
			if len(got) > 0 && (got[0] < 0 || got[len(got)-1] >= length) {
				t.Fatalf("%s: arrivals from %v to %v in %v", name, got[0], got[len(got)-1], length)
			}
			if name == "constant" {
				want := math.Ceil(length.Seconds() * rate)
				if count > 0 {
					want = min(want, float64(count))
				}
				if math.Abs(float64(len(got))-want) > 1 {
					t.Fatalf("%d arrivals, want %v", len(got), want)
				}
			}
		}
	})
}
