package schedule

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backend-showdown/showdown/internal/arena/bout"
	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// played is an order with the contender's name in place of the contender.
type played struct {
	Name          string
	Phase         showdown.Phase
	Block, Slot   int
	Guess, Common showdown.Rate
}

// told is what Next heard.
type told struct {
	Left int
	ETA  time.Duration
}

// fake plays bouts without playing them.
type fake struct {
	Run
	capacity map[string]showdown.Rate // that a scout finds
	fails    map[played]bool          // by name, phase and block
	took     time.Duration
	stopAt   int // cancels in the bout after so many commits; negative: never
	cancel   context.CancelFunc
	played   []played
	told     []told
	done     []showdown.Bout
}

func newFake(blocks int, seed uint64, capacity map[string]showdown.Rate) *fake {
	f := &fake{capacity: capacity, fails: map[played]bool{}, stopAt: -1}
	f.Plan = showdown.Plan{Blocks: blocks, Seed: seed, Timing: showdown.Timing{Warmup: time.Second, Probe: time.Second, Measure: time.Second}}
	names := make([]string, 0, len(capacity))
	for name := range capacity {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f.Contenders = append(f.Contenders, &contender.Prepared{Manifest: &contender.Manifest{Name: name}})
	}
	f.Play = f.playOne
	f.Commit = func(b showdown.Bout) error {
		f.done = append(f.done, b)
		return nil
	}
	f.Next = func(_ bout.Order, left int, eta time.Duration) { f.told = append(f.told, told{left, eta}) }
	return f
}

func (f *fake) playOne(ctx context.Context, o bout.Order) (showdown.Bout, error) {
	name := o.Contender.Manifest.Name
	if len(f.done) == f.stopAt {
		f.cancel()
		return showdown.Bout{Contender: name, Phase: o.Phase, Block: o.Block}, ctx.Err()
	}
	f.played = append(f.played, played{name, o.Phase, o.Block, o.Slot, o.Guess, o.Common})
	b := showdown.Bout{Contender: name, Phase: o.Phase, Block: o.Block, Slot: o.Slot, Capacity: f.capacity[name], Took: f.took}
	if f.fails[played{Name: name, Phase: o.Phase, Block: o.Block}] {
		b.Failure = &showdown.BoutFailure{Reason: "told to"}
	}
	return b, nil
}

func (f *fake) play(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f.cancel = cancel
	switch err := f.Continue(ctx, slices.Clone(f.done)); {
	case f.stopAt < 0 && err != nil:
		t.Fatal(err)
	case f.stopAt >= 0 && !errors.Is(err, context.Canceled):
		t.Fatalf("error %v of an interrupted run, want that it was cancelled", err)
	}
}

// names are the contenders of a block, in the order of playing.
func (f *fake) names(phase showdown.Phase, block int) (names string) {
	for _, p := range f.played {
		if p.Phase == phase && p.Block == block {
			names += p.Name
		}
	}
	return names
}

func four() map[string]showdown.Rate {
	return map[string]showdown.Rate{"a": 4000, "b": 1234, "c": 90_000, "d": 2000}
}

func sorted(s string) string {
	letters := strings.Split(s, "")
	slices.Sort(letters)
	return strings.Join(letters, "")
}

func TestEveryContenderPlaysOncePerBlock(t *testing.T) {
	f := newFake(8, 1, four())
	f.play(t)
	if len(f.played) != 4*9 || len(f.done) != 4*9 {
		t.Fatalf("%d bouts played and %d stored, want 36", len(f.played), len(f.done))
	}
	for i, p := range f.played {
		if want := i / 4; p.Block != want || (p.Phase == showdown.Scout) != (want == 0) {
			t.Errorf("bout %d is of phase %s, block %d; want block %d", i, p.Phase, p.Block, want)
		}
		if p.Block > 0 && p.Slot != i%4 {
			t.Errorf("bout %d has slot %d", i, p.Slot)
		}
	}
	orders := map[string]bool{}
	for block := 1; block <= 8; block++ {
		names := f.names(showdown.Block, block)
		if sorted(names) != "abcd" {
			t.Errorf("block %d is played by %q", block, names)
		}
		orders[names] = true
	}
	if len(orders) < 4 {
		t.Errorf("eight blocks have only %d orders", len(orders))
	}
	if names := f.names(showdown.Scout, 0); sorted(names) != "abcd" {
		t.Errorf("scouts are played by %q", names)
	}
}

func TestTheOrderIsTheSeeds(t *testing.T) {
	one, same, other := newFake(6, 42, four()), newFake(6, 42, four()), newFake(6, 43, four())
	for _, f := range []*fake{one, same, other} {
		f.play(t)
	}
	if !slices.Equal(one.played, same.played) {
		t.Error("the same seed gave another order")
	}
	if slices.Equal(one.played, other.played) {
		t.Error("another seed gave the same order")
	}
}

