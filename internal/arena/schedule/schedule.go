package schedule

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/backend-showdown/showdown/internal/arena/bout"
	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// commonShare of the slowest contender's capacity is the rate that all are
// measured at, so that latencies can be compared at equal load.
const commonShare = 0.5

// Run is a plan being played.
type Run struct {
	Plan       showdown.Plan
	Contenders []*contender.Prepared
	// Play plays one bout.
	Play func(context.Context, bout.Order) (showdown.Bout, error)
	// Commit stores a finished bout before the next one begins.
	Commit func(showdown.Bout) error
	// Next hears what will be played, how many bouts are left and how long
	// they may take; may be nil.
	Next func(o bout.Order, left int, eta time.Duration)
}

// Continue plays what is left of the plan after the bouts that are done already.
// An interrupted bout is not committed.
func (r *Run) Continue(ctx context.Context, done []showdown.Bout) error {
	s := &state{Run: r, done: done}
	for _, slot := range r.order(0) {
		if err := s.play(ctx, bout.Order{Contender: slot, Phase: showdown.Scout}); err != nil {
			return err
		}
	}
	common := s.commonRate()
	for block := 1; block <= r.Plan.Blocks; block++ {
		for i, c := range r.order(block) {
			o := bout.Order{
				Contender: c, Phase: showdown.Block, Block: block, Slot: i,
				Guess: s.scouted(c.Manifest.Name), Common: common,
			}
			if err := s.play(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// order draws the contenders' places in a block.
func (r *Run) order(block int) []*contender.Prepared {
	order := slices.Clone(r.Contenders)
	rng := rand.New(rand.NewPCG(r.Plan.Seed, uint64(block)))
	rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}

// state is what a run has come to.
type state struct {
	*Run
	done []showdown.Bout
}

// play plays a bout unless it is done or its contender is out.
func (s *state) play(ctx context.Context, o bout.Order) error {
	name := o.Contender.Manifest.Name
	if s.find(name, o.Phase, o.Block) != nil || s.out(name) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Next != nil {
		left := s.left()
		s.Next(o, left, s.eta(left))
	}
	b, err := s.Play(ctx, o)
	if err != nil {
		return err
	}
	if err := s.Commit(b); err != nil {
		return err
	}
	s.done = append(s.done, b)
	return nil
}

func (s *state) find(name string, phase showdown.Phase, block int) *showdown.Bout {
	for i := range s.done {
		if b := &s.done[i]; b.Contender == name && b.Phase == phase && b.Block == block {
			return b
		}
	}
	return nil
}

// out reports whether a contender failed, or met the objective at no rate when it was scouted.
func (s *state) out(name string) bool {
	for i := range s.done {
		b := &s.done[i]
		if b.Contender == name && (b.Failure != nil || b.Phase == showdown.Scout && b.Capacity <= 0) {
			return true
		}
	}
	return false
}

func (s *state) scouted(name string) showdown.Rate {
	if b := s.find(name, showdown.Scout, 0); b != nil {
		return b.Capacity
	}
	return 0
}

// commonRate is a round rate near half of the slowest contender's capacity.
func (s *state) commonRate() showdown.Rate {
	slowest := math.Inf(1)
	for _, c := range s.Contenders {
		if b := s.find(c.Manifest.Name, showdown.Scout, 0); b != nil && b.Failure == nil && b.Capacity > 0 {
			slowest = min(slowest, float64(b.Capacity))
		}
	}
	if math.IsInf(slowest, 1) {
		return 0
	}
	return showdown.Rate(twoDigits(slowest * commonShare))
}

// twoDigits rounds down to two significant digits.
func twoDigits(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v))-1)
	return math.Floor(v/unit) * unit
}

// left counts the bouts still to be played.
func (s *state) left() (n int) {
	for _, c := range s.Contenders {
		name := c.Manifest.Name
		if s.out(name) {
			continue
		}
		if s.find(name, showdown.Scout, 0) == nil {
			n++
		}
		for block := 1; block <= s.Plan.Blocks; block++ {
			if s.find(name, showdown.Block, block) == nil {
				n++
			}
		}
	}
	return n
}

// eta guesses the time for the bouts that are left from those that are done, or
// from the plan's timing while there are none.
func (s *state) eta(left int) time.Duration {
	each, n := time.Duration(0), 0
	for i := range s.done {
		if s.done[i].Phase == showdown.Block {
			each += s.done[i].Took
			n++
		}
	}
	if n > 0 {
		return time.Duration(left) * each / time.Duration(n)
	}
	return time.Duration(left) * Typical(s.Plan.Timing)
}

// Typical is about how long a bout of such timing takes: starting, warming up,
// some five steps of search, two measured windows, stopping.
func Typical(t showdown.Timing) time.Duration {
	return 700*time.Millisecond + t.Warmup + 5*t.Probe + 2*t.Measure
}
