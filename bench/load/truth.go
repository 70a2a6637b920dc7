//go:build linux

package main

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"time"
)

// stalling is the server that LOAD.md's table was measured against.
var stalling = []string{"delay=1000000", "stall=2000000000,200000000"}

const (
	stallingRate    = 2000
	stallingLength  = 20 * time.Second
	stallingClients = 50
	serviceDelay    = time.Millisecond
)

// truth compares what is reported with what the server's log says.
func truth(ctx context.Context, b *bench) error {
	if b.wants("ours") {
		if err := b.ownTruth(ctx); err != nil {
			return err
		}
	}
	return b.othersTruth(ctx)
}

var quantiles = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p90", 0.9}, {"p95", 0.95}, {"p99", 0.99}, {"p99.9", 0.999}}

// ownTruth knows the truth of every single request: when it was meant to be sent
// and when the server wrote its answer.
func (b *bench) ownTruth(ctx context.Context) error {
	for _, engine := range b.engines() {
		for _, scene := range []struct {
			name string
			drive
		}{
			{"200 ms stall every 2 s, 50 to 1,000 connections", drive{rate: stallingRate, length: stallingLength, open: stallingClients, max: 1000, options: stalling}},
			{"200 ms stall every 2 s, 50 connections", drive{rate: stallingRate, length: stallingLength, open: stallingClients, max: stallingClients, options: stalling}},
			{"M/M/1 at 70%, mean service 1 ms", drive{rate: 700, poisson: 1, length: 20 * time.Second, open: stallingClients, max: 1000, options: []string{"mm1=1000"}}},
		} {
			scene.engine = engine
			d, err := b.drive(ctx, scene.drive)
			if err != nil {
				return err
			}
			t := b.begin("Truth of every request: "+d.Engine+", "+scene.name, "", "p50", "p90", "p95", "p99", "p99.9")
			l := d.Load.Latency
			reported := []time.Duration{l.P50, l.P90, l.P95, l.P99, l.P999}
			said, is, errors := []string{"reported, ms"}, []string{"truth, ms"}, []string{"error, %"}
			worst := 0.0
			for i, q := range quantiles {
				fact := float64(rank(d.latencies, q.q))
				off := apart(float64(reported[i]), fact)
				worst = max(worst, off)
				said, is = append(said, millis(float64(reported[i]))), append(is, millis(fact))
				errors = append(errors, fmt.Sprintf("%.2f", off))
			}
			t.row(is...)
			t.row(said...)
			t.row(errors...)
			b.target("truth, "+d.Engine+", "+scene.name+": worst error", 1, worst, "%")
		}
	}
	return nil
}

// othersTruth holds what each tool reports against a replay: what the same
// server, with the freezes that it logged, would have done to an open loop of
// that rate on that many connections.
func (b *bench) othersTruth(ctx context.Context) error {
	if len(b.openPeers()) == 0 {
		return nil
	}
	t := b.begin(fmt.Sprintf("Reported against replayed truth: %d/s, %d connections, answers in 1 ms, 200 ms stall every 2 s", stallingRate, stallingClients),
		"", "p50 ms", "p95 ms", "p99 ms", "true p50", "true p95", "true p99", "p95 error", "requests")
	for _, tool := range peers {
		if tool.open == nil || !tool.present(b) || !b.wants(tool.name) {
			continue
		}
		if err := b.otherTruth(ctx, t, tool); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t.row(tool.name, "–", "–", "–", "–", "–", "–", err.Error())
		}
	}
	return nil
}

func (b *bench) otherTruth(ctx context.Context, t *table, tool *tool) error {
	s, err := b.serve(ctx, serving{ports: 1, records: 2 * stallingRate * int(stallingLength.Seconds()), options: stalling})
	if err != nil {
		return err
	}
	defer s.kill()
	p, err := start(ctx, generatorCore, tool.command(b, tool.open, job{url(s.port), s.port, stallingClients, stallingRate, stallingLength})...)
	if err != nil {
		return err
	}
	defer p.kill()
	text, err := p.wait()
	if err != nil {
		return err
	}
	said, err := tool.read(b, text)
	if err != nil {
		return err
	}
	answers, freezes, err := s.readLog()
	if err != nil {
		return err
	}
	first := slices.MinFunc(answers, func(a, b answered) int { return int(a.arrival - b.arrival) }).arrival
	is, err := figuresOf(replay(first, stallingRate, stallingLength, stallingClients, serviceDelay, freezes))
	if err != nil {
		return err
	}
	cell := func(d time.Duration) string {
		if d == untold {
			return "–"
		}
		return millis(float64(d))
	}
	off := "–"
	if said.p95 != untold {
		off = fmt.Sprintf("%+.0f%%", 100*(float64(said.p95)/float64(is.p95)-1))
	}
	t.row(tool.name, cell(said.p50), cell(said.p95), cell(said.p99), cell(is.p50), cell(is.p95), cell(is.p99), off, fmt.Sprint(len(answers)))
	return nil
}

// times is a heap of moments.
type times []int64

func (t times) Len() int           { return len(t) }
func (t times) Less(i, j int) bool { return t[i] < t[j] }
func (t times) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *times) Push(v any)        { *t = append(*t, v.(int64)) }
func (t *times) Pop() any          { panic("connections are only ever reused") }

// replay sends an ideal open loop from the moment start on and gives the
// latencies. A request waits for a free connection, is read at once, or at the
// end of a freeze, and answered after the delay, or at the end of a freeze.
func replay(start int64, rate int, length time.Duration, connections int, delay time.Duration, freezes []answered) []time.Duration {
	thawed := func(at int64) int64 {
		i, _ := slices.BinarySearchFunc(freezes, at, func(f answered, at int64) int { return int(f.written - at) })
		if i < len(freezes) && freezes[i].arrival <= at {
			return freezes[i].written
		}
		return at
	}
	free := make(times, connections)
	var latencies []time.Duration
	for k := range int(length.Seconds() * float64(rate)) {
		due := start + int64(float64(k)/float64(rate)*1e9)
		written := thawed(thawed(max(due, free[0])) + int64(delay))
		free[0] = written
		heap.Fix(&free, 0)
		latencies = append(latencies, time.Duration(written-due))
	}
	return latencies
}
