package chart

import (
	"cmp"
	"slices"
)

// spread moves labels apart until each is at least gap from the next, keeping
// their order and, as far as they fit, the stretch from lo to hi. The sum of the
// squared moves is the least possible: with gap taken off for each place in the
// order it is an isotonic regression, solved by pooling adjacent violators.
func spread(want []float64, gap, lo, hi float64) []float64 {
	order := make([]int, len(want))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(want[i], want[j]) })

	type pool struct {
		sum float64
		n   int
	}
	mean := func(p pool) float64 { return p.sum / float64(p.n) }
	var pools []pool
	for place, i := range order {
		pools = append(pools, pool{want[i] - float64(place)*gap, 1})
		for k := len(pools) - 1; k > 0 && mean(pools[k-1]) > mean(pools[k]); k-- {
			pools[k-1] = pool{pools[k-1].sum + pools[k].sum, pools[k-1].n + pools[k].n}
			pools = pools[:k]
		}
	}

	got, place := make([]float64, len(want)), 0
	last := max(lo, hi-float64(len(want)-1)*gap)
	for _, p := range pools {
		for range p.n {
			got[order[place]] = min(max(mean(p), lo), last) + float64(place)*gap
			place++
		}
	}
	return got
}
