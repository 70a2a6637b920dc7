package bout

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/arena/scenario"
	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Player plays the bouts of one run.
type Player struct {
	Plan     showdown.Plan
	Scenario scenario.Scenario
	DataDir  string     // the scenario's data
	LogDir   string     // for the contenders' logs
	Live     func(Live) // hears what goes on a few times a second; may be nil
}

// Live is what a bout does right now.
type Live struct {
	Contender string
	Phase     showdown.Phase
	Block     int
	Doing     string // "starting", "warming up", "searching", …
	Offered   showdown.Rate
	Snapshot  load.Snapshot
	Memory    showdown.Bytes
	CPUs      float64 // processors that the contender uses
}

// Order says which bout to play.
type Order struct {
	Contender *contender.Prepared
	Phase     showdown.Phase
	Block     int
	Slot      int
	Guess     showdown.Rate // capacity that the scout found; 0 for a scout
	Common    showdown.Rate // the rate that every contender is measured at; 0 for a scout
}

// The share of the estimated capacity at which a contender is warmed up and
// measured "at capacity" (METHOD.md).
const (
	warmupShare   = 0.6
	capacityShare = 0.95
)

// sampleShare is the share of answers that are recomputed.
const sampleShare = 0.01

// give up a search step when answers are this many times later than the
// objective allows, and a request when it is this many times later.
const (
	giveUpFactor  = 4
	timeoutFactor = 20
)

// Play plays one bout.
func (p *Player) Play(ctx context.Context, o Order) (showdown.Bout, error) {
	name := o.Contender.Manifest.Name
	m := &match{Player: p, order: o, bout: showdown.Bout{
		Contender: name, Scenario: p.Scenario.Name(), Phase: o.Phase, Block: o.Block, Slot: o.Slot, Started: time.Now().UTC(),
	}}
	m.log = filepath.Join(p.LogDir, fmt.Sprintf("%s-%s%d.log", name, o.Phase, o.Block))
	err := m.play(ctx)
	m.bout.Took = time.Since(m.bout.Started)
	switch {
	case ctx.Err() != nil:
		return m.bout, ctx.Err()
	case err == nil:
		return m.bout, nil
	case showdown.CodeOf(err) == showdown.BadContender:
		m.bout.Failure = m.failure(err)
		return m.bout, nil
	}
	return m.bout, err
}

// match is one bout under way.
type match struct {
	*Player
	order   Order
	bout    showdown.Bout
	log     string
	process *contender.Process
	engine  load.Engine
	host    string
	windows uint64 // so far: gives each its own seed
}

func (m *match) play(ctx context.Context) (err error) {
	if err := m.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.stop(ctx, err == nil)) }()
	if err := m.becomeReady(ctx); err != nil {
		return err
	}
	if m.order.Phase == showdown.Scout {
		return m.scout(ctx)
	}
	return m.measure(ctx)
}

func (m *match) start(ctx context.Context) error {
	m.tell("starting", 0, load.Snapshot{})
	port, err := contender.FreePort()
	if err != nil {
		return err
	}
	m.host = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	m.process, err = m.order.Contender.Start(ctx, contender.StartOptions{
		Port: port, Workers: max(1, len(m.Plan.Cores.Contender)), DataDir: m.DataDir, CPUs: m.Plan.Cores.Contender, Log: m.log,
	})
	return err
}

func (m *match) becomeReady(ctx context.Context) (err error) {
	if m.bout.Ready, err = m.process.WaitReady(ctx); err != nil {
		// Also when somebody else took its port: that ends this contender's part, not the run.
		return showdown.Errorf(showdown.BadContender, showdown.HintOf(err), "%w", err)
	}
	if m.process.Wildcard() {
		m.warn(showdown.WarnWildcard, "listens on all addresses, although HOST is 127.0.0.1")
	}
	m.engine, err = load.New(load.Target{
		Address: m.host, Open: m.Plan.Connection.Open, Max: m.Plan.Connection.Max,
		Timeout: timeoutFactor * m.Plan.Objective.Latency,
	})
	return err
}

// stop ends the contender. How it ends is a rule of the contract, unless
// something else failed before.
func (m *match) stop(ctx context.Context, judge bool) error {
	if m.engine != nil {
		defer m.engine.Close()
	}
	m.tell("stopping", 0, load.Snapshot{})
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if ctx.Err() != nil {
		cancel() // interrupted: no grace
	}
	exit, err := m.process.Stop(stopping)
	if err != nil || exit.Clean || !judge || ctx.Err() != nil {
		return err
	}
	return showdown.Errorf(showdown.BadContender, "rule J11: finish what is in flight and exit with status 0 within 5 s of SIGTERM",
		"%s did not stop cleanly: %s", m.bout.Contender, exit)
}

