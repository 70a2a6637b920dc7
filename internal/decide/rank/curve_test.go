package rank

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// histogram has n latencies that rise evenly to longest.
func histogram(t *testing.T, n int, longest time.Duration) []byte {
	t.Helper()
	h := hdrhistogram.New(1, int64(time.Minute), 3)
	for i := range n {
		if err := h.RecordValue(int64(longest) * int64(i+1) / int64(n)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func measured(name string, block int, histo []byte) showdown.Bout {
	return showdown.Bout{Contender: name, Phase: showdown.Block, Block: block, Capacity: 1, Windows: []showdown.Window{
		{Kind: showdown.AtCapacity, Histo: []byte("not looked at")}, {Kind: showdown.AtCommon, Histo: histo},
	}}
}

func TestCurvesAreMeansOverBlocks(t *testing.T) {
	scout := measured("a", 0, histogram(t, 5000, time.Minute))
	scout.Phase = showdown.Scout
	curves, err := Curves([]string{"b", "a", "never measured"}, []showdown.Bout{
		scout, measured("a", 1, histogram(t, 1005, 10*time.Millisecond)), measured("b", 1, histogram(t, 101, time.Second)), measured("a", 2, histogram(t, 1005, 40*time.Millisecond)),
		{Contender: "a", Phase: showdown.Block, Block: 3, Failure: &showdown.BoutFailure{}},
		measured("b", 3, nil), measured("a stranger", 1, histogram(t, 101, time.Second)),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Curve{
		{"b", []Point{{0, .01}, {.25, .25}, {.5, .5}, {.75, .75}, {.9, .9}}},
		{"a", []Point{{0, .00002}, {.25, .005}, {.5, .01}, {.75, .015}, {.9, .018}, {.95, .019}, {.975, .0195}, {.99, .0198}}},
	}
	if diff := cmp.Diff(want, curves, cmpopts.EquateApprox(0.012, 0)); diff != "" {
		t.Errorf("curves (-want +got):\n%s", diff)
	}
}

func quantilesOf(t *testing.T, requests int) (drawn []float64) {
	t.Helper()
	curves, err := Curves([]string{"a"}, []showdown.Bout{measured("a", 1, histogram(t, requests, time.Second))})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range curves {
		for _, p := range c.Points {
			drawn = append(drawn, p.Quantile)
		}
	}
	return drawn
}

func TestCurvesNeedRequestsBeyond(t *testing.T) {
	for requests, want := range map[int]int{9: 0, 10: 1, 13: 1, 14: 2, 99: 4, 102: 5, 199: 5, 201: 6, 999: 7, 1001: 8, 9_900: 10, 10_100: 11, 99_000: 12, 101_000: 13} {
		if got := quantilesOf(t, requests); !slices.Equal(got, Quantiles[:want]) {
			t.Errorf("%d requests: quantiles %v, want the first %d", requests, got, want)
		}
	}
}

func TestCurvesCountTenBeyondExactly(t *testing.T) {
	for requests, quantile := range map[int]float64{10: 0, 20: .5, 40: .75, 100: .9, 200: .95, 400: .975, 1000: .99, 2000: .995, 4000: .9975, 10_000: .999, 20_000: .9995, 100_000: .9999} {
		if got := quantilesOf(t, requests); !slices.Contains(got, quantile) {
			t.Errorf("ten of %d requests lie beyond %v, which is left out", requests, quantile)
		}
	}
}

func TestCurvesRefuseACorruptHistogram(t *testing.T) {
	whole := histogram(t, 100, time.Second)
	for name, histo := range map[string][]byte{"words": []byte("no histogram"), "cut": whole[:len(whole)/2], "one byte": {0}, "zeros": make([]byte, 64)} {
		curves, err := Curves([]string{"gin"}, []showdown.Bout{measured("gin", 1, whole), measured("gin", 7, histo)})
		if err == nil || !strings.Contains(err.Error(), "gin") || !strings.Contains(err.Error(), "block 7") {
			t.Errorf("%s: %v, error %v, want one that names gin and block 7", name, curves, err)
		}
	}
}

func TestSweeps(t *testing.T) {
	window := func(kind showdown.WindowKind, offered showdown.Rate, ok uint64, aborted bool) showdown.Window {
		return showdown.Window{Kind: kind, Offered: offered, Met: offered < 300, Load: showdown.Load{
			OK: ok, Aborted: aborted, Latency: showdown.Latency{P50: time.Duration(offered) * time.Millisecond, P99: time.Duration(offered) * time.Second},
		}}
	}
	bout := func(name string, phase showdown.Phase, block int, windows ...showdown.Window) showdown.Bout {
		return showdown.Bout{Contender: name, Phase: phase, Block: block, Windows: windows}
	}
	got := Sweeps([]string{"b", "a", "c"}, []showdown.Bout{
		bout("a", showdown.Scout, 0, window(showdown.Probe, 1, 1, false)),
		bout("a", showdown.Block, 2,
			window(showdown.Warmup, 50, 9, false), window(showdown.Probe, 400, 9, false), window(showdown.Probe, 500, 9, true),
			window(showdown.Probe, 600, 0, false), window(showdown.AtCapacity, 200, 9, false), window(showdown.AtCommon, 100, 9, false)),
		bout("a", showdown.Block, 1, window(showdown.Probe, 200, 9, false)),
		bout("b", showdown.Block, 1, window(showdown.AtCommon, 100, 9, false)),
		bout("c", showdown.Block, 1, window(showdown.Warmup, 100, 9, false), window(showdown.Probe, 100, 9, true)),
		bout("z", showdown.Block, 1, window(showdown.AtCommon, 100, 9, false)),
	})
	step := func(offered showdown.Rate, met bool, block int) Step {
		return Step{Offered: offered, P50: float64(offered) / 1000, P99: float64(offered), Met: met, Block: block}
	}
	want := []Sweep{
		{"b", []Step{step(100, true, 1)}},
		{"a", []Step{step(100, true, 2), step(200, true, 2), step(200, true, 1), step(400, false, 2)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sweeps (-want +got):\n%s", diff)
	}
}
