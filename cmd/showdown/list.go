package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/arena/scenario"
	"github.com/backend-showdown/showdown/internal/show/report"
	"github.com/backend-showdown/showdown/internal/showdown"
)

func (a *app) listCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:       "list [contenders|scenarios]",
		Short:     "the contenders and the scenarios",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"contenders", "scenarios"},
		RunE: func(_ *cobra.Command, args []string) error {
			both := len(args) == 0
			var out struct {
				Contenders []showdown.Contender `json:"contenders,omitempty"`
				Scenarios  []scenarioLine       `json:"scenarios,omitempty"`
			}
			if both || args[0] == "contenders" {
				manifests, err := a.library(nil)
				if err != nil {
					return err
				}
				if !asJSON {
					printContenders(a.stdout, manifests)
				}
				for _, m := range manifests {
					out.Contenders = append(out.Contenders, m.Identity())
				}
			}
			if both || args[0] == "scenarios" {
				for _, s := range scenario.All() {
					out.Scenarios = append(out.Scenarios, scenarioLine{s.Name(), s.Title(), s.Objective()})
				}
				if !asJSON {
					printScenarios(a.stdout, out.Scenarios)
				}
			}
			if asJSON {
				return printJSON(a.stdout, out)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

type scenarioLine struct {
	Name      string             `json:"name"`
	Title     string             `json:"title"`
	Objective showdown.Objective `json:"objective"`
}

func printContenders(w io.Writer, manifests []*contender.Manifest) {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "CONTENDER\tLANGUAGE\tFRAMEWORK\tSCENARIOS\tNEEDS")
	for _, m := range manifests {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.Name, m.Language, m.Framework, strings.Join(m.Implements, " "), m.Needs())
	}
	_ = t.Flush()
}

func printScenarios(w io.Writer, scenarios []scenarioLine) {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "SCENARIO\tWHAT IT IS\tOBJECTIVE")
	for _, s := range scenarios {
		fmt.Fprintf(t, "%s\t%s\tp%g ≤ %s ms, errors ≤ %g%%\n", s.Name, s.Title, 100*s.Objective.Quantile, showdown.Millis(s.Objective.Latency), 100*s.Objective.ErrorRate)
	}
	_ = t.Flush()
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (a *app) runsCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "the runs in the record, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := a.openRecord(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			runs, err := store.Runs(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				list := []showdown.Run{}
				for _, r := range runs {
					list = append(list, r.Run)
				}
				return printJSON(a.stdout, list)
			}
			if len(runs) == 0 {
				fmt.Fprintf(a.stderr, "no runs in %s yet   → showdown run\n", a.out)
				return nil
			}
			t := tabwriter.NewWriter(a.stdout, 0, 0, 3, ' ', 0)
			fmt.Fprintln(t, "RUN\tSTARTED\tSTATE\tSCENARIO\tBLOCKS\tBOUTS\tCONTENDERS")
			unfinished := ""
			for _, s := range runs {
				var names []string
				for _, c := range s.Run.Contenders {
					names = append(names, c.Name)
				}
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", s.Run.ID, s.Run.Started.Local().Format(time.DateTime), s.Run.Status, s.Run.Plan.Scenario,
					s.Run.Plan.Blocks, s.Bouts, strings.Join(names, " "))
				if s.Run.Status == showdown.Running && unfinished == "" {
					unfinished = s.Run.ID
				}
			}
			_ = t.Flush()
			if unfinished != "" {
				fmt.Fprintf(a.stderr, "go on with the unfinished: showdown run --resume=%s%s\n", unfinished, a.sameFlags())
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// schemas are the documents that Showdown reads or writes.
var schemas = map[string]func() ([]byte, error){
	"contender": contender.Schema,
	"results":   report.Schema,
	"load":      report.LoadSchema,
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [contender|results|load]",
		Short: "the JSON Schema of a manifest (showdown.yaml), of results (--format json) or of load --json",
		Example: "  showdown schema > contender.schema.json\n" +
			"  showdown schema results > results.schema.json",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"contender", "results", "load"},
		RunE: func(_ *cobra.Command, args []string) error {
			which := "contender"
			if len(args) == 1 {
				which = args[0]
			}
			b, err := schemas[which]()
			if err != nil {
				return err
			}
			_, err = a.stdout.Write(b)
			return err
		},
	}
}
