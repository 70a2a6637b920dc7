package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/backend-showdown/showdown/internal/arena/bout"
	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/measure/meter"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// diagnosis is what `showdown doctor --json` prints.
type diagnosis struct {
	Machine    showdown.Machine `json:"machine"`
	Cores      showdown.CPUPlan `json:"cores"`
	Contenders []patient        `json:"contenders"`
}

type patient struct {
	Name    string              `json:"name"`
	Missing []contender.Missing `json:"missing,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	fix, asJSON := false, false
	cmd := &cobra.Command{
		Use:   "doctor [CONTENDER|PATH...]",
		Short: "what this machine lacks for which contender, and how to get it",
		Long: `Doctor looks for what each contender needs and names the package that brings it. With
--fix it installs the packages with apt-get on Debian and Ubuntu.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			manifests, err := a.library(args)
			if err != nil {
				return err
			}
			d := diagnose(cmd.Context(), manifests)
			if fix {
				if packages := d.packages(); len(packages) > 0 {
					fmt.Fprintf(a.stderr, "installing  %s\n", strings.Join(packages, " "))
					if err := contender.Install(cmd.Context(), packages, a.stderr); err != nil {
						return err
					}
					d = diagnose(cmd.Context(), manifests)
				}
			}
			if asJSON {
				return printJSON(a.stdout, d)
			}
			a.printDiagnosis(d, fix)
			return nil
		},
	}
	cmd.ValidArgsFunction = a.completeContenders
	cmd.Flags().BoolVar(&fix, "fix", false, "install what is missing (Debian and Ubuntu)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func diagnose(ctx context.Context, manifests []*contender.Manifest) diagnosis {
	d := diagnosis{Machine: meter.Machine(), Cores: bout.Cores()}
	for _, m := range manifests {
		d.Contenders = append(d.Contenders, patient{m.Name, m.Missing(ctx)})
	}
	return d
}

// packages lists what --fix would install.
func (d *diagnosis) packages() []string {
	var all []string
	for _, p := range d.Contenders {
		for _, m := range p.Missing {
			all = append(all, m.Packages...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (a *app) printDiagnosis(d diagnosis, fixed bool) {
	m := &d.Machine
	fmt.Fprintf(a.stdout, "machine     %s, %s, %s %s\n", showdown.Plural(m.CPUs, "CPU"), m.Memory, m.OS, m.Kernel)
	if d.Cores.Shared {
		fmt.Fprintln(a.stdout, "! one CPU   contender and generator share it: figures will be lower and noisier than on two")
	}
	width := 0
	for _, p := range d.Contenders {
		width = max(width, len(p.Name))
	}
	lacking := 0
	for _, p := range d.Contenders {
		if len(p.Missing) == 0 {
			fmt.Fprintf(a.stdout, "✓ %-*s  ready\n", width, p.Name)
			continue
		}
		lacking++
		for _, lack := range p.Missing {
			fmt.Fprintf(a.stdout, "✗ %-*s  %s: %s   → %s\n", width, p.Name, lack.Tool, lack.Reason, remedy(lack))
		}
	}
	switch packages := d.packages(); {
	case lacking == 0:
		fmt.Fprintln(a.stdout, "next        showdown run")
	case len(packages) > 0 && !fixed:
		fmt.Fprintln(a.stdout, "next        showdown doctor --fix   installs", strings.Join(packages, " "))
	default:
		fmt.Fprintf(a.stdout, "next        showdown run   plays without %s\n", showdown.Plural(lacking, "contender"))
	}
}

func remedy(m contender.Missing) string {
	if len(m.Packages) > 0 {
		return "apt-get install " + strings.Join(m.Packages, " ")
	}
	return m.Remedy
}
