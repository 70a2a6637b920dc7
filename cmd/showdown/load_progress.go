package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// progress is the line that a terminal shows while the load goes on.
type progress struct {
	screen  *screen
	length  time.Duration // of the whole; 0 if only the count bounds it
	count   uint64        // of the whole; 0 if only the length bounds it
	threads int
	recent  []load.Snapshot // of the last second
}

func newProgress(s *screen, p *loadPlan) *progress {
	return &progress{screen: s, length: p.test.Settings.Length, count: p.test.Settings.Count, threads: max(1, p.target.Threads)}
}

func (g *progress) show(s load.Snapshot) {
	g.screen.status("%s", g.line(s))
}

// line writes "12/30 s ━━━━──────  2.00k/s  24,012 ok  p50 0.312 p99 1.21 ms …".
func (g *progress) line(s load.Snapshot) string {
	g.recent = append(g.recent, s)
	for len(g.recent) > 2 && s.Elapsed-g.recent[1].Elapsed >= time.Second {
		g.recent = g.recent[1:]
	}
	parts := []string{g.done(s)}
	if first := g.recent[0]; s.Elapsed > first.Elapsed {
		parts = append(parts, showdown.Rate(float64(s.OK-first.OK)/(s.Elapsed-first.Elapsed).Seconds()).String())
	}
	parts = append(parts, fmt.Sprintf("%d ok", s.OK))
	if s.Failed > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", s.Failed))
	}
	if s.P50 > 0 {
		parts = append(parts, fmt.Sprintf("p50 %s p99 %s ms", showdown.Millis(s.P50), showdown.Millis(s.P99)))
	}
	busy := busiest(s.Busiest, s.CPU, s.Elapsed, g.threads)
	return strings.Join(append(parts, fmt.Sprintf("%d in flight on %d", s.InFlight, s.Connections), fmt.Sprintf("generator %.0f%%", 100*busy)), "  ")
}

// done says how much of the test is over, by time or by count, whichever is further.
func (g *progress) done(s load.Snapshot) string {
	share, text := 0.0, fmt.Sprintf("%.0f s", s.Elapsed.Seconds())
	if g.length > 0 {
		share = s.Elapsed.Seconds() / g.length.Seconds()
		text = fmt.Sprintf("%.0f/%.0f s", s.Elapsed.Seconds(), g.length.Seconds())
	}
	if g.count > 0 {
		share = max(share, float64(s.Due)/float64(g.count))
	}
	const width = 12
	full := int(min(1, share) * width)
	return text + " " + strings.Repeat("━", full) + strings.Repeat("─", width-full)
}
