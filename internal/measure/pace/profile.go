package pace

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// Stage is a stretch of time in which the rate changes linearly.
type Stage struct {
	From, To float64       // arrivals per second, at least 0
	Length   time.Duration // more than 0
}

// Hold is a stage of one rate, in arrivals per second.
func Hold(rate float64, length time.Duration) Stage { return Stage{rate, rate, length} }

// Ramp is a stage that goes from one rate to another, in arrivals per second.
func Ramp(from, to float64, length time.Duration) Stage { return Stage{from, to, length} }

// rate is the rate x seconds after the begin.
func (s Stage) rate(x float64) float64 { return s.From + (s.To-s.From)*x/s.Length.Seconds() }

// area is the number of arrivals from x seconds after the begin to the end.
func (s Stage) area(x float64) float64 {
	if s.From == s.To {
		return s.From * (s.Length.Seconds() - x)
	}
	return (s.rate(x) + s.To) / 2 * (s.Length.Seconds() - x)
}

// gap is the time in seconds, from x seconds after the begin, in which n
// arrivals come. It is at least what is left of the stage when fewer come.
func (s Stage) gap(x, n float64) float64 {
	n = max(0, n) // rounding can leave less than nothing of a stage
	if s.From == s.To {
		return n / s.From
	}
	if n >= s.area(x) {
		return math.Inf(1) // else rounding could put the first arrival after the end just before it
	}
	if n == 0 {
		return 0 // else 0/0 where the rate rises from 0
	}
	// n = r·t + slope·t²/2, solved for t in the form that subtracts nothing.
	r, slope := s.rate(x), (s.To-s.From)/s.Length.Seconds()
	return 2 * n / (r + math.Sqrt(max(0, r*r+2*slope*n)))
}

// at is the offset from the begin, in seconds, as a Duration; ok is false when
// the stage has ended by then.
func (s Stage) at(x float64) (at time.Duration, ok bool) {
	if !(x < math.MaxInt64/1e9) { // or x is not a number: no arrivals at no rate
		return 0, false
	}
	at = time.Duration(x * 1e9)
	return at, at < s.Length
}

// Profile is a rate that changes over time: stages, one after the other. Rates
// may jump between them.
type Profile []Stage

// Length is the sum of the stages' lengths.
func (p Profile) Length() time.Duration {
	var sum time.Duration
	for _, s := range p {
		sum += s.Length
	}
	return sum
}

// Rate is the mean rate over the whole length, in arrivals per second.
func (p Profile) Rate() float64 {
	mean, length := 0.0, 0.0
	for i, s := range p {
		weight := 1.0 // exact for a profile of one stage, whatever its length
		if length += s.Length.Seconds(); i > 0 {
			weight = s.Length.Seconds() / length
		}
		mean += (s.From + (s.To-s.From)/2 - mean) * weight
	}
	return mean
}

// String writes the profile as ParseProfile reads it.
func (p Profile) String() string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatFloat(s.From, 'g', -1, 64))
		if s.To != s.From {
			b.WriteString("..")
			b.WriteString(strconv.FormatFloat(s.To, 'g', -1, 64))
		}
		b.WriteByte('/')
		b.WriteString(s.Length.String())
	}
	return b.String()
}

const profileHint = "give stages such as 0..1000/10s,1000/30s: one rate to hold or two to ramp between, a slash, a length"

// ParseProfile reads stages, separated by commas. A stage is RATE/LENGTH, which
// holds the rate, or FROM..TO/LENGTH, which changes it linearly. Rates are as
// showdown.ParseRate has them, or 0; the length is what follows the last slash,
// as time.ParseDuration has it: "100..2k/30s", "0..1000/10s, 1000/30s, 0/5s",
// "90/m/1h". Errors are of usage.
func ParseProfile(text string) (Profile, error) {
	var (
		p     Profile
		total time.Duration
		most  float64
	)
	for stage := range strings.SplitSeq(text, ",") {
		s, err := parseStage(stage)
		if err != nil {
			return nil, err
		}
		if s.Length > math.MaxInt64-total {
			return nil, showdown.Usage("shorten it", "profile %q lasts longer than 292 years", text)
		}
		p, total, most = append(p, s), total+s.Length, max(most, s.From, s.To)
	}
	if most == 0 {
		return nil, showdown.Usage(profileHint, "profile %q asks for nothing: every rate is 0", text)
	}
	return p, nil
}

