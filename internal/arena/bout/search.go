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
	hopeless   = 8 // a contender that misses at so small a part of the start misses everywhere

	// A step is long enough for this many requests, so that p99 and a small
	// share of errors can show, but not longer than slowestStep.
	stepRequests = 300
	slowestStep  = 5 * time.Second
)

// search finds the contender's capacity, starting at start.
func (m *match) search(ctx context.Context, start showdown.Rate, step, within float64) (showdown.Rate, error) {
	capacity, err := bracket(float64(start), step, within, func(rate float64) (bool, error) { return m.meets(ctx, showdown.Rate(rate)) })
	return showdown.Rate(capacity), err
}

// bracket finds the highest rate that meets: from start it goes up by step while
// the rate meets, down while it does not, with steps that grow, and then bisects
// until the two rates of the bracket are within a factor of each other. It
// returns their geometric mean, the last rate that met if none was missed, or 0
// if none met.
func bracket(start, step, within float64, meets func(rate float64) (bool, error)) (float64, error) {
	met, missed, rate := 0.0, math.Inf(1), start
	for range mostSteps {
		ok, err := meets(rate)
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
			rate = math.Sqrt(met * missed)
			if missed/met <= within*(1+1e-9) {
				return rate, nil
			}
		case met > 0:
			rate, step = rate*step, min(2, step*1.25)
		default:
			if rate, step = rate/step, min(2, step*1.25); rate < start/hopeless {
				return 0, nil
			}
		}
	}
	return met, nil
}

// meets asks at a rate whether the objective is met. A miss is asked once more
// and counts only if it repeats: a disturbance of a second would otherwise close
// the bracket below the truth for good, and two in a row are rare. Where even the
// median misses, no disturbance explains it.
func (m *match) meets(ctx context.Context, rate showdown.Rate) (bool, error) {
	enough := time.Duration(stepRequests / float64(rate) * float64(time.Second))
	length := max(m.Plan.Timing.Probe, min(enough, slowestStep))
	for range 2 {
		w, err := m.openLoop(ctx, showdown.Probe, rate, length)
		if err != nil || w.Met || !w.Load.Aborted && w.Load.Latency.P50 > m.Plan.Objective.Latency {
			return w.Met, err
		}
	}
	return false, nil
}
