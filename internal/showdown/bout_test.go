package showdown

import (
	"slices"
	"testing"
)

func TestWindowFindsTheLastOfItsKind(t *testing.T) {
	b := Bout{Windows: []Window{
		{Kind: Warmup, Offered: 1},
		{Kind: Probe, Offered: 2},
		{Kind: Probe, Offered: 3},
		{Kind: AtCapacity, Offered: 4},
	}}
	for kind, want := range map[WindowKind]Rate{Warmup: 1, Probe: 3, AtCapacity: 4} {
		if w := b.Window(kind); w == nil || w.Offered != want {
			t.Errorf("window %q is %+v, want the one at %v", kind, w, want)
		}
	}
	if w := b.Window(AtCommon); w != nil {
		t.Errorf("found %+v where there is none", w)
	}
	if w := new(Bout).Window(Probe); w != nil {
		t.Errorf("found %+v in an empty bout", w)
	}
	if b.Window(Probe).Met = true; !b.Windows[2].Met {
		t.Error("Window gave a copy")
	}
}

func TestErrorRateIsOfAllDue(t *testing.T) {
	for _, c := range []struct {
		name   string
		load   Load
		failed uint64
		rate   float64
	}{
		{"nothing due", Load{}, 0, 0},
		{"failures of nothing", Load{Failures: map[Failure]uint64{FailReset: 2}}, 2, 0},
		{"all good", Load{Due: 10, Sent: 10, OK: 10}, 0, 0},
		{"of several kinds, unsent too", Load{Due: 200, Sent: 190, OK: 150, Failures: map[Failure]uint64{FailTimeout: 30, FailUnsent: 10, FailBody: 10}}, 50, 0.25},
		{"all failed", Load{Due: 4, Failures: map[Failure]uint64{FailRefused: 4}}, 4, 1},
	} {
		if got := c.load.Failed(); got != c.failed {
			t.Errorf("%s: %d failed, want %d", c.name, got, c.failed)
		}
		if got := c.load.ErrorRate(); got != c.rate {
			t.Errorf("%s: error rate %v, want %v", c.name, got, c.rate)
		}
	}
}

func TestFailuresListsEachOnce(t *testing.T) {
	want := []Failure{"connect", "refused", "reset", "timeout", "protocol", "4xx", "5xx", "status", "body", "unsent"}
	if !slices.Equal(Failures, want) {
		t.Errorf("failures %v, want %v", Failures, want)
	}
}