// Whoever always came first would always meet the same machine.
func TestEverySlotIsAsLikely(t *testing.T) {
	const blocks = 4000
	f := newFake(0, 7, four())
	count := map[string]int{}
	for block := range blocks {
		for slot, c := range f.order(block) {
			count[c.Manifest.Name+string(rune('0'+slot))]++
		}
	}
	for where, n := range count {
		if off := math.Abs(float64(n)-blocks/4) / math.Sqrt(blocks*3/16.0); off > 4 {
			t.Errorf("contender and slot %s meet %d times in %d blocks, %.1f standard deviations off", where, n, blocks, off)
		}
	}
	if len(count) != 16 {
		t.Errorf("%d pairs of contender and slot, want 16", len(count))
	}
}

func TestResumeAfterAnyBoutPlaysWhatIsMissing(t *testing.T) {
	scenes := map[string]func(*fake){
		"all well":         func(*fake) {},
		"a scout fails":    func(f *fake) { f.fails[played{Name: "b", Phase: showdown.Scout}] = true },
		"no capacity":      func(f *fake) { f.capacity["b"] = 0 },
		"a fast one fails": func(f *fake) { f.fails[played{Name: "c", Phase: showdown.Block, Block: 2}] = true },
	}
	for name, set := range scenes {
		t.Run(name, func(t *testing.T) { resumeEverywhere(t, set) })
	}
}

// The rate that all are measured at must not change when the contender that it
// comes from fails later.
func TestResumeAfterTheSlowestFailedKeepsTheCommonRate(t *testing.T) {
	resumeEverywhere(t, func(f *fake) { f.fails[played{Name: "b", Phase: showdown.Block, Block: 1}] = true })
}

func resumeEverywhere(t *testing.T, set func(*fake)) {
	t.Helper()
	whole := newFake(3, 5, four())
	set(whole)
	whole.play(t)
	for n := range whole.played {
		f := newFake(3, 5, four())
		set(f)
		f.stopAt = n
		f.play(t)
		if len(f.done) != n {
			t.Fatalf("%d bouts stored at an interruption after %d", len(f.done), n)
		}
		f.stopAt = -1
		f.play(t)
		if diff := cmp.Diff(whole.played, f.played); diff != "" {
			t.Errorf("interrupted after %d bouts (-uninterrupted +resumed):\n%s", n, diff)
			return
		}
	}
}

func TestInterruptedTwice(t *testing.T) {
	whole, f := newFake(3, 5, four()), newFake(3, 5, four())
	whole.play(t)
	for _, f.stopAt = range []int{3, 3, 9, -1} {
		f.play(t)
	}
	if diff := cmp.Diff(whole.played, f.played); diff != "" {
		t.Errorf("bouts (-uninterrupted +resumed):\n%s", diff)
	}
}

func TestNothingIsLeftOfAFinishedRun(t *testing.T) {
	f := newFake(2, 1, four())
	f.play(t)
	n := len(f.played)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Continue(over, f.done); err != nil || len(f.played) != n {
		t.Errorf("%d bouts after the last, error %v", len(f.played)-n, err)
	}
}

func TestACancelledRunPlaysNothing(t *testing.T) {
	f := newFake(2, 1, four())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Continue(over, nil); !errors.Is(err, context.Canceled) || len(f.played) > 0 {
		t.Errorf("%d bouts, error %v", len(f.played), err)
	}
}

func TestWhoIsOutIsNotPlayedAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*fake)
		bouts int // of contender b
	}{
		{"its scout failed", func(f *fake) { f.fails[played{Name: "b", Phase: showdown.Scout}] = true }, 1},
		{"its scout found no capacity", func(f *fake) { f.capacity["b"] = 0 }, 1},
		{"it failed in block 2 of 4", func(f *fake) { f.fails[played{Name: "b", Phase: showdown.Block, Block: 2}] = true }, 3},
		{"it failed in the last block", func(f *fake) { f.fails[played{Name: "b", Phase: showdown.Block, Block: 4}] = true }, 5},
	} {
		f := newFake(4, 3, four())
		c.set(f)
		f.play(t)
		count := map[string]int{}
		for _, p := range f.played {
			count[p.Name]++
		}
		if diff := cmp.Diff(map[string]int{"a": 5, "b": c.bouts, "c": 5, "d": 5}, count); diff != "" {
			t.Errorf("%s: bouts (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestNobodyIsLeft(t *testing.T) {
	f := newFake(4, 3, map[string]showdown.Rate{"a": 0, "b": 0})
	f.play(t)
	if len(f.played) != 2 {
		t.Errorf("%d bouts, want two scouts", len(f.played))
	}
}

func TestOneRateForAll(t *testing.T) {
	for _, c := range []struct {
		name     string
		capacity map[string]showdown.Rate
		want     float64
	}{
		{"rounded down", map[string]showdown.Rate{"a": 1234, "b": 5000, "c": 90_000}, 610},
		{"round already", map[string]showdown.Rate{"a": 100, "b": 2000}, 50},
		{"a power of ten", map[string]showdown.Rate{"a": 2000}, 1000},
		{"just below one", map[string]showdown.Rate{"a": 19_999.9}, 9900},
		{"large", map[string]showdown.Rate{"a": 2_759_999}, 1_300_000},
		{"who is out does not count", map[string]showdown.Rate{"a": 0, "b": 1234}, 610},
		{"alone and slow", map[string]showdown.Rate{"a": 0.39}, 0.19},
	} {
		f := newFake(2, 9, c.capacity)
		f.play(t)
		for _, p := range f.played {
			want, guess := showdown.Rate(c.want), c.capacity[p.Name]
			if p.Phase == showdown.Scout {
				want, guess = 0, 0
			}
			if math.Abs(float64(p.Common-want)) > 1e-9*c.want || p.Guess != guess {
				t.Errorf("%s: %+v, want common rate %v and guess %v", c.name, p, float64(want), float64(guess))
			}
		}
	}
}

func TestTheCommonRateStaysWhenTheSlowestFails(t *testing.T) {
	f := newFake(3, 9, four())
	f.fails[played{Name: "b", Phase: showdown.Block, Block: 1}] = true
	f.play(t)
	for _, p := range f.played {
		if p.Phase == showdown.Block && p.Common != 610 {
			t.Errorf("%+v, want the common rate 610", p)
		}
	}
}

func TestErrorsStopTheRun(t *testing.T) {
	broken := errors.New("disk full")
	f := newFake(2, 1, four())
	f.Commit = func(b showdown.Bout) error {
		if f.done = append(f.done, b); len(f.done) == 3 {
			return broken
		}
		return nil
	}
	if err := f.Continue(t.Context(), nil); !errors.Is(err, broken) || len(f.played) != 3 {
		t.Errorf("commit: error %v after %d bouts, want %v after 3", err, len(f.played), broken)
	}

	f = newFake(2, 1, four())
	play := f.Play
	f.Play = func(ctx context.Context, o bout.Order) (showdown.Bout, error) {
		if len(f.played) == 3 {
			return showdown.Bout{}, broken
		}
		return play(ctx, o)
	}
	if err := f.Continue(t.Context(), nil); !errors.Is(err, broken) || len(f.done) != 3 {
		t.Errorf("play: error %v, %d bouts stored, want %v and 3", err, len(f.done), broken)
	}
}

func TestLeftAndETA(t *testing.T) {
	f := newFake(2, 1, four())
	f.took = 10 * time.Second
	f.play(t)
	typical := Typical(f.Plan.Timing)
	if length := 4 * time.Second; typical <= length || typical > 3*length {
		t.Errorf("a bout of %v and a few steps of search takes %v", length, typical)
	}
	for i, got := range f.told {
		want := told{12 - i, time.Duration(12-i) * f.took}
		if i <= 4 { // no block bout has told how long one takes
			want.ETA = time.Duration(want.Left) * typical
		}
		if got != want {
			t.Errorf("before bout %d: %d left in %v, want %d in %v", i, got.Left, got.ETA, want.Left, want.ETA)
		}
	}
	if len(f.told) != 12 {
		t.Errorf("told of %d bouts, want 12", len(f.told))
	}
}

func TestLeftDropsWithAContender(t *testing.T) {
	f := newFake(3, 1, map[string]showdown.Rate{"a": 0, "b": 10})
	f.Contenders = f.Contenders[:1:1]
	f.play(t)
	if diff := cmp.Diff([]told{{4, 4 * Typical(f.Plan.Timing)}}, f.told); diff != "" {
		t.Errorf("one contender whose scout fails (-want +got):\n%s", diff)
	}
	f = newFake(3, 1, map[string]showdown.Rate{"a": 10, "b": 10})
	f.fails[played{Name: "b", Phase: showdown.Scout}] = true
	f.play(t)
	var left []int
	for _, n := range f.told {
		left = append(left, n.Left)
	}
	first := 7 // a's scout comes first and nobody is out yet
	if f.played[0].Name == "b" {
		first = 4
	}
	if diff := cmp.Diff([]int{8, first, 3, 2, 1}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestNobodyNeedsToListen(t *testing.T) {
	f := newFake(1, 1, four())
	f.Next = nil
	f.play(t)
	if len(f.done) != 8 {
		t.Errorf("%d bouts, want 8", len(f.done))
	}
}
