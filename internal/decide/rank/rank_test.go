package rank

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/backend-showdown/showdown/internal/decide/stats"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// play is a contender's block bouts with these capacities, from block 1 on; a
// negative one stands for a block that it did not play.
func play(name string, capacities ...showdown.Rate) (bouts []showdown.Bout) {
	for i, c := range capacities {
		if c >= 0 {
			bouts = append(bouts, showdown.Bout{Contender: name, Phase: showdown.Block, Block: i + 1, Capacity: c, Ready: time.Second})
		}
	}
	return bouts
}

// noisy is around a capacity with a noise of mean zero on its logarithm, in five blocks.
func noisy(capacity, noise float64, pattern [5]float64) (capacities []showdown.Rate) {
	for _, p := range pattern {
		capacities = append(capacities, showdown.Rate(capacity*math.Exp(noise*p)))
	}
	return capacities
}

// Noises that have nothing in common.
var (
	noiseA = [5]float64{1, -1, 1, -1, 0}
	noiseB = [5]float64{1, 1, -1, -1, 0}
	noiseC = [5]float64{1, -1, -1, 1, 0}
	noiseD = [5]float64{-1, 2, -1, -1, 1}
)

// near lets figures differ by a share of them.
func near(share float64) cmp.Option {
	rates := cmp.Comparer(func(a, b showdown.Rate) bool { return math.Abs(float64(a-b)) <= share*float64(max(a, b)) })
	return cmp.Options{cmpopts.EquateApprox(share, 0), rates}
}

type place struct {
	Name        string
	First, Last int
	Unranked    string
}

