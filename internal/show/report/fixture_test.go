package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// hostile is text that no view may take for markup, a formula or an escape sequence.
const hostile = `<script>alert(1)</script>`

// model is an invented backend.
type model struct {
	name, title, language, framework string
	capacity                         float64 // requests per second
	idle                             float64 // median latency without load, seconds
	memory                           float64 // MB
	ready                            float64 // seconds
	notes                            []showdown.Note
}

var models = []model{
	{"node-http", "Node.js", "JavaScript", "node:http", 9800, .00042, 74, .048, nil},
	{"express", "Express", "JavaScript", "Express", 4100, .00081, 92, .126, []showdown.Note{
		{Text: "NODE_ENV is production, as the framework's guide asks.", Link: "https://expressjs.com/en/advanced/best-practice-performance.html"},
	}},
	{"fastapi", "FastAPI", "Python", "FastAPI", 1180, .0021, 61, .612, []showdown.Note{
		{Text: "Uvicorn with uvloop and httptools.", Link: "https://fastapi.tiangolo.com/deployment/"},
	}},
	{"go-nethttp", "net/http", "Go", "net/http", 21400, .00018, 22, .0093, nil},
	{"gin", "Gin", "Go", "Gin", 21050, .00019, 25, .0101, []showdown.Note{
		{Text: "Release mode.", Link: "https://gin-gonic.com/en/docs/"},
		{Text: "A link that must not become one.", Link: "javascript:alert(1)"},
	}},
	{"axum", "axum", "Rust", "axum", 30200, .00013, 6.4, .0042, []showdown.Note{
		{Text: "One worker thread for each CPU.", Link: "https://docs.rs/tokio/latest/tokio/runtime/"},
	}},
}

// invented is a run of those backends that looks like a real one: the same
// arguments give the same run. With failure, one more contender fails.
func invented(backends []model, blocks int, failure bool) showdown.Run {
	rng := rand.New(rand.NewPCG(7, 11))
	r := showdown.Run{
		ID: "20261122-1915", Status: showdown.Over,
		Started:  time.Date(2026, 11, 22, 19, 15, 0, 0, time.UTC),
		Finished: time.Date(2026, 11, 22, 19, 41, 12, 0, time.UTC),
		Command:  []string{"showdown", "run", "--preset", "standard", "--scenario", "json", "--note", "it's quiet"},
		Plan: showdown.Plan{
			Preset: "standard", Scenario: "json", Title: "REST API", Blocks: blocks, Seed: 42,
			Objective:  showdown.Objective{Quantile: .99, Latency: 50 * time.Millisecond, ErrorRate: .001},
			Timing:     showdown.Timing{Warmup: 5 * time.Second, Probe: 3 * time.Second, Measure: 10 * time.Second},
			Cores:      showdown.CPUPlan{Contender: []int{1}, Generator: []int{0}},
			Connection: showdown.Connections{Open: 64, Max: 512},
		},
		Machine: showdown.Machine{
			OS: "Linux", Kernel: "6.18.5", Arch: "amd64", CPU: "AMD EPYC 9V74", CPUs: 2,
			Memory: 24 << 30, Virtual: true, Showdown: "v0.1.0",
		},
		Skipped: []showdown.Skipped{{Name: "rails", Reason: "ruby not found", Remedy: "showdown doctor --fix"}},
	}
	slowest := math.Inf(1)
	for _, m := range backends {
		slowest = min(slowest, m.capacity)
		r.Contenders = append(r.Contenders, m.contender())
		r.Plan.Contenders = append(r.Plan.Contenders, m.name)
	}
	for block := 1; block <= blocks; block++ {
		drift := .03 * rng.NormFloat64()
		for slot, i := range rng.Perm(len(backends)) {
			started := r.Started.Add(time.Duration(len(r.Bouts)) * 45 * time.Second)
			r.Bouts = append(r.Bouts, backends[i].bout(rng, block, slot, drift, slowest/2, started))
		}
	}
	if failure {
		r.Contenders = append(r.Contenders, showdown.Contender{
			Name: hostile, Title: `"><img src=x onerror=alert(2)>`, Language: "=cmd()", Framework: "\x1b[31m|`{{.}}`",
			Homepage: `javascript:alert(3)`, Workers: "</style><b>",
			Versions: []showdown.Version{{Role: "runtime", Name: "<i>", Version: "\u202e1.0"}},
			Notes:    []showdown.Note{{Text: "</script><svg onload=alert(4)>", Link: "https://example.org/?q=\"><script>"}},
		})
		r.Bouts = append(r.Bouts, broken(r.Started))
	}
	return r
}

func (m *model) contender() showdown.Contender {
	return showdown.Contender{
		Name: m.name, Title: m.title, Language: m.language, Framework: m.framework,
		Homepage: "https://" + m.name + ".example.org/", Workers: "1 process",
		Versions: []showdown.Version{
			{Role: "runtime", Name: m.language, Version: "1.26.8"},
			{Role: "framework", Name: m.framework, Version: "5.2.1"},
		},
		Notes: m.notes, Hash: "5f2b8c0e9a7d4413",
	}
}

