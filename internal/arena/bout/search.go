package bout

import (
	"context"
	"math"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// The search's constants. A scout starts at a third of what a closed loop got
// and doubles; a block starts near the scout's finding and refines to 10%.
const (
	scoutShare = 0.3
	scoutStep  = 2.0
	searchStep = 1.25
	precision  = 1.1
	mostSteps  = 24
	hopeless   = 64 // a contender that misses at so small a part of the start misses everywhere

	// A step is long enough for this many requests, so that p99 and a small
	// share of errors can show, but not longer than slowestStep.
	stepRequests = 300
	slowestStep  = 5 * time.Second
)

// search brackets the capacity: from start it goes up by step while the
// objective is met, down while it is missed, with steps that grow, and then
// bisects until the two rates of the bracket are within a factor of each other.
// It returns their geometric mean, or 0 when no rate met the objective.
//
// Note: a step that misses is asked once more and counts as missed only if it
// misses again. A disturbance of a second would otherwise close the bracket
// below the truth for good; two in a row are rare.
func (m *match) search(ctx context.Context, start showdown.Rate, step, within float64) (showdown.Rate, error) {
	met, missed := 0.0, math.Inf(1)
	rate, lowest := float64(start), float64(start)/hopeless
	for range mostSteps {
		ok, err := m.meets(ctx, showdown.Rate(rate))
		if err != nil {
			return 0, err
		}
		if ok {
			met = rate
		} else {
			missed = rate
		}
		switch {
		case met > 0 && !math.IsInf(missed, 1):
			if missed/met <= within*(1+1e-9) {
				return showdown.Rate(math.Sqrt(met * missed)), nil
			}
			rate = math.Sqrt(met * missed)
		case met > 0:
			rate, step = rate*step, min(2, step*1.25)
		default:
			if rate, step = rate/step, min(2, step*1.25); rate < lowest {
				return 0, nil
			}
		}
	}
	return showdown.Rate(met), nil
}

// meets asks at a rate whether the objective is met, twice if need be.
func (m *match) meets(ctx context.Context, rate showdown.Rate) (bool, error) {
	enough := time.Duration(stepRequests / float64(rate) * float64(time.Second))
	length := max(m.Plan.Timing.Probe, min(enough, slowestStep))
	for range 2 {
		w, err := m.openLoop(ctx, showdown.Probe, rate, length)
		if err != nil || w.Met {
			return w.Met, err
		}
	}
	return false, nil
}