// scout holds the contender against its contract and finds the neighbourhood of
// its capacity.
func (m *match) scout(ctx context.Context) error {
	m.tell("verifying", 0, load.Snapshot{})
	checks, err := m.Scenario.Verify(ctx, m.host)
	if err != nil {
		return m.blame(err)
	}
	for _, c := range checks {
		if b := c.Breach; b != nil {
			return m.blame(showdown.Errorf(showdown.BadContender, "showdown verify "+m.bout.Contender,
				"%s breaks rule %s at %s: %s", m.bout.Contender, c.Rule, b.Request, brief(b.Want)))
		}
	}
	w, err := m.saturate(ctx)
	if err != nil {
		return err
	}
	saturation := showdown.Rate(float64(w.Load.OK) / w.Length.Seconds())
	if saturation <= 0 {
		return showdown.Errorf(showdown.BadContender, "", "%s answered nothing right under load: %v", m.bout.Contender, w.Load.Failures)
	}
	m.bout.Capacity, err = m.search(ctx, saturation*scoutShare, scoutStep, scoutStep)
	return err
}

// measure is a bout that counts.
func (m *match) measure(ctx context.Context) (err error) {
	if _, err = m.openLoop(ctx, showdown.Warmup, m.order.Guess*warmupShare, m.Plan.Timing.Warmup); err != nil {
		return err
	}
	if m.bout.Capacity, err = m.search(ctx, m.order.Guess*m.dither(), searchStep, precision); err != nil {
		return err
	}
	if m.bout.Capacity == 0 {
		m.warn(showdown.WarnNoCapacity, "no rate met the objective")
	} else {
		if err := m.confirm(ctx); err != nil {
			return err
		}
	}
	if m.order.Common > 0 {
		_, err = m.openLoop(ctx, showdown.AtCommon, m.order.Common, m.Plan.Timing.Measure)
	}
	return err
}

// confirm measures a little below the capacity that the search found. Where that
// misses the objective over the longer window, the lower rate is the capacity.
func (m *match) confirm(ctx context.Context) error {
	w, err := m.openLoop(ctx, showdown.AtCapacity, m.bout.Capacity*capacityShare, m.Plan.Timing.Measure)
	if err != nil || w.Met {
		return err
	}
	m.warn(showdown.WarnUnconfirmed, "capacity lowered by %.0f%% to %s, which missed the objective, too, over the longer window: p%g %s ms, %.2f%% errors",
		100*(1-capacityShare), w.Offered, 100*m.Plan.Objective.Quantile, showdown.Millis(m.quantile(&w)), 100*w.Load.ErrorRate())
	m.bout.Capacity = w.Offered
	return nil
}

// dither shifts the search's start from block to block, so that the steps of the
// search do not fall on the same rates each time and its rounding averages out.
func (m *match) dither() showdown.Rate {
	u := float64(mix(m.Plan.Seed, uint64(m.order.Block), hash(m.bout.Contender))>>11) / (1 << 53)
	return showdown.Rate(math.Exp((u - 0.5) * math.Log(searchStep)))
}

func (m *match) warn(kind showdown.WarningKind, format string, args ...any) {
	m.bout.Warnings = append(m.bout.Warnings, showdown.Warning{Kind: kind, Text: fmt.Sprintf(format, args...)})
}

func (m *match) tell(doing string, offered showdown.Rate, s load.Snapshot) {
	if m.Live != nil {
		m.Live(Live{Contender: m.bout.Contender, Phase: m.order.Phase, Block: m.order.Block, Doing: doing, Offered: offered, Snapshot: s})
	}
}

// blame prefers the contender's own end as the reason for what went wrong. Its
// connections may break a moment before its end is known.
func (m *match) blame(err error) error {
	select {
	case <-m.process.Failed():
		return m.process.Err()
	case <-time.After(100 * time.Millisecond):
		return err
	}
}

// brief keeps a reason short enough for a table.
func brief(s string) string {
	const limit = 160
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}

func (m *match) failure(err error) *showdown.BoutFailure {
	f := &showdown.BoutFailure{Reason: err.Error(), Hint: showdown.HintOf(err), Log: m.log}
	if m.process != nil {
		f.Tail = m.process.Tail(tailLines)
	}
	return f
}

// tailLines of a failed contender's log are kept in the record.
const tailLines = 20

// mix makes one number of several, each of which changes all of it.
func mix(values ...uint64) (h uint64) {
	for _, v := range values {
		h = (h ^ v) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h
}

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