func broken(started time.Time) showdown.Bout {
	return showdown.Bout{
		Contender: hostile, Scenario: "json", Phase: showdown.Block, Block: 1, Slot: 6, Started: started,
		Failure: &showdown.BoutFailure{
			Reason: "stopped 1.2 s after its start (status 1) " + hostile,
			Hint:   "the port may be in use",
			Tail:   "EADDRINUSE 127.0.0.1:41873\n\x1b[31m</pre></details><script>alert(5)</script>\n<!-- -->",
			Log:    "showdown-out/20261122-1915/<b>.log",
		},
		Warnings: []showdown.Warning{{Kind: showdown.WarnWildcard, Text: "did not stop <b>cleanly</b>"}},
	}
}

func (m *model) bout(rng *rand.Rand, block, slot int, drift, common float64, started time.Time) showdown.Bout {
	capacity := m.capacity * math.Exp(drift+.012*rng.NormFloat64())
	b := showdown.Bout{
		Contender: m.name, Scenario: "json", Phase: showdown.Block, Block: block, Slot: slot, Started: started,
		Took: 41 * time.Second, Ready: time.Duration(m.ready * (1 + .06*rng.NormFloat64()) * 1e9),
		Capacity: showdown.Rate(math.Round(capacity)),
	}
	b.Windows = append(b.Windows, m.window(rng, showdown.Warmup, common, capacity, 300))
	for _, part := range []float64{.35, .6, .85, 1.08, .97} {
		b.Windows = append(b.Windows, m.window(rng, showdown.Probe, capacity*part, capacity, 300))
	}
	b.Windows = append(b.Windows,
		m.window(rng, showdown.AtCapacity, capacity, capacity, 1500),
		m.window(rng, showdown.AtCommon, common, capacity, 6000))
	if block == 2 && m.name == "express" {
		b.Windows[3].Climate.Steal = .019
		b.Warnings = append(b.Warnings, showdown.Warning{Kind: showdown.WarnSteal, Text: "the hypervisor took 1.9% of the CPU time"})
	}
	return b
}

// window draws latencies from a queue that fills as the rate nears the capacity.
func (m *model) window(rng *rand.Rand, kind showdown.WindowKind, rate, capacity float64, samples int) showdown.Window {
	load := rate / capacity / 1.04
	queue := 1 / max(.004, 1-load)
	h := hdrhistogram.New(1000, 60e9, 3)
	var exact, sum int64
	for range samples {
		v := m.idle * math.Pow(queue, .8) * math.Exp(.35*rng.NormFloat64())
		if rng.Float64() < .012 {
			v *= 2.5 + rng.ExpFloat64()
		}
		ns := int64(v * 1e9)
		_ = h.RecordValue(ns)
		exact, sum = max(exact, ns), sum+ns
	}
	quantile := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) }
	w := showdown.Window{
		Kind: kind, Offered: showdown.Rate(math.Round(rate)), Length: 10 * time.Second,
		Load: showdown.Load{
			Due: uint64(rate * 10), Sent: uint64(rate * 10), OK: uint64(rate * 10), Verified: uint64(rate / 10), Bytes: uint64(rate * 60000),
			Latency: showdown.Latency{
				P50: quantile(50), P90: quantile(90), P95: quantile(95), P99: quantile(99), P999: quantile(99.9),
				Max: time.Duration(exact), Mean: time.Duration(sum / int64(samples)),
			},
			LagP99: time.Duration(40e3 * (1 + rng.ExpFloat64())),
		},
		Cost: showdown.Cost{
			CPU:        time.Duration(10e9 * load / 1.02),
			MemoryMean: showdown.Bytes(m.memory * (1 + .5*load) * (1 + .02*rng.NormFloat64()) * (1 << 20)),
			MemoryPeak: showdown.Bytes(m.memory * (1.15 + .6*load) * (1 << 20)),
			MemoryKind: "PSS", Processes: 1,
		},
		Climate:       showdown.Climate{Steal: .002 * rng.Float64(), Pressure: .1 * load, Foreign: .03 * rng.Float64()},
		GeneratorBusy: min(.95, .1+rate/60000),
	}
	w.Met = w.Load.Latency.P99 <= 50*time.Millisecond && rate < capacity*1.02
	if rate > capacity {
		late := uint64(rate*10) / 900
		w.Load.Failures = map[showdown.Failure]uint64{showdown.FailTimeout: late, showdown.FailReset: late / 7}
		w.Load.OK -= w.Load.Failed()
	}
	if kind == showdown.AtCapacity || kind == showdown.AtCommon {
		w.Histo, _ = h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	}
	return w
}

// many are n invented backends, some with long names.
func many(n int) []model {
	backends := slices.Clone(models)
	for i := len(models); i < n; i++ {
		m := models[i%len(models)]
		m.name = fmt.Sprintf("%s-%s", []string{"actix", "spring-boot-virtual-threads", "django", "phoenix", "laravel-octane", "aspnet"}[i%6], m.language)
		m.capacity *= 1.07 - .05*float64(i%3)
		m.idle *= 1.02
		backends = append(backends, m)
	}
	return backends[:n]
}
