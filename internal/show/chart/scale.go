package chart

import "math"

// Scale says how values are laid out along an axis.
type Scale int

// The scales.
const (
	Linear Scale = iota // from zero
	Log                 // decades; values must be positive
	Nines               // a quantile q at -log10(1-q): each nine takes the same room; q must lie in [0, 1)
)

// Axis is one direction of a chart.
type Axis struct {
	Label  string
	Scale  Scale
	Format func(float64) string // writes a tick
}

// on moves a value to where the scale is straight.
func (s Scale) on(v float64) float64 {
	switch s {
	case Log:
		return math.Log10(v)
	case Nines:
		return -math.Log10(1 - v)
	default:
		return v
	}
}

// Nothing that is measured is smaller or larger; a broken record may say so.
const smallest, largest = 1e-12, 1e15

// holds reports whether the scale has a place for v.
func (s Scale) holds(v float64) bool {
	switch s {
	case Log:
		return v >= smallest && v <= largest
	case Nines:
		return v >= 0 && v < 1
	default:
		return v >= 0 && v <= largest
	}
}

// domain is the stretch of a scale that a chart shows.
type domain struct {
	scale  Scale
	lo, hi float64
}

// domainOf finds a stretch that holds all values and ends on ticks.
func (s Scale) domainOf(values []float64) domain {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if s.holds(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	switch {
	case lo > hi && s == Nines:
		return domain{s, 0, .99}
	case lo > hi && s == Log:
		return domain{s, 1, 10}
	case lo > hi:
		return domain{s, 0, 1}
	case s == Log:
		return domain{s, floor125(lo), ceil125(hi * 1.0001)}
	case s == Nines:
		return domain{s, min(lo, .5), max(hi, .9)}
	default:
		return domain{s, 0, positive(hi)}
	}
}

// part is how far along the domain v lies: 0 at its start, 1 at its end.
func (d domain) part(v float64) float64 {
	lo, hi := d.scale.on(d.lo), d.scale.on(d.hi)
	return (d.scale.on(v) - lo) / (hi - lo)
}

func positive(v float64) float64 {
	if v >= smallest {
		return v
	}
	return 1
}
