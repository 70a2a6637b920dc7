package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/backend-showdown/showdown/internal/arena/bout"
	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/arena/scenario"
	"github.com/backend-showdown/showdown/internal/arena/schedule"
	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/measure/meter"
	"github.com/backend-showdown/showdown/internal/record"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// preset is a plan's size by name.
type preset struct {
	scenario string
	blocks   int
	timing   showdown.Timing
}

var presets = map[string]preset{
	"quick": {"json", 5, showdown.Timing{Warmup: 1500 * time.Millisecond, Probe: 800 * time.Millisecond, Measure: 1500 * time.Millisecond}},
}

// The generator opens that many connections at first and at most: as many as a
// reverse proxy keeps to one backend, and enough that a queue forms in the
// contender rather than before it.
var connections = showdown.Connections{Open: 64, Max: 256}

type runFlags struct {
	preset, scenario string
	blocks           int
	seed             uint64
	timing           showdown.Timing
	resume           string
	dryRun           bool
}

const latest = "latest"

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [CONTENDER|PATH...]",
		Short: "the main job: prepare, measure, rank, report",
		Long: `Run prepares the contenders (all of them without arguments), plays them against each
other in interleaved blocks, ranks them and writes a report. What this machine lacks is
skipped with the reason. Every finished bout is kept: an interrupted run goes on with
--resume.`,
		Example: "  showdown run\n  showdown run gin axum --blocks 10\n  showdown run ./my-service gin\n  showdown run --resume",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.resume != "" {
				return a.resumeRun(cmd.Context(), f.resume, args)
			}
			return a.newRun(cmd.Context(), &f, args)
		},
	}
	cmd.Flags().StringVar(&f.preset, "preset", "quick", "`size` of the run: quick")
	cmd.Flags().StringVar(&f.scenario, "scenario", "", "which `scenario` (default: the preset's)")
	cmd.Flags().IntVar(&f.blocks, "blocks", 0, "how often each contender plays (default: the preset's)")
	cmd.Flags().Uint64Var(&f.seed, "seed", 0, "`number` that decides order, arrivals and queries (default: drawn and printed)")
	cmd.Flags().DurationVar(&f.timing.Warmup, "warmup", 0, "length of the warm-up (default: the preset's)")
	cmd.Flags().DurationVar(&f.timing.Probe, "probe", 0, "length of a step of the capacity search (default: the preset's)")
	cmd.Flags().DurationVar(&f.timing.Measure, "measure", 0, "length of each measured window (default: the preset's)")
	cmd.Flags().StringVar(&f.resume, "resume", "", "go on with an unfinished `run` (the latest without a name)")
	cmd.Flags().Lookup("resume").NoOptDefVal = latest
	cmd.ValidArgsFunction = a.completeContenders
	_ = cmd.RegisterFlagCompletionFunc("resume", a.completeRuns)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and how long it would take")
	return cmd
}

// plan turns flags into a plan.
func (f *runFlags) plan() (showdown.Plan, scenario.Scenario, error) {
	size, ok := presets[f.preset]
	if !ok {
		return showdown.Plan{}, nil, showdown.Usage("all: quick", "unknown preset %q", f.preset)
	}
	name := f.scenario
	if name == "" {
		name = size.scenario
	}
	scene, err := scenario.Named(name)
	if err != nil {
		return showdown.Plan{}, nil, err
	}
	p := showdown.Plan{
		Preset: f.preset, Scenario: scene.Name(), Title: scene.Title(), Objective: scene.Objective(),
		Blocks: size.blocks, Seed: f.seed, Timing: size.timing, Cores: bout.Cores(), Connection: connections,
	}
	if f.blocks != 0 {
		p.Blocks = f.blocks
	}
	for flag, d := range map[*time.Duration]time.Duration{&p.Timing.Warmup: f.timing.Warmup, &p.Timing.Probe: f.timing.Probe, &p.Timing.Measure: f.timing.Measure} {
		if d != 0 {
			*flag = d
		}
	}
	if p.Seed == 0 {
		p.Seed = rand.Uint64()>>32 | 1 // short enough to be copied by hand
	}
	return p, scene, checkPlan(&p)
}

func checkPlan(p *showdown.Plan) error {
	if p.Blocks < 1 || p.Blocks > 1000 {
		return showdown.Usage("5 give a first ranking", "--blocks %d is not between 1 and 1000", p.Blocks)
	}
	for name, d := range map[string]time.Duration{"warmup": p.Timing.Warmup, "probe": p.Timing.Probe, "measure": p.Timing.Measure} {
		if d < 100*time.Millisecond || d > time.Hour {
			return showdown.Usage("such as 2s", "--%s %v is not between 100ms and 1h", name, d)
		}
	}
	return nil
}

