package bout

import (
	"errors"
	"math"
	"testing"
)

// A contender that meets the objective exactly up to its capacity.
func upTo(capacity float64, asked *int) func(float64) (bool, error) {
	return func(rate float64) (bool, error) { *asked++; return rate <= capacity, nil }
}

func TestBracketFindsCapacityWithinPrecision(t *testing.T) {
	for _, capacity := range []float64{3, 99, 1000, 4242, 250_000} {
		for _, guess := range []float64{0.3, 0.8, 0.97, 1, 1.03, 1.3, 4} {
			asked := 0
			got, err := bracket(capacity*guess, searchStep, precision, upTo(capacity, &asked))
			if err != nil || math.Abs(math.Log(got/capacity)) > math.Log(precision) {
				t.Errorf("capacity %v from %v×: got %v, %v", capacity, guess, got, err)
			}
			if asked > 9 {
				t.Errorf("capacity %v from %v×: asked %d times", capacity, guess, asked)
			}
		}
	}
}

// The rounding of the search must not lean to one side over many starts.
func TestBracketIsUnbiasedOverStarts(t *testing.T) {
	sum, n := 0.0, 0
	for i := range 1000 {
		asked := 0
		start := 1000 * math.Exp((float64(i)/1000-0.5)*math.Log(searchStep))
		got, _ := bracket(start, searchStep, precision, upTo(1000, &asked))
		sum += math.Log(got / 1000)
		n++
	}
	if bias := sum / float64(n); math.Abs(bias) > 0.01 {
		t.Errorf("mean error of ln capacity is %.4f", bias)
	}
}

func TestBracketEnds(t *testing.T) {
	if got, err := bracket(1000, scoutStep, scoutStep, func(float64) (bool, error) { return false, nil }); got != 0 || err != nil {
		t.Errorf("nothing met: %v, %v", got, err)
	}
	asked := 0
	if got, err := bracket(1, scoutStep, scoutStep, upTo(math.Inf(1), &asked)); asked != mostSteps || got < 1e6 || err != nil {
		t.Errorf("no limit: %v after %d, %v", got, asked, err)
	}
	broken := errors.New("broken")
	if _, err := bracket(1000, scoutStep, scoutStep, func(float64) (bool, error) { return true, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// Contenders meet the same windows within a block and others in the next.
func TestSeedsAreSharedWithinABlock(t *testing.T) {
	seeds := func(name string, block int) [3]uint64 {
		m := &match{Player: &Player{}}
		m.Plan.Seed, m.order.Block, m.bout.Contender = 7, block, name
		return [3]uint64{m.nextSeed(), m.nextSeed(), m.nextSeed()}
	}
	a := seeds("a", 1)
	if a != seeds("b", 1) {
		t.Error("two contenders of a block have different seeds")
	}
	if b := seeds("a", 2); a[0] == b[0] || a[0] == a[1] || a[1] == a[2] {
		t.Errorf("seeds repeat: %v %v", a, b)
	}
}

func TestDitherStaysWithinAStep(t *testing.T) {
	low, high := 1.0, 1.0
	for block := range 200 {
		m := &match{Player: &Player{}}
		m.order.Block = block
		d := float64(m.dither())
		low, high = min(low, d), max(high, d)
	}
	if limit := math.Sqrt(searchStep); low < 1/limit || high > limit || high/low < 1.15 {
		t.Errorf("dither between %.3f and %.3f, want within ±%.3f and spread", low, high, limit)
	}
}
