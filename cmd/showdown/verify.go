package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/arena/scenario"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// verifyReport is what `showdown verify --json` prints for one contender.
type verifyReport struct {
	Contender string           `json:"contender"`
	Scenario  string           `json:"scenario"`
	Passed    int              `json:"passed"`
	Checks    []scenario.Check `json:"checks"`
	Failure   string           `json:"failure,omitempty"`
}

func (a *app) verifyCommand() *cobra.Command {
	var address string
	name, asJSON, verbose := "json", false, false
	cmd := &cobra.Command{
		Use:   "verify [CONTENDER|PATH...]",
		Short: "does it keep the contracts?",
		Long: `Verify starts each contender (all of them without arguments) and holds it against every
rule of the scenario's contract. Where one breaks it shows the request, the answer and
the expectation. With --url it asks a service that already runs.`,
		Example: "  showdown verify gin\n  showdown verify ./my-service\n  showdown verify --url http://127.0.0.1:8080",
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := scenario.Named(name)
			if err != nil {
				return err
			}
			v := &verifier{app: a, scene: s, screen: a.newScreen(), verbose: verbose, asJSON: asJSON}
			if address != "" {
				return v.running(cmd.Context(), address)
			}
			return v.contenders(cmd.Context(), args)
		},
	}
	cmd.ValidArgsFunction = a.completeContenders
	cmd.Flags().StringVar(&name, "scenario", name, "which `scenario`")
	cmd.Flags().StringVar(&address, "url", "", "ask the service that already runs at this `address`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print every check as JSON")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "also list the checks that passed")
	return cmd
}

type verifier struct {
	*app
	scene   scenario.Scenario
	screen  *screen
	verbose bool
	asJSON  bool
	broken  []string
}

// running verifies a service that somebody else started.
func (v *verifier) running(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return showdown.Usage("give it as http://127.0.0.1:8080", "address %q is not an http URL", address)
	}
	checks, err := v.scene.Verify(ctx, hostPort(u))
	if err != nil {
		return err
	}
	v.print(verifyReport{Contender: address, Scenario: v.scene.Name(), Checks: checks})
	return v.outcome()
}

func (v *verifier) contenders(ctx context.Context, args []string) error {
	manifests, err := v.library(args)
	if err != nil {
		return err
	}
	line, err := v.prepare(ctx, v.screen, manifests, v.scene.Name())
	if err != nil {
		return err
	}
	for _, s := range line.skipped {
		v.screen.say("skipped     %s: %s", s.Name, s.Reason)
	}
	dir, err := os.MkdirTemp("", "showdown-verify-")
	if err != nil {
		return showdown.Errorf(showdown.Environment, "", "make a temporary folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := v.scene.WriteData(dir); err != nil {
		return err
	}
	for _, p := range line.ready {
		v.screen.status("verifying   %s", p.Manifest.Name)
		checks, err := v.one(ctx, p, dir)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r := verifyReport{Contender: p.Manifest.Name, Scenario: v.scene.Name(), Checks: checks}
		if err != nil {
			r.Failure = err.Error()
		}
		v.screen.clear()
		v.print(r)
	}
	for _, f := range line.failed {
		v.broken = append(v.broken, f.Name)
	}
	return v.outcome()
}

// one starts a contender, asks it everything and stops it, which is a rule too.
func (v *verifier) one(ctx context.Context, p *contender.Prepared, dir string) (checks []scenario.Check, err error) {
	port, err := contender.FreePort()
	if err != nil {
		return nil, err
	}
	process, err := p.Start(ctx, contender.StartOptions{Port: port, DataDir: dir, Log: filepath.Join(dir, p.Manifest.Name+".log")})
	if err != nil {
		return nil, err
	}
	defer func() {
		exit, stopErr := process.Stop(context.WithoutCancel(ctx))
		if err == nil {
			checks, err = append(checks, stopCheck(exit)), stopErr
		}
	}()
	if _, err := process.WaitReady(ctx); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, process.Tail(10))
	}
	return v.scene.Verify(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

func stopCheck(exit contender.Exit) scenario.Check {
	c := scenario.Check{Rule: "J11", Name: "stops on SIGTERM"}
	if !exit.Clean {
		c.Breach = &scenario.Breach{
			Request: "SIGTERM, with idle connections open", Want: "exit status 0 within 5 s, and no process left",
			Got: exit.String(),
		}
	}
	return c
}

func (v *verifier) print(r verifyReport) {
	for _, c := range r.Checks {
		if c.Breach == nil {
			r.Passed++
		}
	}
	if r.Failure != "" || r.Passed < len(r.Checks) {
		v.broken = append(v.broken, r.Contender)
	}
	if v.asJSON {
		e := json.NewEncoder(v.stdout)
		e.SetIndent("", "  ")
		_ = e.Encode(r)
		return
	}
	mark := "✓"
	if r.Failure != "" || r.Passed < len(r.Checks) {
		mark = "✗"
	}
	fmt.Fprintf(v.stdout, "%s %s  %s: %d of %d checks passed\n", mark, r.Contender, r.Scenario, r.Passed, len(r.Checks))
	if r.Failure != "" {
		fmt.Fprintf(v.stdout, "    %s\n", r.Failure)
	}
	for _, c := range r.Checks {
		switch b := c.Breach; {
		case b != nil:
			fmt.Fprintf(v.stdout, "  ✗ %-4s %s\n      request  %s\n      rule     %s\n      got      %s\n", c.Rule, c.Name, b.Request, b.Want, b.Got)
		case v.verbose:
			fmt.Fprintf(v.stdout, "  ✓ %-4s %s\n", c.Rule, c.Name)
		}
	}
}

func (v *verifier) outcome() error {
	if len(v.broken) == 0 {
		return nil
	}
	return showdown.Errorf(showdown.BadContender, "the rules in words: scenarios/"+v.scene.Name()+"/README.md",
		"%s broken by: %v", "contract "+v.scene.Name(), v.broken)
}