func (a *app) newRun(ctx context.Context, f *runFlags, args []string) error {
	plan, scene, err := f.plan()
	if err != nil {
		return err
	}
	manifests, err := a.library(args)
	if err != nil {
		return err
	}
	plan.Contenders = a.namesOf(manifests)
	r := &runner{app: a, scene: scene, screen: a.newScreen(), run: showdown.Run{
		Status: showdown.Running, Started: time.Now().UTC().Truncate(time.Second), Command: append([]string{"showdown"}, os.Args[1:]...), Plan: plan, Machine: a.machine(),
	}}
	r.introduce(manifests)
	if f.dryRun {
		return r.dry(ctx, manifests)
	}
	return r.begin(ctx, manifests)
}

func (a *app) resumeRun(ctx context.Context, id string, args []string) error {
	if len(args) > 0 {
		return showdown.Usage("showdown run --resume=RUN, with an equals sign, or --resume alone for the latest", "--resume takes the contenders of the run; %q is one too many", args[0])
	}
	store, err := a.openRecord(ctx)
	if err != nil {
		return err
	}
	defer store.Close()
	if id == latest {
		found, ok, err := store.Latest(ctx, func(r showdown.Run) bool { return r.Status == showdown.Running })
		if err != nil {
			return err
		}
		if !ok {
			return showdown.Usage("all: showdown runs", "no unfinished run in %s", a.out)
		}
		id = found
	}
	run, err := store.Run(ctx, id)
	if err != nil {
		return err
	}
	scene, err := scenario.Named(run.Plan.Scenario)
	if err != nil {
		return err
	}
	r := &runner{app: a, scene: scene, screen: a.newScreen(), run: run, store: store}
	manifests, err := a.library(run.Plan.Contenders)
	if err != nil {
		return err
	}
	manifests = slices.DeleteFunc(manifests, func(m *contender.Manifest) bool { // those skipped, or not built
		return !slices.ContainsFunc(run.Contenders, func(c showdown.Contender) bool { return c.Name == m.Name })
	})
	r.screen.say("resuming    %s: %s done", run.ID, showdown.Plural(len(run.Bouts), "bout"))
	return r.again(ctx, manifests)
}

func (a *app) openRecord(ctx context.Context) (*record.Store, error) {
	return record.Open(ctx, filepath.Join(a.out, "showdown.db"))
}

func (a *app) machine() showdown.Machine {
	m := meter.Machine()
	m.Showdown = version()
	return m
}

// runner plays one run from its plan to its report.
type runner struct {
	*app
	scene  scenario.Scenario
	screen *screen
	run    showdown.Run
	store  *record.Store
	failed []showdown.Skipped
	ahead  string // "12/36 · 3 min left"
	total  int
}

func (r *runner) introduce(manifests []*contender.Manifest) {
	p, m := &r.run.Plan, &r.run.Machine
	r.screen.say("Showdown · %s, %s, %s %s · preset %s: %s · about %s", showdown.Plural(m.CPUs, "CPU"), m.Memory, m.OS, kernel(m.Kernel), p.Preset, p.Scenario,
		showdown.Clock(time.Duration(len(manifests)*(p.Blocks+1))*schedule.Typical(p.Timing)))
	var names []string
	for _, m := range manifests {
		names = append(names, m.Name)
	}
	r.screen.say("contenders  %s", strings.Join(names, " "))
}

