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

// Where the next arrival is near, an open loop does not wake for answers before it.
const (
	nextIsNear = time.Millisecond
	anyNumber  = 1 << 20
)

// patience says until when nothing needs to be done, unless something arrives, and
// how many answers may gather for how long.
func (l *loop) patience() (answers int, gather, until time.Duration) {
	until = l.cleaned + housekeeping
	eager := l.window.Eager || l.bulky
	switch {
	case l.arrivals != nil && l.more && (l.idle.n > 0 || l.next > l.now):
		until = min(until, l.next)
		if until-l.now <= nextIsNear && !eager {
			return anyNumber, nextIsNear, until
		}
	case l.window.Listen:
		until = min(until, l.window.Length)
		if !eager {
			answers, gather = anyNumber, l.listen()
		}
	case l.arrivals == nil && l.inFlight >= gatherClients && l.gathering.on && !eager:
		answers, gather = l.inFlight/gatherShare, min(l.usual/gatherShare, gatherMost)
	}
	return max(1, answers), gather, until
}

// Messages gather for an audience, too: not for longer than matters to anyone,
// but in a flood for long enough that each connection is read once for several.
const (
	gatherMessages = 200 * time.Microsecond
	gatherFlood    = time.Millisecond
	flood          = 64 // messages since the last wake-up
)

// listen says for how long messages may gather.
func (l *loop) listen() time.Duration {
	gather := gatherMessages
	if l.rec.OK-l.heardOK >= flood {
		gather = gatherFlood
	}
	l.heardOK = l.rec.OK
	return gather
}