func parseStage(text string) (Stage, error) {
	slash := strings.LastIndexByte(text, '/')
	if slash < 0 {
		return Stage{}, showdown.Usage(profileHint, "stage %q has no length", text)
	}
	length, err := time.ParseDuration(strings.TrimSpace(text[slash+1:]))
	if err != nil || length <= 0 {
		return Stage{}, showdown.Usage(profileHint, "stage %q: %q is not a length of time", text, text[slash+1:])
	}
	from, to, ramp := strings.Cut(text[:slash], "..")
	if !ramp {
		to = from
	}
	s := Stage{Length: length}
	for _, r := range []struct {
		text string
		rate *float64
	}{{from, &s.From}, {to, &s.To}} {
		if strings.TrimSpace(r.text) == "0" {
			continue
		}
		rate, err := showdown.ParseRate(r.text)
		if err != nil {
			return Stage{}, showdown.Usage(profileHint, "stage %q: %w", text, err)
		}
		*r.rate = float64(rate)
	}
	return s, nil
}

// Even spaces arrivals evenly in the integral of the rate: the k-th, from 0 on,
// falls where k have been asked for.
func Even(p Profile) Schedule { return &even{slices.Clone(p), 0} }

type even struct {
	Profile
	count uint64 // the most arrivals; 0 is no limit
}

func (e *even) Arrivals() Arrivals { return &evenWalk{rest: e.Profile, count: e.count} }

type evenWalk struct {
	rest   Profile       // the current stage and what follows it
	start  time.Duration // of the current stage
	before float64       // arrivals before it
	k      uint64
	count  uint64
}

func (w *evenWalk) Next() (time.Duration, bool) {
	for len(w.rest) > 0 && (w.count == 0 || w.k < w.count) {
		s := w.rest[0]
		// Each offset is computed from k, not added up, so that rounding cannot drift.
		if at, ok := s.at(s.gap(0, float64(w.k)-w.before)); ok {
			w.k++
			return w.start + at, true
		}
		w.rest, w.start, w.before = w.rest[1:], w.start+s.Length, w.before+s.area(0)
	}
	return 0, false
}

// Random draws the arrivals of a Poisson process whose rate is p's: gaps are
// exponential and independent in the integral of the rate (Çinlar, Introduction
// to Stochastic Processes, 1975, pp. 94–101). The same seed gives the same arrivals,
// and what follows a stage does not change those in it.
func Random(p Profile, seed uint64) Schedule { return &random{slices.Clone(p), seed} }

// poissonStream keeps the arrivals' random numbers apart from others of the same seed.
const poissonStream = 0x706f6973736f6e

type random struct {
	Profile
	seed uint64
}

func (r *random) Arrivals() Arrivals {
	return &randomWalk{rest: r.Profile, rng: rand.New(rand.NewPCG(r.seed, poissonStream))}
}

type randomWalk struct {
	rest  Profile       // the current stage and what follows it
	start time.Duration // of the current stage
	x     float64       // seconds from there to the last arrival; a float64 keeps nanoseconds for 100 days
	rng   *rand.Rand
}

func (w *randomWalk) Next() (time.Duration, bool) {
	for gap := w.rng.ExpFloat64(); len(w.rest) > 0; {
		s := w.rest[0]
		x := w.x + s.gap(w.x, gap)
		if at, ok := s.at(x); ok {
			w.x = x
			return w.start + at, true
		}
		gap -= s.area(w.x)
		w.rest, w.start, w.x = w.rest[1:], w.start+s.Length, 0
	}
	return 0, false
}
