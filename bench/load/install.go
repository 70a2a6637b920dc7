//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// install gets the tools that are absent. One that cannot be had is told and
// does not keep the others from being installed.
func (b *bench) install(ctx context.Context) error {
	for _, t := range peers {
		switch {
		case t.present(b):
			fmt.Printf("%-18s is there\n", t.name)
			continue
		case t.fetch == nil:
			fmt.Printf("%-18s absent: %s\n", t.name, t.absent)
			continue
		}
		var argv []string
		for _, word := range t.fetch {
			argv = append(argv, strings.ReplaceAll(word, "{cache}", b.cache))
		}
		fmt.Printf("%-18s %s\n", t.name, strings.Join(argv, " "))
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Dir = b.work // outside the module: versions are the tools' own
		cmd.Env = append(os.Environ(), "GOBIN="+filepath.Join(b.cache, "bin"))
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Printf("%-18s absent: %v: %s\n", t.name, err, lastWords(string(out)))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