func wantPlaces(t *testing.T, r Ranking, want ...place) {
	t.Helper()
	var got []place
	for _, s := range r.Standings {
		got = append(got, place{s.Contender, s.First, s.Last, s.Unranked})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
}

func TestClearGapsAreSeparated(t *testing.T) {
	r := Rank([]string{"slow", "fast", "middle"}, slices.Concat(
		play("slow", noisy(1000, .02, noiseA)...), play("fast", noisy(1690, .02, noiseB)...), play("middle", noisy(1300, .02, noiseC)...),
	))
	wantPlaces(t, r, place{"fast", 1, 1, ""}, place{"middle", 2, 2, ""}, place{"slow", 3, 3, ""})
	if r.Blocks != 5 || !r.Decided || len(r.Pairs) != 3 {
		t.Errorf("%d blocks, decided %v, %d pairs, want 5, true, 3", r.Blocks, r.Decided, len(r.Pairs))
	}
	for _, pair := range [][2]string{{"fast", "middle"}, {"fast", "slow"}, {"middle", "slow"}} {
		p := r.Pair(pair[1], pair[0])
		if p == nil || p != r.Pair(pair[0], pair[1]) {
			t.Fatalf("no pair of %v, or two", pair)
		}
		if p.A != pair[0] || p.B != pair[1] || p.Verdict != Faster || p.HolmP >= Level || p.HolmP < p.Result.P || p.Result.Ratio.Lo <= 1 || p.Result.Ratio.N != 5 {
			t.Errorf("%v came out as %+v", pair, *p)
		}
	}
	if c := r.Standings[0].Capacity; math.Abs(c.Mid-1690) > 1e-6 || c.Lo >= c.Mid || c.Hi <= c.Mid || c.N != 5 {
		t.Errorf("capacity of the fastest is %+v", c)
	}
}

func TestIdenticalStacksStayTied(t *testing.T) {
	r := Rank([]string{"a", "b", "c"}, slices.Concat(play("a", 10, 11, 12, 11, 10), play("b", 10, 11, 12, 11, 10), play("c", 10, 11, 12, 11, 10)))
	wantPlaces(t, r, place{"a", 1, 3, ""}, place{"b", 1, 3, ""}, place{"c", 1, 3, ""})
	for _, p := range r.Pairs {
		if p.Verdict != NotSeparated || p.HolmP != 1 || p.Result.Ratio.Mid != 1 {
			t.Errorf("pair of the same: %+v", p)
		}
	}
	if r.Decided {
		t.Error("something was decided between the same")
	}
}

func TestATieShowsInRanks(t *testing.T) {
	r := Rank([]string{"d", "b", "c", "a"}, slices.Concat(
		play("a", noisy(2000, .02, noiseA)...), play("b", noisy(1005, .02, noiseB)...),
		play("c", noisy(1000, .02, noiseC)...), play("d", noisy(500, .02, noiseD)...),
	))
	wantPlaces(t, r, place{"a", 1, 1, ""}, place{"b", 2, 3, ""}, place{"c", 2, 3, ""}, place{"d", 4, 4, ""})
}

// "Not separated" is not transitive: the first beats the last, the middle beats nobody.
func TestOverlappingTies(t *testing.T) {
	r := Rank([]string{"c", "b", "a"}, slices.Concat(
		play("a", noisy(1100, .03, noiseA)...), play("b", noisy(1049, .03, noiseB)...), play("c", noisy(1000, .03, noiseC)...),
	))
	wantPlaces(t, r, place{"a", 1, 2, ""}, place{"b", 1, 3, ""}, place{"c", 2, 3, ""})
}

// What a pair shows on its own is not enough among many pairs.
func TestManyPairsNeedMoreEvidence(t *testing.T) {
	a, b := play("a", noisy(1060, .03, noiseA)...), play("b", noisy(1000, .03, noiseB)...)
	alone := Rank([]string{"a", "b"}, slices.Concat(a, b)).Pairs[0]
	c, d := play("c", noisy(1030, .03, noiseC)...), play("d", noisy(1030, .03, noiseD)...)
	r := Rank([]string{"a", "b", "c", "d"}, slices.Concat(a, b, c, d))
	among := r.Pair("a", "b")
	if alone.Verdict != Faster || among.Verdict != NotSeparated || among.Result != alone.Result {
		t.Errorf("alone %+v, among six pairs %+v", alone, *among)
	}
	if want := "a and b are not separated: 1.01–1.12× alone, but chance among all pairs could explain it"; among.Sentence() != want {
		t.Errorf("sentence %q, want %q", among.Sentence(), want)
	}
}

func TestOneBlockDecidesNothing(t *testing.T) {
	r := Rank([]string{"a", "b", "c"}, slices.Concat(play("a", 100), play("b", 5000), play("c", 1)))
	wantPlaces(t, r, place{"b", 1, 3, ""}, place{"a", 1, 3, ""}, place{"c", 1, 3, ""})
	if r.Decided || r.Blocks != 1 {
		t.Errorf("decided %v on %d blocks", r.Decided, r.Blocks)
	}
	for _, s := range r.Standings {
		if s.Capacity.Known() || s.Capacity.Lo != s.Capacity.Mid || s.Capacity.Hi != s.Capacity.Mid {
			t.Errorf("%s has limits after one block: %+v", s.Contender, s.Capacity)
		}
	}
	if p := r.Pair("a", "b"); p.Result.Ratio.Known() || p.HolmP != 1 || p.A != "b" {
		t.Errorf("pair after one block: %+v", *p)
	}
}

func TestWhoIsNotRanked(t *testing.T) {
	failure := &showdown.BoutFailure{Reason: "no answer to /healthz"}
	for _, c := range []struct {
		name  string
		bouts []showdown.Bout
		want  string
	}{
		{"no bout", nil, "no finished bout"},
		{"only a scout", []showdown.Bout{{Phase: showdown.Scout, Capacity: 100}}, "no finished bout"},
		{"failed as a scout", []showdown.Bout{{Phase: showdown.Scout, Failure: failure}}, failure.Reason},
		{"failed in a block", append(play("", 2000, 2000), showdown.Bout{Phase: showdown.Block, Block: 3, Failure: failure}), failure.Reason},
		{"failed first, then did well", append([]showdown.Bout{{Phase: showdown.Block, Block: 1, Failure: failure}}, play("", -1, 2000)...), failure.Reason},
		{"no capacity as a scout", []showdown.Bout{{Phase: showdown.Scout}}, "no rate met the objective"},
		{"no capacity in one block of three", play("", 2000, 0, 2000), "no rate met the objective"},
		{"failure and no capacity", append(play("", 0), showdown.Bout{Phase: showdown.Block, Block: 2, Failure: failure}), failure.Reason},
	} {
		for i := range c.bouts {
			c.bouts[i].Contender = "x"
		}
		r := Rank([]string{"x", "b", "a"}, slices.Concat(c.bouts, play("a", noisy(900, .01, noiseA)...), play("b", noisy(500, .01, noiseB)...)))
		t.Run(c.name, func(t *testing.T) {
			wantPlaces(t, r, place{"a", 1, 1, ""}, place{"b", 2, 2, ""}, place{"x", 0, 0, c.want})
			if len(r.Pairs) != 1 || r.Pair("a", "x") != nil {
				t.Errorf("pairs %+v, want one of a and b", r.Pairs)
			}
			if last := r.Standings[2]; last.Ranked() {
				t.Error("Ranked says otherwise")
			}
		})
	}
}

func TestNobodyIsRanked(t *testing.T) {
	r := Rank([]string{"a", "b"}, nil)
	wantPlaces(t, r, place{"a", 0, 0, "no finished bout"}, place{"b", 0, 0, "no finished bout"})
	if r := Rank(nil, play("a", 1, 2)); len(r.Standings) != 0 || len(r.Pairs) != 0 || r.Decided {
		t.Errorf("a ranking without contenders: %+v", r)
	}
}

func TestBoutsOfStrangersDoNotCount(t *testing.T) {
	bouts := slices.Concat(play("a", 10, 10), play("b", 10, 10))
	if diff := cmp.Diff(Rank([]string{"a", "b"}, bouts), Rank([]string{"a", "b"}, append(bouts, play("z", 99, 99)...))); diff != "" {
		t.Error(diff)
	}
}

func TestAnUnfinishedRunComparesCommonBlocks(t *testing.T) {
	r := Rank([]string{"a", "b", "c"}, slices.Concat(play("a", 100, 110, 120, 4000), play("b", 50, -1, 60), play("c", 90, 100, 100)))
	for _, c := range []struct {
		x, y   string
		blocks int
		ratio  float64
	}{
		{"a", "b", 2, 2},
		{"b", "c", 2, math.Sqrt(90.0 / 50 * 100 / 60)},
		{"a", "c", 3, math.Cbrt(100.0 / 90 * 110 / 100 * 120 / 100)},
	} {
		if p := r.Pair(c.x, c.y); p == nil || p.Result.Ratio.N != c.blocks || math.Abs(p.Result.Ratio.Mid-c.ratio) > 1e-9 {
			t.Errorf("%s and %s: %+v, want ratio %v of %d blocks", c.x, c.y, p, c.ratio, c.blocks)
		}
	}
	if r.Blocks != 4 {
		t.Errorf("%d blocks, want the 4 of a", r.Blocks)
	}
	if n := r.Standings[0].Capacity.N; r.Standings[0].Contender != "a" || n != 4 {
		t.Errorf("the capacity of %s rests on %d blocks, want a on all its 4", r.Standings[0].Contender, n)
	}
}

func TestContendersThatNeverMetAreTied(t *testing.T) {
	r := Rank([]string{"a", "b"}, slices.Concat(play("a", 10, -1, 10), play("b", -1, 999)))
	wantPlaces(t, r, place{"b", 1, 2, ""}, place{"a", 1, 2, ""})
	if len(r.Pairs) != 0 || r.Decided || r.Pair("a", "b") != nil {
		t.Errorf("pairs %+v, decided %v", r.Pairs, r.Decided)
	}
}

func TestCostsOfWindows(t *testing.T) {
	ms := time.Millisecond
	window := func(kind showdown.WindowKind, p50, cpu time.Duration, ok, reset uint64, memory showdown.Bytes) showdown.Window {
		w := showdown.Window{Kind: kind, Offered: showdown.Rate(ok), Load: showdown.Load{
			Due: ok + reset, OK: ok, Verified: ok / 10, Latency: showdown.Latency{P50: p50, P90: 2 * p50, P99: 3 * p50, P999: 4 * p50, Max: 5 * p50},
		}, Cost: showdown.Cost{CPU: cpu, MemoryMean: memory, MemoryPeak: 2 * memory, MemoryKind: "PSS"}}
		if reset > 0 {
			w.Load.Failures = map[showdown.Failure]uint64{showdown.FailReset: reset}
		}
		return w
	}
	bouts := play("a", 100, 100, 100)
	bouts[0].Windows = []showdown.Window{
		window(showdown.Warmup, 900*ms, time.Hour, 9, 9, 1<<40), window(showdown.Probe, 900*ms, time.Hour, 9, 9, 1<<40),
		window(showdown.AtCommon, ms, 100*ms, 100, 2, 100), window(showdown.AtCapacity, 7*ms, 0, 10, 0, 7),
	}
	bouts[1].Windows = []showdown.Window{window(showdown.AtCommon, 4*ms, 1600*ms, 400, 0, 400)}
	bouts[2].Windows = []showdown.Window{window(showdown.AtCommon, 0, 0, 0, 5, 0)} // nothing could be measured
	bouts = append(bouts, showdown.Bout{Contender: "a", Phase: showdown.Scout, Capacity: 1, Windows: []showdown.Window{window(showdown.AtCommon, time.Hour, time.Hour, 1, 1, 1<<40)}})
	s := Rank([]string{"a"}, bouts).Standings[0]
	for what, c := range map[string]struct {
		got  stats.Interval
		want float64
	}{
		"p50":  {s.Common.P50, 0.002},
		"p90":  {s.Common.P90, 0.004},
		"p99":  {s.Common.P99, 0.006},
		"p999": {s.Common.P999, 0.008},
		"cpu":  {s.Common.CPUPerRequest, 0.002},
		"mean": {s.Common.MemoryMean, 200},
	} {
		if c.got.N != 2 || math.Abs(c.got.Mid/c.want-1) > 1e-9 {
			t.Errorf("%s is %+v, want %v of the two windows in which it could be measured", what, c.got, c.want)
		}
	}
	s.Common.P50, s.Common.P90, s.Common.P99, s.Common.P999, s.Common.CPUPerRequest, s.Common.MemoryMean = stats.Interval{}, stats.Interval{}, stats.Interval{}, stats.Interval{}, stats.Interval{}, stats.Interval{}
	want := Costs{Rate: 500.0 / 3, MemoryPeak: 800, MemoryKind: "PSS", Max: 0.020, Requests: 507, Failed: 7, Verified: 50, ErrorKinds: map[string]int64{"reset": 7}}
	if diff := cmp.Diff(want, s.Common, near(1e-12)); diff != "" {
		t.Errorf("at the common rate (-want +got):\n%s", diff)
	}
	if l := s.Loaded; l.Requests != 10 || l.P50.N != 1 || l.CPUPerRequest != (stats.Interval{}) {
		t.Errorf("at capacity: %+v", l)
	}
	if s.Ready.N != 3 || math.Abs(s.Ready.Mid-1) > 1e-12 {
		t.Errorf("ready after %+v, want 1 s of three blocks", s.Ready)
	}
}

// randomRun draws bouts of up to five contenders with anything that a bout may hold.
func randomRun(rng *rand.Rand) (names []string, bouts []showdown.Bout) {
	between := func(lo, hi float64) float64 { // or zero
		if rng.IntN(8) == 0 {
			return 0
		}
		return math.Exp(math.Log(lo) + rng.Float64()*math.Log(hi/lo))
	}
	duration := func() time.Duration { return time.Duration(between(1, 3.6e12)) }
	names = []string{"a", "b", "c", "d", "e"}[:1+rng.IntN(5)]
	for _, name := range names {
		for block := range rng.IntN(6) {
			b := showdown.Bout{Contender: name, Phase: showdown.Block, Block: block, Capacity: showdown.Rate(between(0.001, 1e9)), Ready: duration()}
			if block == 0 {
				b.Phase = showdown.Scout
			}
			if rng.IntN(30) == 0 {
				b.Failure = &showdown.BoutFailure{Reason: "x"}
			}
			for range rng.IntN(4) {
				w := showdown.Window{Kind: []showdown.WindowKind{showdown.Warmup, showdown.Probe, showdown.AtCapacity, showdown.AtCommon}[rng.IntN(4)], Offered: showdown.Rate(between(0.001, 1e9))}
				w.Load = showdown.Load{Due: uint64(between(1, 1e12)), OK: uint64(between(1, 1e12)), Latency: showdown.Latency{P50: duration(), P90: duration(), P99: duration(), P999: duration(), Max: duration()}}
				w.Cost = showdown.Cost{CPU: duration(), MemoryMean: showdown.Bytes(between(1, 1e13)), MemoryPeak: showdown.Bytes(between(1, 1e13))}
				b.Windows = append(b.Windows, w)
			}
			bouts = append(bouts, b)
		}
	}
	return names, bouts
}

// JSON has no NaN and no infinity.
func TestEveryRankingCanBeWrittenAsJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range 3000 {
		if _, err := json.Marshal(Rank(randomRun(rng))); err != nil {
			t.Fatalf("random run %d: %v", i, err)
		}
	}
}

