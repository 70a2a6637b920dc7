package contender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

const (
	shortHash      = 12
	failureLines   = 20
	layout         = "1" // of prepared folders; changes when old ones are of no use
	progressPeriod = 100 * time.Millisecond
)

// Prepared is a contender that is built and ready to be started.
type Prepared struct {
	Manifest *Manifest
	Dir      string // where it was built and runs
	Hash     string // of source, platform and toolchains, in hexadecimal
	BuildLog string // path
	Versions []showdown.Version
	Built    bool // false if an earlier build served
	Took     time.Duration

	held *os.File // keeps another Showdown from removing Dir
}

// Progress hears what a build does: the step, from 1 to steps, its command, and
// the last line that it printed. Step 0, without a command, is the wait for another
// Showdown that builds the same contender. It is called from one goroutine at a time.
type Progress func(step, steps int, argv []string, lastLine string)

// Contender is the manifest's identity with the versions and the hash.
func (p *Prepared) Contender() showdown.Contender {
	c := p.Manifest.Identity()
	c.Versions, c.Hash = p.Versions, p.Hash
	return c
}

// Prepare builds the contender in the folder cache, unless the same source was
// built there with the same toolchains before. A build runs where it will be used
// and is committed by a marker file written last; an unfinished one is begun
// anew. Two Showdowns do not build one contender at the same time. progress may
// be nil. The log of a failed build is kept.
func Prepare(ctx context.Context, m *Manifest, cache string, progress Progress) (*Prepared, error) {
	began := time.Now()
	if progress == nil {
		progress = func(int, int, []string, string) {}
	}
	p, err := prepare(ctx, m, cache, progress)
	if err != nil {
		return nil, explain(ctx, m, err)
	}
	p.Took = time.Since(began)
	return p, nil
}

func explain(ctx context.Context, m *Manifest, err error) error {
	if ctx.Err() != nil {
		return showdown.Errorf(showdown.Interrupted, "", "prepare %s: %w", m.Name, context.Cause(ctx))
	}
	if _, known := errors.AsType[*showdown.Error](err); known {
		return err
	}
	return showdown.Errorf(showdown.Environment, "", "prepare %s: %w", m.Name, err)
}

func prepare(ctx context.Context, m *Manifest, cache string, progress Progress) (*Prepared, error) {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return nil, err
	}
	src, err := openSource(m.Name, m.Dir)
	if err != nil {
		return nil, err
	}
	defer src.root.Close()
	sum, err := src.hash(m.circumstances(ctx))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	locked, err := lock(ctx, cache, m.Name, func() { progress(0, len(m.Build), nil, "another Showdown is building it") })
	if err != nil {
		return nil, err
	}
	defer locked.Close()

	dir := filepath.Join(cache, m.Name+"-"+sum[:shortHash])
	p := &Prepared{Manifest: m, Dir: dir, Hash: sum, BuildLog: dir + ".log"}
	mark, ok := readMarker(dir)
	if p.Built = !ok || !mark.finished() || mark.Hash != sum; p.Built {
		if mark, err = p.build(ctx, src, progress); err != nil {
			_ = removeTree(dir) // the log beside it stays
			return nil, err
		}
	}
	p.Versions = mark.Versions
	if p.held, err = hold(dir); err != nil {
		return nil, err
	}
	if p.Built {
		prune(cache, m.Name)
	}
	return p, nil
}

// circumstances are what, besides the source, makes one build differ from another.
func (m *Manifest) circumstances(ctx context.Context) []string {
	words := []string{layout, runtime.GOOS, runtime.GOARCH}
	for _, tool := range slices.Sorted(maps.Keys(m.Requires)) {
		version, _ := toolchains[tool].probe(ctx) // Missing reports what is absent
		words = append(words, tool, version)
	}
	return words
}

// build makes p.Dir from nothing.
func (p *Prepared) build(ctx context.Context, src *source, progress Progress) (marker, error) {
	m := marker{Dir: p.Dir, Hash: p.Hash}
	if err := p.claim(m); err != nil {
		return m, err
	}
	if err := src.copyTo(p.Dir); err != nil {
		return m, err
	}
	if err := p.runSteps(ctx, progress); err != nil {
		return m, err
	}
	versions, err := p.Manifest.probeVersions(ctx, p.Dir)
	if err != nil {
		return m, err
	}
	m.Built, m.Versions = time.Now(), versions
	return m, writeMarker(p.Dir, m)
}

