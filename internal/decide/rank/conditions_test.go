package rank

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/backend-showdown/showdown/internal/showdown"
)

func TestExamine(t *testing.T) {
	window := func(kind showdown.WindowKind, busy, steal, foreign float64, lag time.Duration, verified, wrong uint64) showdown.Window {
		return showdown.Window{
			Kind: kind, GeneratorBusy: busy, Climate: showdown.Climate{Steal: steal, Foreign: foreign},
			Load: showdown.Load{LagP99: lag, Verified: verified, Failures: map[showdown.Failure]uint64{showdown.FailBody: wrong, showdown.FailReset: 5}},
		}
	}
	warn := func(kind showdown.WarningKind, text string) showdown.Warning {
		return showdown.Warning{Kind: kind, Text: text}
	}
	got := Examine([]showdown.Bout{
		{
			Contender: "a", Phase: showdown.Scout,
			Windows:  []showdown.Window{window(showdown.Warmup, 9, 9, 9, 9*time.Second, 1, 0), window(showdown.Probe, 9, 9, 9, 9*time.Second, 2, 1)},
			Warnings: []showdown.Warning{warn(showdown.WarnWildcard, "a listens")},
		},
		{
			Contender: "a", Phase: showdown.Block, Block: 1,
			Windows:  []showdown.Window{window(showdown.AtCapacity, .5, .02, .1, 3*time.Millisecond, 4, 0), window(showdown.AtCommon, .2, .04, .3, time.Millisecond, 8, 0)},
			Warnings: []showdown.Warning{warn(showdown.WarnSteal, "first"), warn(showdown.WarnLag, "late")},
		},
		{
			Contender: "b", Phase: showdown.Block, Block: 1,
			Windows:  []showdown.Window{window(showdown.AtCommon, .1, 0, .2, 2*time.Millisecond, 16, 2)},
			Warnings: []showdown.Warning{warn(showdown.WarnSteal, "second"), warn(showdown.WarnSteal, "third")},
		},
		{Contender: "c", Phase: showdown.Block, Block: 1, Failure: &showdown.BoutFailure{Reason: "x"}, Warnings: []showdown.Warning{warn(showdown.WarnNoCapacity, "c stays")}},
	})
	want := Conditions{
		GeneratorBusy: .5, LagP99: 3 * time.Millisecond, Steal: .04, StealMean: .02, Foreign: .3,
		Windows: 3, Verified: 31, Wrong: 3, Bouts: 4, Failed: 1,
		Doubts: []Doubt{
			{showdown.WarnSteal, 3, "first", []string{"a", "b"}},
			{showdown.WarnLag, 1, "late", []string{"a"}},
			{showdown.WarnWildcard, 1, "a listens", []string{"a"}},
			{showdown.WarnNoCapacity, 1, "c stays", []string{"c"}},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(1e-12, 0)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

func TestExamineNothing(t *testing.T) {
	if diff := cmp.Diff(Conditions{}, Examine(nil)); diff != "" {
		t.Error(diff)
	}
}

func TestDoubted(t *testing.T) {
	c := Examine([]showdown.Bout{{Warnings: []showdown.Warning{{Kind: showdown.WarnSteal}, {Kind: showdown.WarnLag}}}})
	for _, d := range []struct {
		kinds []showdown.WarningKind
		want  bool
	}{
		{nil, false},
		{[]showdown.WarningKind{showdown.WarnLag}, true},
		{[]showdown.WarningKind{showdown.WarnForeign}, false},
		{[]showdown.WarningKind{showdown.WarnForeign, showdown.WarnSteal}, true},
	} {
		if got := c.Doubted(d.kinds...); got != d.want {
			t.Errorf("Doubted(%v) = %v", d.kinds, got)
		}
	}
}
