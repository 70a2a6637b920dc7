package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// library finds the contenders that the arguments name; all of them without any.
func (a *app) library(args []string) ([]*contender.Manifest, error) {
	root := a.contenders
	if root == "" {
		var err error
		if root, err = contender.Find("."); err != nil && (len(args) == 0 || !allPaths(args)) {
			return nil, err
		}
	}
	return contender.Resolve(root, args)
}

// namesOf says how to find contenders again: by name those of the library, by
// path all others.
func (a *app) namesOf(manifests []*contender.Manifest) []string {
	root := a.contenders
	if root == "" {
		root, _ = contender.Find(".") // without a library all are found by path
	}
	root, _ = filepath.Abs(root)
	var names []string
	for _, m := range manifests {
		if filepath.Dir(m.Dir) == root {
			names = append(names, m.Name)
		} else {
			names = append(names, m.Dir)
		}
	}
	return names
}

// completeContenders offers the library's names to the shell, and files for paths.
func (a *app) completeContenders(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	manifests, err := a.library(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	for _, m := range manifests {
		if !slices.Contains(args, m.Name) {
			names = append(names, m.Name+"\t"+m.Title)
		}
	}
	return names, cobra.ShellCompDirectiveDefault
}

// allPaths reports whether no argument needs the library.
func allPaths(args []string) bool {
	for _, arg := range args {
		if arg != "." && !strings.Contains(arg, "/") {
			return false
		}
	}
	return true
}

// lineup is what preparing left: who can play, and who cannot and why.
type lineup struct {
	ready   []*contender.Prepared
	skipped []showdown.Skipped // the machine lacks something: no failure
	failed  []showdown.Skipped // their build failed: exit 4
}

// prepare builds the contenders that this machine can build and that play the
// scenario. One that cannot be built does not keep the others from playing.
func (a *app) prepare(ctx context.Context, scr *screen, manifests []*contender.Manifest, scenario string) (lineup, error) {
	var l lineup
	cache, err := contender.CacheDir()
	if err != nil {
		return l, err
	}
	for i, m := range manifests {
		if skip, ok := cannotPlay(ctx, m, scenario); ok {
			l.skipped = append(l.skipped, skip)
			continue
		}
		prepared, err := a.prepareOne(ctx, scr, m, cache, fmt.Sprintf("%d/%d", i+1, len(manifests)))
		switch {
		case ctx.Err() != nil:
			return l, ctx.Err()
		case err != nil:
			scr.say("failed      %s: %v", m.Name, err)
			if hint := showdown.HintOf(err); hint != "" {
				scr.say("            %s", hint)
			}
			l.failed = append(l.failed, showdown.Skipped{Name: m.Name, Reason: firstLine(err.Error()), Remedy: showdown.HintOf(err)})
		default:
			l.ready = append(l.ready, prepared)
		}
	}
	scr.clear()
	return l, nil
}

func (a *app) prepareOne(ctx context.Context, scr *screen, m *contender.Manifest, cache, place string) (*contender.Prepared, error) {
	began, said := time.Now(), false
	p, err := contender.Prepare(ctx, m, cache, func(step, steps int, argv []string, lastLine string) {
		if !said && !scr.terminal {
			said = true
			scr.say("preparing   %s  %s (once; cached afterwards)", place, m.Name)
		}
		scr.status("preparing   %s  %s ▸ %s   step %d/%d, %s   %s", place, m.Name, strings.Join(argv, " "), step, steps,
			showdown.Clock(time.Since(began)), scr.dim(lastLine))
	})
	if err == nil && p.Built && p.Took > time.Second {
		scr.say("prepared    %s in %s (once; cached afterwards)", m.Name, showdown.Clock(p.Took))
	}
	return p, err
}

// cannotPlay says why a contender is left out: the scenario is not its own, or
// the machine lacks what it needs.
func cannotPlay(ctx context.Context, m *contender.Manifest, scenario string) (showdown.Skipped, bool) {
	if reason, ok := m.Omits[scenario]; ok {
		return showdown.Skipped{Name: m.Name, Reason: "does not play " + scenario + ": " + reason}, true
	}
	for _, s := range m.Implements {
		if s != scenario {
			continue
		}
		missing := m.Missing(ctx)
		if len(missing) == 0 {
			return showdown.Skipped{}, false
		}
		var reasons []string
		for _, lack := range missing {
			reasons = append(reasons, lack.Tool+" "+lack.Reason)
		}
		return showdown.Skipped{Name: m.Name, Reason: strings.Join(reasons, "; "), Remedy: "showdown doctor"}, true
	}
	return showdown.Skipped{Name: m.Name, Reason: "does not implement " + scenario}, true
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