// claim makes p.Dir an empty folder that is known to be ours.
func (p *Prepared) claim(m marker) error {
	if err := removeTree(p.Dir); err != nil {
		return err
	}
	if err := os.Mkdir(p.Dir, 0o755); err != nil {
		return err
	}
	return writeMarker(p.Dir, m)
}

func (p *Prepared) runSteps(ctx context.Context, progress Progress) error {
	log, err := newBoundedLog(p.BuildLog)
	if err != nil {
		return err
	}
	var failed error
	for i, argv := range p.Manifest.Build {
		fmt.Fprintf(log, "$ %s\n", display(argv))
		watcher := &lineWatcher{to: log, tell: func(line string) { progress(i+1, len(p.Manifest.Build), argv, line) }}
		watcher.tell("")
		if failed = run(ctx, p.Dir, argv, watcher); failed != nil {
			break
		}
	}
	if err := log.Close(); err != nil {
		return err
	}
	if failed != nil && ctx.Err() == nil {
		return showdown.Errorf(showdown.BadContender, "the whole log: "+p.BuildLog, "build %s: %w\n%s",
			p.Manifest.Name, failed, indent(tailOf(p.BuildLog, failureLines)))
	}
	return failed
}

// run runs one command of a build under a guard: a build may start daemons, and
// may be interrupted.
func run(ctx context.Context, dir string, argv []string, output io.Writer) error {
	program, err := programPath(dir, argv[0])
	if err != nil {
		return err
	}
	g, err := spawn(orders{Program: program, Args: argv, Dir: dir, Env: buildEnviron()}, output)
	if err != nil {
		return err
	}
	select {
	case <-g.gone:
	case <-ctx.Done():
		g.ask(0)
		<-g.gone
		return ctx.Err()
	}
	switch {
	case g.lost:
		return fmt.Errorf("%s failed with its guard", display(argv))
	case g.signal != "":
		return fmt.Errorf("%s was ended by %s", display(argv), g.signal)
	case g.status != 0:
		return fmt.Errorf("%s failed with status %d", display(argv), g.status)
	}
	return nil
}

// probeVersions asks for the versions of the stack's parts.
func (m *Manifest) probeVersions(ctx context.Context, dir string) ([]showdown.Version, error) {
	found := map[string]string{}
	for _, r := range m.Versions.roles() {
		if r.probe.SameAs != "" {
			continue
		}
		version, err := probeVersion(ctx, dir, r.probe.Command)
		if err != nil {
			return nil, showdown.Errorf(showdown.BadContender, "see versions in its "+ManifestName, "find %s version of %s: %w", r.name, m.Name, err)
		}
		found[r.name] = version
	}
	var versions []showdown.Version
	for _, r := range m.Versions.roles() {
		version := found[r.name]
		if r.probe.SameAs != "" {
			version = found[r.probe.SameAs]
		}
		versions = append(versions, showdown.Version{Role: r.name, Name: r.probe.Name, Version: version})
	}
	return versions, nil
}

func probeVersion(ctx context.Context, dir string, argv []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	out, err := capture(ctx, dir, argv)
	if err != nil {
		return "", err
	}
	if version := findVersion(out); version != "" {
		return version, nil
	}
	return "", fmt.Errorf("%s printed no version", display(argv))
}

// lineWatcher passes output on and tells the last line of it, now and then.
type lineWatcher struct {
	mu   sync.Mutex
	to   io.Writer
	tell func(line string)
	line []byte
	told time.Time
}

func (w *lineWatcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line = append(w.line, p...)
	if over := len(w.line) - 4096; over > 0 {
		w.line = w.line[over:]
	}
	if line := w.last(); line != "" && time.Since(w.told) >= progressPeriod {
		w.told = time.Now()
		w.tell(line)
	}
	return w.to.Write(p)
}

// last gives the last whole line; some programs end lines with a carriage return.
func (w *lineWatcher) last() string {
	end := bytes.LastIndexAny(w.line, "\r\n")
	if end < 0 {
		return ""
	}
	text := bytes.TrimRight(w.line[:end], "\r\n \t")
	start := bytes.LastIndexAny(text, "\r\n") + 1
	return strings.TrimSpace(printable(string(text[start:])))
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }
