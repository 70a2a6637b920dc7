package bout

import (
	"context"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/measure/meter"
	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Limits beyond which a window carries a warning.
const (
	busyLimit    = 0.7                   // of the generator's processors (METHOD.md §6)
	lagLimit     = time.Millisecond      // at the 99th percentile
	stealLimit   = 0.02                  // mean over a window
	foreignLimit = 0.10                  // of one processor
	minimumOK    = 0.99                  // share of due requests that must be answered well
	settle       = 20 * time.Millisecond // between windows, so that queues drain
)

// openLoop offers Poisson arrivals at a rate and records the window in the bout.
func (m *match) openLoop(ctx context.Context, kind showdown.WindowKind, rate showdown.Rate, length time.Duration) (showdown.Window, error) {
	seed := m.nextSeed()
	w := load.Window{Schedule: pace.Poisson(float64(rate), length, seed), Sample: sampleShare, Seed: seed}
	if kind == showdown.Probe {
		w.GiveUp = giveUpFactor * m.Plan.Objective.Latency
	}
	return m.window(ctx, showdown.Window{Kind: kind, Offered: rate, Length: length}, w, seed)
}

// saturate asks as fast as the contender answers, in a closed loop: it warms up
// and tells roughly what the contender can do.
func (m *match) saturate(ctx context.Context) (showdown.Window, error) {
	seed := m.nextSeed()
	w := load.Window{Length: m.Plan.Timing.Warmup, Sample: sampleShare, Seed: seed}
	return m.window(ctx, showdown.Window{Kind: showdown.Warmup, Length: w.Length}, w, seed)
}

// nextSeed is the same for every contender's n-th window of a block, so that all
// meet the same arrivals and queries.
func (m *match) nextSeed() uint64 {
	m.windows++
	return mix(m.Plan.Seed, uint64(m.order.Block), m.windows)
}

func (m *match) window(ctx context.Context, out showdown.Window, in load.Window, seed uint64) (showdown.Window, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-m.process.Failed():
			cancel(m.process.Err())
		case <-ended:
		}
	}()

	watch := meter.Start(m.process.Pid())
	in.Progress = func(s load.Snapshot) {
		if m.Live != nil {
			memory, cpus := watch.Now()
			m.Live(Live{
				Contender: m.bout.Contender, Phase: m.order.Phase, Block: m.order.Block,
				Doing: doing[out.Kind], Offered: out.Offered, Snapshot: s, Memory: memory, CPUs: cpus,
			})
		}
	}
	r, err := m.engine.Run(ctx, in, m.Scenario.Traffic(m.host, seed))
	out.Cost, out.Climate = watch.Stop()
	if err != nil {
		if showdown.CodeOf(err) == showdown.Environment {
			err = showdown.Errorf(showdown.BadContender, "", "%s no longer takes connections: %w", m.bout.Contender, err)
		}
		return out, m.blame(err)
	}
	out.Load = r.Summary()
	out.GeneratorBusy = r.CPU.Seconds() / r.Elapsed.Seconds() / float64(max(1, len(m.Plan.Cores.Generator)))
	if out.Histo, err = r.Latency.Encode(hdrhistogram.V2CompressedEncodingCookieBase); err != nil {
		return out, fmt.Errorf("encode latencies: %w", err)
	}
	out.Met = m.met(&out)
	m.doubt(&out)
	m.bout.Windows = append(m.bout.Windows, out)
	if out.Kind != showdown.Warmup && r.Failures[showdown.FailBody] > 0 {
		return out, showdown.Errorf(showdown.BadContender, "showdown verify "+m.bout.Contender,
			"%s gave %s under load, among %d checked: %s", m.bout.Contender, showdown.Plural(int(r.Failures[showdown.FailBody]), "wrong answer"), r.Verified, brief(r.Example))
	}
	time.Sleep(settle)
	return out, nil
}

var doing = map[showdown.WindowKind]string{
	showdown.Warmup:     "warming up",
	showdown.Probe:      "searching capacity",
	showdown.AtCapacity: "at capacity",
	showdown.AtCommon:   "at the common rate",
}

// met holds a window against the objective.
func (m *match) met(w *showdown.Window) bool {
	return !w.Load.Aborted && w.Load.OK > 0 && m.quantile(w) <= m.Plan.Objective.Latency &&
		w.Load.ErrorRate() <= m.Plan.Objective.ErrorRate && float64(w.Load.OK) >= minimumOK*float64(w.Load.Due)
}

// quantile is the window's latency at the objective's quantile.
func (m *match) quantile(w *showdown.Window) time.Duration {
	switch m.Plan.Objective.Quantile {
	case 0.5:
		return w.Load.Latency.P50
	case 0.9:
		return w.Load.Latency.P90
	case 0.95:
		return w.Load.Latency.P95
	case 0.999:
		return w.Load.Latency.P999
	}
	return w.Load.Latency.P99
}

// doubt warns of what may have bent a measured window. The search's own steps go
// past the contender's limits on purpose and are left out.
func (m *match) doubt(w *showdown.Window) {
	if w.Kind != showdown.AtCapacity && w.Kind != showdown.AtCommon {
		return
	}
	if w.GeneratorBusy > busyLimit {
		m.warn(showdown.WarnGenerator, "%s: the generator used %.0f%% of its CPU; %s may be faster than shown", doing[w.Kind], 100*w.GeneratorBusy, m.bout.Contender)
	}
	if lag := w.Load.LagP99; lag > lagLimit {
		m.warn(showdown.WarnLag, "%s: requests were sent up to %s ms late (p99)", doing[w.Kind], showdown.Millis(lag))
	}
	if w.Climate.Steal > stealLimit {
		m.warn(showdown.WarnSteal, "%s: the hypervisor took %.1f%% of CPU time", doing[w.Kind], 100*w.Climate.Steal)
	}
	if w.Climate.Foreign > foreignLimit {
		m.warn(showdown.WarnForeign, "%s: something else used %.2f CPUs", doing[w.Kind], w.Climate.Foreign)
	}
}
