//go:build linux

// Bench/load compares load generators on one machine against the same pinned
// server, and says how far each is from the floor. See ../README.md.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// bench is one run of the harness.
type bench struct {
	root, cache, work     string // folders: the module, what was installed, this run's own
	server, floor, driver string // programs
	showdown              string
	help                  string   // of showdown load
	engine                string   // of ours, or "" for each
	chosen                []string // names of the tools, or all
	port, pairs, rounds   int
	long                  bool
	report                report
}

// part is one measurement.
type part struct {
	name string
	run  func(context.Context, *bench) error
}

var parts = []part{
	{"closed", closedLoop},
	{"bodies", bodies},
	{"working", working},
	{"open2k", openSlow},
	{"open20k", openFast},
	{"truth", truth},
	{"lag", lag},
	{"websocket", webSocket},
	{"memory", memory},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		if hint := showdown.HintOf(err); hint != "" {
			fmt.Fprintln(os.Stderr, "      ", hint)
		}
		os.Exit(int(showdown.CodeOf(err)))
	}
}

func run() error {
	b := &bench{}
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	only := flag.String("only", "", "parts to run, of "+strings.Join(names, ", ")+" (default: all)")
	tools := flag.String("tools", "", "tools to compare with wrk, such as h2load,ours,floor (default: all)")
	jsonFile := flag.String("json", "", "also write the figures to this `file`")
	installing := flag.Bool("install", false, "install the tools that are absent and can be had by name, and stop")
	flag.IntVar(&b.pairs, "pairs", 40, "pairs of slices in each comparison")
	flag.BoolVar(&b.long, "long", false, "compare the memory of 10 minutes with that of 1 minute, instead of 60 s with 10 s")
	flag.IntVar(&b.rounds, "rounds", 5, "interleaved runs of each tool in the open loops")
	flag.StringVar(&b.engine, "engine", "", "the only one of our engines to measure (default: each)")
	flag.IntVar(&b.port, "port", 18080, "first of the ports that the server listens on")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if runtime.NumCPU() < 2 {
		return showdown.Errorf(showdown.Environment, "", "the server and the generator need a core each, and this machine has one")
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer os.RemoveAll(b.work)
	if *installing {
		return b.install(ctx)
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	b.chosen = words(*tools)
	chosen := words(*only)
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return showdown.Usage(showdown.Suggest(name, names, "the parts are "+strings.Join(names, ", ")), "-only %q is no part", name)
		}
	}
	b.describe(ctx)
	for _, p := range parts {
		if len(chosen) > 0 && !slices.Contains(chosen, p.name) {
			continue
		}
		if err := p.run(ctx, b); err != nil {
			if ctx.Err() != nil {
				return showdown.Errorf(showdown.Interrupted, "", "interrupted")
			}
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	b.report.printTargets(os.Stdout)
	if *jsonFile == "" {
		return nil
	}
	text, err := json.MarshalIndent(b.report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(*jsonFile, append(text, '\n'), 0o644)
}

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func (b *bench) prepare(ctx context.Context) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return showdown.Errorf(showdown.Environment, "run it inside the module: go run ./bench/load", "find the module: %w", err)
	}
	b.root = strings.TrimSpace(string(root))
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	b.cache = filepath.Join(cache, "showdown-bench")
	if err := os.MkdirAll(filepath.Join(b.cache, "bin"), 0o755); err != nil {
		return err
	}
	b.work, err = os.MkdirTemp("", "showdown-bench-")
	return err
}

// build makes the programs of this run.
func (b *bench) build(ctx context.Context) error {
	b.server, b.floor, b.driver, b.showdown = b.path("server"), b.path("floor"), b.path("driver"), b.path("showdown")
	for _, c := range []struct {
		folder string
		argv   []string
	}{
		{"bench/load", []string{"cc", "-O2", "-o", b.server, "server.c", "-lm"}},
		{"bench/load", []string{"cc", "-O2", "-o", b.floor, "floor.c"}},
		{"bench/load/driver", []string{"go", "build", "-o", b.driver, "."}},
		{"cmd/showdown", []string{"go", "build", "-o", b.showdown, "."}},
	} {
		if err := b.make(ctx, c.folder, c.argv...); err != nil {
			return err
		}
	}
	help, err := exec.CommandContext(ctx, b.showdown, "load", "--help").Output()
	b.help = string(help)
	return err
}

// make runs a compiler in a folder of the module.
func (b *bench) make(ctx context.Context, folder string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = filepath.Join(b.root, folder)
	if out, err := cmd.CombinedOutput(); err != nil {
		return showdown.Errorf(showdown.Environment, "a C compiler and Go are needed", "build in %s: %w\n%s", folder, err, out)
	}
	return nil
}

// wants reports whether the tool of that name was asked for.
func (b *bench) wants(name string) bool {
	return len(b.chosen) == 0 || slices.Contains(b.chosen, name)
}

// path is a file's place in the folder of this run.
func (b *bench) path(name string) string { return filepath.Join(b.work, name) }

// fresh is the same without what an earlier run of a tool left there.
func (b *bench) fresh(name string) string {
	_ = os.Remove(b.path(name))
	return b.path(name)
}

// file writes a file there.
func (b *bench) file(name, text string) string {
	if err := os.WriteFile(b.path(name), []byte(text), 0o644); err != nil {
		panic(err) // in a folder of our own
	}
	return b.path(name)
}
