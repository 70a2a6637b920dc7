package showdown

import (
	"math"
	"testing"
)

func TestPortion(t *testing.T) {
	for share, want := range map[float64]uint64{
		-1: 0, 0: 0, math.NaN(): 0, 0.25: 1 << 62, 0.5: 1 << 63, 1: math.MaxUint64, 2: math.MaxUint64,
	} {
		if got := Portion(share); got != want {
			t.Errorf("Portion(%v) = %d, want %d", share, got, want)
		}
	}
}

// Neighbours scatter: a tenth of them lies in the lowest tenth.
func TestScatter(t *testing.T) {
	const n = 100_000
	below := 0
	for k := range uint64(n) {
		if Scatter(k) < Portion(0.1) {
			below++
		}
	}
	if math.Abs(float64(below)/n-0.1) > 0.005 {
		t.Errorf("%d of %d, want a tenth", below, n)
	}
	// The first output of Java's SplittableRandom(0), which is SplitMix64.
	if got := Scatter(0x9e3779b97f4a7c15); got != 0xe220a8397b1dcdaf {
		t.Errorf("Scatter gives %#x", got)
	}
}