func TestReadyAtOnceCanBeWrittenAsJSON(t *testing.T) {
	bouts := play("a", 10, 10)
	for i := range bouts {
		bouts[i].Ready = 0
	}
	if _, err := json.Marshal(Rank([]string{"a"}, bouts)); err != nil {
		t.Error(err)
	}
}

func TestEveryRankingIsConsistent(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		names, bouts := randomRun(rng)
		r := Rank(names, bouts)
		ranked := 0
		for i, s := range r.Standings {
			if !s.Ranked() {
				if s.First != 0 || s.Last != 0 {
					t.Fatalf("unranked, but with ranks: %+v", s)
				}
				continue
			}
			if i != ranked {
				t.Fatalf("%s is ranked but stands behind one that is not", s.Contender)
			}
			ranked++
		}
		beaten := map[string][]string{}
		for _, p := range r.Pairs {
			if p.Result.Ratio.Mid < 1 || p.HolmP < p.Result.P {
				t.Fatalf("pair %+v", p)
			}
			if p.Verdict == Faster {
				beaten[p.B] = append(beaten[p.B], p.A)
			}
		}
		for _, s := range r.Standings[:ranked] {
			if s.First != 1+len(beaten[s.Contender]) || s.Last < s.First || s.Last > ranked {
				t.Fatalf("%s has ranks %d–%d of %d, beaten by %v", s.Contender, s.First, s.Last, ranked, beaten[s.Contender])
			}
		}
		if len(r.Standings) != len(names) || r.Decided != (len(beaten) > 0) {
			t.Fatalf("%d standings of %d contenders, decided %v", len(r.Standings), len(names), r.Decided)
		}
	}
}

