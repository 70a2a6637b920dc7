//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// openTool is one contestant of an open loop.
type openTool struct {
	name  string
	start func(job) []string
}

// openRun is what one run of it cost.
type openRun struct {
	cost float64       // CPU µs for each request that the server counted
	rate float64       // of these, a second
	gap  time.Duration // median between two arrivals at the server
}

const (
	warmUp = 1500 * time.Millisecond // k6 compiles its script meanwhile
	marked = 4 * time.Second
)

func monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail
	return t.Nano()
}

// openCost runs a tool against a server of its own and looks at a stretch of its middle.
func (b *bench) openCost(ctx context.Context, t openTool, rate, connections int, options ...string) (*openRun, error) {
	s, err := b.serve(ctx, serving{ports: 1, records: 2 * rate * int((warmUp + marked + time.Second).Seconds()), options: options})
	if err != nil {
		return nil, err
	}
	defer s.kill()
	p, err := start(ctx, generatorCore, t.start(job{url: url(s.port), port: s.port, clients: connections, rate: rate, length: time.Minute})...)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	time.Sleep(warmUp)
	from, cpu, n := monotonic(), p.cpu(), s.count(s.port, requests)
	time.Sleep(marked)
	until := monotonic()
	cpu, n = p.cpu()-cpu, s.count(s.port, requests)-n
	if n == 0 || !p.alive() {
		return nil, showdown.Errorf(showdown.Environment, "", "%s sent nothing: %s", t.name, lastWords(p.stderr.String()))
	}
	answers, _, err := s.readLog()
	if err != nil {
		return nil, err
	}
	var arrivals []int64
	for _, a := range answers {
		if from <= a.arrival && a.arrival < until {
			arrivals = append(arrivals, a.arrival)
		}
	}
	slices.Sort(arrivals)
	var gaps []time.Duration
	for i := 1; i < len(arrivals); i++ {
		gaps = append(gaps, time.Duration(arrivals[i]-arrivals[i-1]))
	}
	slices.Sort(gaps)
	return &openRun{cpu.Seconds() * 1e6 / float64(n), float64(n) / marked.Seconds(), rank(gaps, 0.5)}, ctx.Err()
}

// openLoops runs every tool b.rounds times, in random order each time, prints
// the medians, and gives the runs by name.
func (b *bench) openLoops(ctx context.Context, title string, tools []openTool, rate, connections int, options ...string) (map[string][]*openRun, error) {
	t := b.begin(title, "", "µs/request", "requests/s", "median gap µs", "÷ ours, run by run")
	runs, broken := map[string][]*openRun{}, map[string]error{}
	for range b.rounds {
		for _, i := range rand.Perm(len(tools)) {
			r, err := b.openCost(ctx, tools[i], rate, connections, options...)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				broken[tools[i].name] = err
				continue
			}
			runs[tools[i].name] = append(runs[tools[i].name], r)
		}
	}
	for _, tool := range tools {
		own := runs[tool.name]
		if broken[tool.name] != nil {
			t.row(tool.name, "–", "–", "–", broken[tool.name].Error())
			delete(runs, tool.name)
			continue
		}
		value := func(f func(*openRun) float64) string { return fmt.Sprintf("%.1f", f(median(own, f))) }
		ratio := "–"
		if first := runs[tools[0].name]; len(first) == len(own) {
			ratio = ratios(own, first).String()
		}
		t.row(tool.name, value(cost), value(func(r *openRun) float64 { return r.rate }), value(gap), ratio)
	}
	return runs, nil
}

func cost(r *openRun) float64 { return r.cost }
func gap(r *openRun) float64  { return r.gap.Seconds() * 1e6 }

func median(runs []*openRun, of func(*openRun) float64) *openRun {
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b *openRun) int {
		if of(a) < of(b) {
			return -1
		}
		return 1
	})
	return sorted[len(sorted)/2]
}

func ratios(a, b []*openRun) interval {
	costs := func(runs []*openRun) (all []float64) {
		for _, r := range runs {
			all = append(all, r.cost)
		}
		return all
	}
	return ratioOf(costs(a), costs(b))
}

// ratioOf divides pair by pair.
func ratioOf(a, b []float64) interval {
	var all []float64
	for i := range a {
		all = append(all, a[i]/b[i])
	}
	return medianOf(all)
}

// openOurs is Showdown in an open loop.
func (b *bench) openOurs(flags ...string) openTool {
	return openTool{strings.Join(append([]string{"ours"}, flags...), " "), func(j job) []string { return b.ours(j, flags...) }}
}

// openPeers are the chosen tools that have an open loop.
func (b *bench) openPeers() []openTool {
	var tools []openTool
	for _, t := range peers {
		if t.open != nil && t.present(b) && b.wants(t.name) {
			tools = append(tools, openTool{t.name, func(j job) []string { return t.command(b, t.open, j) }})
		}
	}
	return tools
}

// evenFloor is what sending on time costs at least.
func (b *bench) evenFloor(slot ...string) openTool {
	return openTool{strings.Join(append([]string{"C even floor"}, slot...), " "), func(j job) []string {
		return append([]string{b.floor, "even", fmt.Sprint(j.port), fmt.Sprint(j.clients), whole(j.length), fmt.Sprint(j.rate)}, slot...)
	}}
}

