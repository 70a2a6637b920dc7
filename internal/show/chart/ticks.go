package chart

import (
	"math"
	"slices"
)

// ticks are round values within the domain, about as many as asked for at most.
func (d domain) ticks(most int) []float64 {
	switch d.scale {
	case Log:
		return logTicks(d.lo, d.hi, most)
	case Nines:
		return ninesTicks(d.lo, d.hi)
	default:
		return linearTicks(d.hi, most)
	}
}

// linearTicks step from zero by 1, 2 or 5 times a power of ten.
func linearTicks(hi float64, most int) []float64 {
	step := ceil125(hi / float64(max(1, most)))
	var ticks []float64
	for v := 0.0; v <= hi*1.0001; v += step {
		ticks = append(ticks, v)
	}
	return ticks
}

// logTicks are 1, 2 and 5 in each decade while there is room, then whole
// decades, then every second or third.
func logTicks(lo, hi float64, most int) []float64 {
	first, last := int(math.Floor(math.Log10(lo))), int(math.Ceil(math.Log10(hi)))
	within := func(multiples []float64, stride int) (ticks []float64) {
		for e := first; e <= last; e += stride {
			for _, m := range multiples {
				if v := m * math.Pow10(e); v >= lo*.9999 && v <= hi*1.0001 {
					ticks = append(ticks, v)
				}
			}
		}
		return ticks
	}
	if ticks := within([]float64{1, 2, 5}, 1); len(ticks) <= max(2, most) {
		return ticks
	}
	for stride := 1; ; stride++ {
		if ticks := within([]float64{1}, stride); len(ticks) <= max(2, most) {
			return ticks
		}
	}
}

// ninesTicks are the quantiles that people know by name.
func ninesTicks(lo, hi float64) []float64 {
	known := []float64{.5, .9, .99, .999, .9999, .99999}
	return slices.DeleteFunc(known, func(q float64) bool { return q < lo || q > hi })
}

// ceil125 is the smallest 1, 2 or 5 times a power of ten that is not below v.
func ceil125(v float64) float64 {
	power := math.Pow10(int(math.Floor(math.Log10(v))))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*power*1.000001 {
			return m * power
		}
	}
	return 10 * power
}

// floor125 is the largest 1, 2 or 5 times a power of ten that is not above v.
func floor125(v float64) float64 {
	power := math.Pow10(int(math.Floor(math.Log10(v))))
	for _, m := range []float64{5, 2} {
		if v*1.000001 >= m*power {
			return m * power
		}
	}
	return power
}
