package load

import "time"

// In a closed loop answers may gather before the loop wakes for them: a quarter
// of the clients' answers at once, which by Little's law arrive in a quarter of
// the time that an answer takes. A server with a queue does not notice, for it
// has the other three quarters to work on, and the generator wakes less often.
// A server without a queue would be held up; so turns with and without are
// compared all the time, and gathering ends where it costs throughput.
const (
	gatherClients = 16 // fewer clients never gather
	gatherShare   = 4
	gatherMost    = 500 * time.Microsecond
	probeEvery    = 16   // one turn in so many does what the others do not
	tolerated     = 0.95 // of the throughput without gathering
)

// gathering decides turn by turn whether answers gather.
type gathering struct {
	on      bool
	turn    int
	answers uint64
	since   time.Duration
	with    average // answers per second
	without average
}

// next ends a turn, given all answers so far, and begins another.
func (g *gathering) next(now time.Duration, answers uint64) {
	if seconds := (now - g.since).Seconds(); seconds > 0 {
		rate := float64(answers-g.answers) / seconds
		if g.on {
			g.with.add(rate)
		} else {
			g.without.add(rate)
		}
	}
	g.since, g.answers = now, answers
	g.turn++
	g.on = g.with.n == 0 || g.with.mean >= tolerated*g.without.mean
	if g.turn%probeEvery == 1 {
		g.on = !g.on
	}
}

// average is a mean in which old values fade.
type average struct {
	mean float64
	n    int
}

func (a *average) add(x float64) {
	a.n++
	a.mean += (x - a.mean) / float64(min(a.n, 16))
}