// kernel shortens "6.18.44-vendor-1" to "6.18".
func kernel(release string) string {
	parts := strings.SplitN(release, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// dry says what would happen.
func (r *runner) dry(ctx context.Context, manifests []*contender.Manifest) error {
	for _, m := range manifests {
		if skip, ok := cannotPlay(ctx, m, r.scene.Name()); ok {
			r.screen.say("skipped     %s: %s", skip.Name, skip.Reason)
		}
	}
	p := &r.run.Plan
	fmt.Fprintf(r.stdout, "%d blocks of %s each, after a scout of each; seed %d; objective p%g ≤ %s ms\ncontender on CPU %v, generator on CPU %v; records in %s\n",
		p.Blocks, showdown.Plural(len(manifests), "bout"), p.Seed, 100*p.Objective.Quantile, showdown.Millis(p.Objective.Latency),
		p.Cores.Contender, p.Cores.Generator, r.out)
	return nil
}

// begin prepares the contenders, opens the record and plays.
func (r *runner) begin(ctx context.Context, manifests []*contender.Manifest) error {
	line, err := r.prepare(ctx, r.screen, manifests, r.scene.Name())
	if err != nil {
		return err
	}
	r.run.Skipped, r.failed = slices.Concat(line.skipped, line.failed), line.failed
	for _, s := range line.skipped {
		r.screen.say("skipped     %s: %s%s", s.Name, s.Reason, arrow(s.Remedy))
	}
	if len(line.ready) == 0 {
		if len(line.failed) > 0 {
			return showdown.Errorf(showdown.BadContender, "the build logs named above tell why", "no contender is left to play")
		}
		return showdown.Errorf(showdown.Environment, "showdown doctor says what is missing and how to get it", "no contender can play on this machine")
	}
	for _, p := range line.ready {
		r.run.Contenders = append(r.run.Contenders, p.Contender())
	}
	if r.store, err = r.openRecord(ctx); err != nil {
		return err
	}
	defer r.store.Close()
	if err := r.create(ctx); err != nil {
		return err
	}
	return r.play(ctx, line.ready)
}

// create stores the run under an id made of the time, with a number behind it
// where two runs start in the same second.
func (r *runner) create(ctx context.Context) error {
	base := r.run.Started.Local().Format("20060102-150405")
	for n := 1; ; n++ {
		r.run.ID = base
		if n > 1 {
			r.run.ID = fmt.Sprintf("%s-%d", base, n)
		}
		err := os.Mkdir(r.folder(), 0o755)
		if err == nil {
			return r.store.Create(ctx, r.run)
		}
		if !errors.Is(err, os.ErrExist) || n > 100 {
			return showdown.Errorf(showdown.Environment, "choose another folder with --out", "make the run's folder: %w", err)
		}
	}
}

// folder is where the run's report and logs go.
func (r *runner) folder() string { return filepath.Join(r.out, r.run.ID) }

// again prepares a resumed run's contenders, which must be the same as before.
func (r *runner) again(ctx context.Context, manifests []*contender.Manifest) error {
	if now := r.machine(); now.CPU != r.run.Machine.CPU || now.CPUs != r.run.Machine.CPUs {
		return showdown.Usage("start a new run", "run %s was begun on another machine (%d × %s)", r.run.ID, r.run.Machine.CPUs, r.run.Machine.CPU)
	}
	line, err := r.prepare(ctx, r.screen, manifests, r.scene.Name())
	if err != nil {
		return err
	}
	for _, p := range line.ready {
		i := slices.IndexFunc(r.run.Contenders, func(c showdown.Contender) bool { return c.Name == p.Manifest.Name })
		if r.run.Contenders[i].Hash != p.Hash {
			return showdown.Usage("start a new run: bouts of two versions must not be mixed", "%s has changed since run %s was begun", p.Manifest.Name, r.run.ID)
		}
	}
	if len(line.ready) < len(r.run.Contenders) {
		return showdown.Errorf(showdown.Environment, "showdown doctor", "not all contenders of run %s can still be built here", r.run.ID)
	}
	return r.play(ctx, line.ready)
}

// play plays what is left of the run and reports.
func (r *runner) play(ctx context.Context, ready []*contender.Prepared) error {
	folder, err := filepath.Abs(r.folder())
	if err != nil {
		return err
	}
	data, logs := filepath.Join(folder, "data"), filepath.Join(folder, "logs")
	for _, dir := range []string{data, logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return showdown.Errorf(showdown.Environment, "choose another folder with --out", "make the run's folder: %w", err)
		}
	}
	defer os.RemoveAll(data)
	if err := r.scene.WriteData(data); err != nil {
		return err
	}
	if err := bout.Pin(r.run.Plan.Cores.Generator); err != nil {
		return err
	}
	r.onInterrupt.Store(r.resumeWords())
	r.screen.say("seed        %d%s", r.run.Plan.Seed, sharedNote(r.run.Plan.Cores))
	r.screen.say("generator   %s", load.Native())
	player := &bout.Player{Plan: r.run.Plan, Scenario: r.scene, DataDir: data, LogDir: logs, Live: r.live}
	run := &schedule.Run{Plan: r.run.Plan, Contenders: ready, Play: player.Play, Next: r.next, Commit: r.commit}
	err = run.Continue(ctx, r.run.Bouts)
	r.screen.clear()
	if ctx.Err() != nil {
		return showdown.Errorf(showdown.Interrupted, r.resumeWords(), "interrupted: %s kept", showdown.Plural(len(r.run.Bouts), "finished bout"))
	}
	if err != nil {
		return err
	}
	r.run.Status, r.run.Finished = showdown.Over, time.Now().UTC().Truncate(time.Second)
	// The run is over: an interrupt from here on must not keep it from being stored.
	if err := r.store.Update(context.WithoutCancel(ctx), r.run); err != nil {
		return err
	}
	return r.report()
}

func sharedNote(c showdown.CPUPlan) string {
	if c.Shared {
		return "   (one CPU: contender and generator share it, so figures are lower than they could be)"
	}
	return ""
}

func (r *runner) resumeWords() string {
	return "go on: showdown run --resume=" + r.run.ID + r.sameFlags()
}

// sameFlags repeats the global flags that were given, so that a printed command
// works where this one did.
func (a *app) sameFlags() string {
	flags := ""
	if a.out != envOr("SHOWDOWN_OUT", defaultOut) {
		flags += " --out " + a.out
	}
	if a.contenders != os.Getenv("SHOWDOWN_CONTENDERS") {
		flags += " --contenders " + a.contenders
	}
	return flags
}

// commit stores a finished bout; an interrupt must not keep it from being stored.
func (r *runner) commit(b showdown.Bout) error {
	if err := r.store.Add(context.Background(), r.run.ID, b); err != nil {
		return err
	}
	r.run.Bouts = append(r.run.Bouts, b)
	switch {
	case b.Failure != nil:
		r.screen.say("failed      %s: %s", b.Contender, firstLine(b.Failure.Reason))
		for line := range strings.Lines(b.Failure.Tail) {
			r.screen.say("            │ %s", cut(printable(line), 110))
		}
		if b.Failure.Hint != "" && !strings.Contains(b.Failure.Hint, b.Failure.Log) {
			r.screen.say("            %s", b.Failure.Hint)
		}
		r.screen.say("            its log: %s   the others continue", b.Failure.Log)
	case !r.screen.terminal:
		r.screen.say("%s", r.boutLine(&b))
	}
	return nil
}

func (r *runner) boutLine(b *showdown.Bout) string {
	what := "scout  "
	if b.Phase == showdown.Block {
		what = fmt.Sprintf("block %d", b.Block)
	}
	line := fmt.Sprintf("%-11s %s  %-12s capacity %-8s", r.ahead, what, b.Contender, b.Capacity)
	if w := b.Window(showdown.AtCapacity); w != nil {
		line += fmt.Sprintf("  %s  generator %.0f%%", w.Cost.MemoryPeak, 100*w.GeneratorBusy)
	}
	if w := b.Window(showdown.AtCommon); w != nil {
		line += fmt.Sprintf("  p99 %s ms at %s", showdown.Millis(w.Load.Latency.P99), w.Offered)
	}
	if len(b.Warnings) > 0 {
		line += "  ! " + string(b.Warnings[0].Kind)
	}
	return line
}

func (r *runner) next(o bout.Order, left int, eta time.Duration) {
	r.total = max(r.total, left+len(r.run.Bouts))
	r.ahead = fmt.Sprintf("%d/%d", r.total-left+1, r.total)
	r.screen.status("%s  %s · about %s left", r.ahead, o.Contender.Manifest.Name, showdown.Clock(eta))
	r.ahead += " "
	if r.screen.terminal {
		r.ahead += "· " + showdown.Clock(eta) + " left "
	}
}

func (r *runner) live(l bout.Live) {
	s := &l.Snapshot
	line := fmt.Sprintf("%s· %s %s", r.ahead, l.Contender, l.Doing)
	if l.Offered > 0 {
		line += fmt.Sprintf(" %s", l.Offered)
	}
	if s.OK > 0 {
		line += fmt.Sprintf(" · p50 %s p99 %s ms · %d failed · generator %.0f%%", showdown.Millis(s.P50), showdown.Millis(s.P99),
			s.Failed, 100*s.CPU.Seconds()/s.Elapsed.Seconds())
	}
	if l.Memory > 0 && l.CPUs > 0 {
		line += fmt.Sprintf(" · %s · %.2f CPU", l.Memory, l.CPUs)
	}
	r.screen.status("%s", line)
}

func arrow(remedy string) string {
	if remedy == "" {
		return ""
	}
	return "   → " + remedy
}