// The order of the bouts does not matter to anyone who is ranked, but for the last
// digit of means. It does to one that is not: what it did after a block without
// capacity is not counted.
func TestShuffledBoutsGiveTheSameRanking(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		names, bouts := randomRun(rng)
		bouts = slices.DeleteFunc(bouts, func(b showdown.Bout) bool { return b.Failure != nil || b.Capacity == 0 || b.Ready == 0 })
		want := Rank(names, bouts)
		rng.Shuffle(len(bouts), func(i, j int) { bouts[i], bouts[j] = bouts[j], bouts[i] })
		if diff := cmp.Diff(want, Rank(names, bouts), near(1e-9)); diff != "" {
			t.Fatalf("order matters (-before +after):\n%s", diff)
		}
	}
}

func TestSentence(t *testing.T) {
	interval := func(lo, mid, hi float64, n int) stats.Comparison {
		return stats.Comparison{Ratio: stats.Interval{Lo: lo, Mid: mid, Hi: hi, N: n}}
	}
	for _, c := range []struct {
		name    string
		result  stats.Comparison
		verdict Verdict
		want    string
	}{
		{"faster", interval(1.41, 1.5, 1.6, 5), Faster, "axum serves 1.4–1.6× as much as gin"},
		{"faster by little", interval(1.012, 1.02, 1.038, 5), Faster, "axum serves 1.01–1.04× as much as gin"},
		{"no end reads as one", interval(1.04, 1.2, 1.38, 5), Faster, "axum serves 1.04–1.38× as much as gin"},
		{"much faster", interval(9.96, 11, 12.3, 5), Faster, "axum serves 10.0–12.3× as much as gin"},
		{"not separated", interval(0.81, 1.1, 1.5, 5), NotSeparated, "axum and gin are not separated (0.8–1.5×)"},
		{"not separated, nearly the same", interval(0.98, 1.01, 1.04, 5), NotSeparated, "axum and gin are not separated (0.98–1.04×)"},
		{"interval excludes one", interval(1.1, 1.5, 2.1, 5), NotSeparated, "axum and gin are not separated: 1.1–2.1× alone, but chance among all pairs could explain it"},
		{"interval begins with one", interval(1, 1.5, 2.1, 5), NotSeparated, "axum and gin are not separated (1.0–2.1×)"},
		{"one block", interval(3, 3, 3, 1), NotSeparated, "axum and gin are not separated: one block tells nothing about chance"},
	} {
		p := Pair{A: "axum", B: "gin", Result: c.result, Verdict: c.verdict}
		if got := p.Sentence(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSentenceHasDigitsEnough(t *testing.T) {
	p := Pair{A: "axum", B: "gin", Result: stats.Comparison{Ratio: stats.Interval{Lo: 1.001, Mid: 1.002, Hi: 1.003, N: 5}}, Verdict: Faster}
	if got, want := p.Sentence(), "axum serves 1.001–1.003× as much as gin"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
