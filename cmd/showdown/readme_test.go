package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every command and every flag that the documents name exists.
func TestDocumentsNameRealCommandsAndFlags(t *testing.T) {
	commands, flags := map[string]bool{"help": true, "completion": true}, map[string]bool{"help": true}
	collect := func(f *pflag.Flag) { flags[f.Name] = true }
	root := (&app{}).root()
	root.PersistentFlags().VisitAll(collect)
	for _, c := range root.Commands() {
		commands[c.Name()] = true
		c.Flags().VisitAll(collect)
	}
	for _, file := range []string{"README.md", "CONTRIBUTING.md", "METHOD.md"} {
		b, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		// Commands stand in code: after "showdown" within backquotes or in an indented line.
		for _, m := range regexp.MustCompile("(?m)(?:`|^    .*)showdown ([a-z]+)").FindAllStringSubmatch(string(b), -1) {
			if !commands[m[1]] {
				t.Errorf("%s names showdown %s, which does not exist", file, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`[ \x60]--([a-z][a-z0-9-]+)`).FindAllStringSubmatch(string(b), -1) {
			if !flags[m[1]] {
				t.Errorf("%s names --%s, which does not exist", file, m[1])
			}
		}
	}
}

// The examples in the commands' own help parse: right arguments, known flags.
func TestExamplesParse(t *testing.T) {
	for _, c := range (&app{}).root().Commands() {
		for line := range strings.Lines(c.Example) {
			words := strings.Fields(strings.NewReplacer("'", "", `"`, "").Replace(line))
			if len(words) < 2 || words[0] != "showdown" {
				t.Errorf("example %q", line)
				continue
			}
			for i, w := range words {
				if w == ">" {
					words = words[:i]
					break
				}
			}
			root := (&app{}).root()
			found, rest, err := root.Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil && found.Args != nil {
				err = cobra.PositionalArgs(found.Args)(found, found.Flags().Args())
			}
			if err != nil {
				t.Errorf("example %q: %v", strings.TrimSpace(line), err)
			}
		}
	}
}
