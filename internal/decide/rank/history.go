package rank

import (
	"maps"
	"slices"
	"time"

	"github.com/backend-showdown/showdown/internal/decide/stats"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// history is what one contender did over all blocks.
type history struct {
	capacity map[int]float64 // by block
	common   windows
	loaded   windows
	ready    []float64
	failure  string
	hopeless bool // some bout met the objective at no rate
}

func (h *history) add(b *showdown.Bout) {
	if b.Failure != nil {
		h.failure = b.Failure.Reason
		return
	}
	if b.Capacity <= 0 {
		h.hopeless = true
	}
	if b.Phase != showdown.Block || h.hopeless {
		return
	}
	h.capacity[b.Block] = float64(b.Capacity)
	if b.Ready > 0 {
		h.ready = append(h.ready, b.Ready.Seconds())
	}
	for i := range b.Windows {
		switch w := &b.Windows[i]; w.Kind {
		case showdown.AtCommon:
			h.common = append(h.common, w)
		case showdown.AtCapacity:
			h.loaded = append(h.loaded, w)
		}
	}
}

func (h *history) blocks() []int { return slices.Sorted(maps.Keys(h.capacity)) }

func (h *history) unranked() string {
	switch {
	case h.failure != "":
		return h.failure
	case h.hopeless:
		return "no rate met the objective"
	case len(h.capacity) == 0:
		return "no finished bout"
	}
	return ""
}

func (h *history) standing(name string) Standing {
	var capacities []float64
	for _, block := range h.blocks() {
		capacities = append(capacities, h.capacity[block])
	}
	return Standing{
		Contender: name,
		Capacity:  mean(capacities),
		Common:    h.common.costs(),
		Loaded:    h.loaded.costs(),
		Ready:     mean(h.ready),
		Unranked:  h.unranked(),
	}
}

// windows are all windows of one kind, one or more a block.
type windows []*showdown.Window

func (ws windows) costs() Costs {
	c := Costs{ErrorKinds: map[string]int64{}}
	latency := func(of func(*showdown.Latency) time.Duration) stats.Interval {
		return ws.mean(func(w *showdown.Window) float64 { return of(&w.Load.Latency).Seconds() })
	}
	c.P50 = latency(func(l *showdown.Latency) time.Duration { return l.P50 })
	c.P90 = latency(func(l *showdown.Latency) time.Duration { return l.P90 })
	c.P99 = latency(func(l *showdown.Latency) time.Duration { return l.P99 })
	c.P999 = latency(func(l *showdown.Latency) time.Duration { return l.P999 })
	c.CPUPerRequest = ws.mean(func(w *showdown.Window) float64 {
		return w.Cost.CPU.Seconds() / float64(max(1, w.Load.OK))
	})
	c.MemoryMean = ws.mean(func(w *showdown.Window) float64 { return float64(w.Cost.MemoryMean) })
	for _, w := range ws {
		c.Rate += w.Offered / showdown.Rate(len(ws))
		c.MemoryPeak = max(c.MemoryPeak, w.Cost.MemoryPeak)
		c.MemoryKind = w.Cost.MemoryKind
		c.Max = max(c.Max, w.Load.Latency.Max.Seconds())
		c.Requests += w.Load.Due
		c.Failed += w.Load.Failed()
		c.Verified += w.Load.Verified
		for kind, n := range w.Load.Failures {
			c.ErrorKinds[string(kind)] += int64(n)
		}
	}
	return c
}

// mean leaves out windows in which the figure could not be measured.
func (ws windows) mean(of func(*showdown.Window) float64) stats.Interval {
	var values []float64
	for _, w := range ws {
		if v := of(w); v > 0 {
			values = append(values, v)
		}
	}
	return mean(values)
}

// mean is stats.GeoMean with zeros in place of the undefined mean of nothing,
// since a ranking is written as JSON, which has no NaN.
func mean(values []float64) stats.Interval {
	if len(values) == 0 {
		return stats.Interval{}
	}
	return stats.GeoMean(values, Confidence)
}