// openSlow is the everyday open loop, in which every request costs a wake-up.
func openSlow(ctx context.Context, b *bench) error {
	const rate = 2000
	runs, err := b.openLoops(ctx, "Open loop, 2,000 requests/s, 50 connections, answers in 1 ms, 200 ms of freeze every 2 s", append([]openTool{b.openOurs(), b.evenFloor()}, b.openPeers()...), rate, 50, "delay=1000000", "stall=2000000000,200000000")
	if err != nil {
		return err
	}
	ours := runs["ours"]
	if ours == nil {
		return nil
	}
	b.target("open loop, 2,000/s: median gap differs from the schedule by", 2, apart(gap(median(ours, gap)), 1e6/rate), "%")
	for name, limit := range map[string]float64{"vegeta": 0.5, "k6": 0.33} {
		if runs[name] != nil {
			b.target("open loop, 2,000/s: ours ÷ "+name, limit, ratios(ours, runs[name]).median, "")
		}
	}
	return nil
}

// openFast is the rate at which precision has its price.
func openFast(ctx context.Context, b *bench) error {
	const rate = 20_000
	tools := []openTool{b.openOurs()}
	// wrk2's own clock has milliseconds: slots of one compare with it.
	tools = append(tools, b.openOurs("--slot", "1ms"), b.openOurs("--slot", "300us"), b.evenFloor(), b.evenFloor("1000000"), b.evenFloor("300000"))
	for _, t := range b.openPeers() {
		if t.name == wrk2Like || t.name == "h2load" || t.name == "fortio" {
			tools = append(tools, t)
		}
	}
	runs, err := b.openLoops(ctx, "Open loop, 20,000 requests/s, 64 connections", tools, rate, clients)
	if err != nil {
		return err
	}
	if wrk2 := runs[wrk2Like]; wrk2 != nil {
		for i, limit := range []float64{2.0, 0.8} {
			if i < len(tools) && runs[tools[i].name] != nil && strings.HasPrefix(tools[i].name, "ours") {
				b.target("open loop, 20,000/s: "+tools[i].name+" ÷ "+wrk2Like, limit, ratios(runs[tools[i].name], wrk2).median, "")
			}
		}
	}
	d, err := b.drive(ctx, drive{rate: rate, length: 5 * time.Second, open: clients, max: 1000})
	if err != nil {
		return err
	}
	t := b.begin("… and its truth, request by request", "", "p50 ms", "p99 ms")
	t.row("truth", millis(float64(rank(d.latencies, 0.5))), millis(float64(rank(d.latencies, 0.99))))
	t.row("ours reports", millis(float64(d.Load.Latency.P50)), millis(float64(d.Load.Latency.P99)))
	b.target("open loop, 20,000/s: reported p50 differs from truth by", 5, apart(float64(d.Load.Latency.P50), float64(rank(d.latencies, 0.5))), "%")
	return nil
}

// drive is a run of the driver, which numbers its requests.
type drive struct {
	rate      int
	poisson   uint64
	length    time.Duration
	open, max int
	engine    string
	options   []string // of the server
}

// driven is what the driver reports and what the server's log says of the same
// requests, sorted.
type driven struct {
	Engine    string
	Start     int64 `json:"start_ns"`
	Load      showdown.Load
	latencies []time.Duration // from the intended send to the write of the answer
	lags      []time.Duration // from the intended send to the arrival at the server
	freezes   []answered
}

func (d drive) schedule() pace.Schedule {
	if d.poisson != 0 {
		return pace.Poisson(float64(d.rate), d.length, d.poisson)
	}
	return pace.Constant(float64(d.rate), d.length, 0)
}

func (b *bench) drive(ctx context.Context, d drive) (*driven, error) {
	s, err := b.serve(ctx, serving{ports: 1, records: 2*d.rate*int(d.length.Seconds()) + 1000, options: d.options})
	if err != nil {
		return nil, err
	}
	defer s.kill()
	p, err := start(ctx, generatorCore, b.driver, "-address", fmt.Sprintf("127.0.0.1:%d", s.port), "-rate", fmt.Sprint(d.rate), "-engine", d.engine,
		"-length", d.length.String(), "-open", fmt.Sprint(d.open), "-max", fmt.Sprint(d.max), "-poisson", fmt.Sprint(d.poisson))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	text, err := p.wait()
	if err != nil {
		return nil, err
	}
	out := &driven{}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		return nil, err
	}
	answers, freezes, err := s.readLog()
	if err != nil {
		return nil, err
	}
	out.freezes = freezes
	var due []int64
	for walk := d.schedule().Arrivals(); ; {
		at, ok := walk.Next()
		if !ok {
			break
		}
		due = append(due, out.Start+int64(at))
	}
	for _, a := range answers {
		if a.id < uint64(len(due)) {
			out.latencies = append(out.latencies, time.Duration(a.written-due[a.id]))
			out.lags = append(out.lags, time.Duration(a.arrival-due[a.id]))
		}
	}
	if len(out.latencies) != len(due) {
		return nil, showdown.Errorf(showdown.Untrustworthy, "", "the server answered %d of %d requests", len(out.latencies), len(due))
	}
	slices.Sort(out.latencies)
	slices.Sort(out.lags)
	return out, nil
}

// lag is how late sends are on a core that has nothing else to do.
func lag(ctx context.Context, b *bench) error {
	t := b.begin("Lateness of sends, 2,000/s on an idle core", "", "p50 µs", "p99 µs", "max µs")
	micros := func(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1e6) }
	for _, engine := range b.engines() {
		d, err := b.drive(ctx, drive{rate: 2000, length: 10 * time.Second, open: 50, max: 1000, engine: engine})
		if err != nil {
			return err
		}
		name := "ours, " + d.Engine
		t.row(name+", arrival at the server", micros(rank(d.lags, 0.5)), micros(rank(d.lags, 0.99)), micros(rank(d.lags, 1)))
		t.row(name+", reported", "–", micros(d.Load.LagP99), "–")
		b.target("send lag p99 on an idle core, "+d.Engine, 100, rank(d.lags, 0.99).Seconds()*1e6, " µs")
	}
	return nil
}
