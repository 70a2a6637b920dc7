package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// Student's sleep data, the reference example of R's t.test(paired = TRUE):
// t = -4.0621, df = 9, p-value = 0.002833, interval -2.4598858 to -0.7001142.
func TestCompareAgainstR(t *testing.T) {
	one := []float64{0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0}
	two := []float64{1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4}
	a, b := make([]float64, len(one)), make([]float64, len(two))
	for i := range one {
		a[i], b[i] = math.Exp(one[i]), math.Exp(two[i])
	}
	c := Compare(a, b, 0.95)
	near(t, "p", c.P, 0.002833, 5e-7)
	near(t, "ln lo", math.Log(c.Ratio.Lo), -2.4598858, 1e-7)
	near(t, "ln mid", math.Log(c.Ratio.Mid), -1.58, 1e-12)
	near(t, "ln hi", math.Log(c.Ratio.Hi), -0.7001142, 1e-7)
}

// R: p.adjust(c(.03, .01, .05, .04, .02), "holm") gives .09 .05 .09 .09 .08.
func TestHolmAgainstR(t *testing.T) {
	got := Holm([]float64{.03, .01, .05, .04, .02})
	for i, want := range []float64{.09, .05, .09, .09, .08} {
		near(t, "holm", got[i], want, 1e-12)
	}
}

func TestFewValues(t *testing.T) {
	if c := Compare([]float64{2}, []float64{1}, 0.95); c.P != 1 || c.Ratio.Known() || c.Ratio.Mid != 2 {
		t.Errorf("one pair decides nothing, got %+v", c)
	}
	if g := GeoMean(nil, 0.95); !math.IsNaN(g.Mid) || g.N != 0 {
		t.Errorf("no values give no estimate, got %+v", g)
	}
	if c := Compare([]float64{2, 2, 2}, []float64{2, 2, 2}, 0.95); c.P != 1 {
		t.Errorf("equal series differ with p = %v", c.P)
	}
}

// The interval must hold the truth about as often as it says.
func TestGeoMeanCoverage(t *testing.T) {
	rng, hits := rand.New(rand.NewPCG(1, 2)), 0
	const runs = 4000
	for range runs {
		x := make([]float64, 5)
		for i := range x {
			x[i] = 1000 * math.Exp(0.08*rng.NormFloat64())
		}
		if g := GeoMean(x, 0.95); g.Lo <= 1000 && 1000 <= g.Hi {
			hits++
		}
	}
	near(t, "coverage", float64(hits)/runs, 0.95, 0.012)
}

// Identical stacks on a machine that drifts: pairing and Holm together must
// keep the chance of any false verdict in an experiment near the level.
func TestFamilyErrorUnderDrift(t *testing.T) {
	rng, experiments, withFalse := rand.New(rand.NewPCG(3, 4)), 1500, 0
	const stacks, blocks = 6, 5
	for range experiments {
		y, drift := make([][]float64, stacks), 0.0
		for range blocks {
			drift = 0.8*drift + 0.1*rng.NormFloat64()
			for s := range y {
				y[s] = append(y[s], math.Exp(drift+0.03*rng.NormFloat64()))
			}
		}
		var p []float64
		for i := range y {
			for j := range i {
				p = append(p, Compare(y[i], y[j], 0.95).P)
			}
		}
		for _, q := range Holm(p) {
			if q < 0.05 {
				withFalse++
				break
			}
		}
	}
	if rate := float64(withFalse) / float64(experiments); rate > 0.06 {
		t.Errorf("%.1f%% of experiments with identical stacks have a false verdict, want at most 5%%", 100*rate)
	}
}
