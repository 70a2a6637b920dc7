// Command showdown settles backend arguments with evidence. Each subcommand has
// a file of its own; only this package reads flags, prints or exits.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/showdown"
)

func main() {
	contender.RunGuardIfAsked()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program as a function of its arguments and streams.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := app.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)

	ctx, stop := app.interruptible(context.Background())
	defer stop()
	err := root.ExecuteContext(ctx)
	if errors.Is(err, context.Canceled) && showdown.CodeOf(err) != showdown.Interrupted {
		err = showdown.Errorf(showdown.Interrupted, "", "interrupted")
	}
	if err != nil {
		app.explain(err)
	}
	return int(showdown.CodeOf(err))
}

// interruptible gives a context that the first Ctrl-C or SIGTERM cancels; the
// second ends the program at once. Contenders never outlive it: their guards see
// its pipe close.
func (a *app) interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; !ok {
			return
		}
		fmt.Fprintln(a.stderr, "\ninterrupted: stopping (again to stop at once)")
		cancel()
		if _, ok := <-signals; ok {
			if hint, _ := a.onInterrupt.Load().(string); hint != "" {
				fmt.Fprintln(a.stderr, hint)
			}
			os.Exit(int(showdown.Interrupted))
		}
	}()
	return ctx, func() { signal.Stop(signals); close(signals); cancel() }
}

// app carries the streams and the global flags to the subcommands.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	contenders     string // folder of the contenders, or "" to look for it
	out            string // folder of records and reports
	noColour       bool
	onInterrupt    atomic.Value // string: what to print when stopped at once
}

const defaultOut = "showdown-out"

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "showdown",
		Short: "settles backend arguments with evidence",
		Long: `Showdown runs the same real workload against real backends on this machine, measures
capacity, latency, memory and CPU without fooling itself, and says which differences
are real.

Start with:  showdown run`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().StringVar(&a.contenders, "contenders", os.Getenv("SHOWDOWN_CONTENDERS"), "`folder` of the contenders (default: the nearest contenders/)")
	root.PersistentFlags().StringVarP(&a.out, "out", "o", envOr("SHOWDOWN_OUT", defaultOut), "`folder` for records, logs and reports")
	root.PersistentFlags().BoolVar(&a.noColour, "no-color", os.Getenv("NO_COLOR") != "", "no colours")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(cmd, err) })
	root.AddCommand(a.runCommand(), a.loadCommand(), a.verifyCommand(), a.reportCommand(), a.listCommand(), a.runsCommand(),
		a.doctorCommand(), a.schemaCommand(), a.dataCommand(), a.versionCommand())
	for _, c := range root.Commands() {
		c.Args = usageArgs(c.Args)
	}
	root.Args = usageArgs(unknownCommand)
	return root
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// unknownCommand refuses stray words after the program's name.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return showdown.Usage(showdown.Suggest(args[0], names, "all: showdown help"), "unknown command %q", args[0])
}

// usageArgs makes complaints about arguments exit with the status for bad usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		return nil
	}
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil || showdown.CodeOf(err) == showdown.BadUsage {
			return err
		}
		return showdown.Usage("usage: "+cmd.UseLine(), "%w", err)
	}
}

// flagError adds "did you mean" to unknown flags.
func flagError(cmd *cobra.Command, err error) error {
	hint := "all flags: " + cmd.CommandPath() + " --help"
	if name, ok := strings.CutPrefix(err.Error(), "unknown flag: --"); ok {
		if near := showdown.Nearest(name, flagNames(cmd)); near != "" {
			hint = fmt.Sprintf("did you mean --%s?   %s", near, hint)
		}
	}
	return showdown.Usage(hint, "%w", err)
}

// explain prints an error and what may help.
func (a *app) explain(err error) {
	fmt.Fprintf(a.stderr, "error: %s\n", err)
	if hint := showdown.HintOf(err); hint != "" {
		fmt.Fprintf(a.stderr, "  %s\n", strings.ReplaceAll(hint, "\n", "\n  "))
	}
}

// flagNames lists the flags that cmd knows.
func flagNames(cmd *cobra.Command) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}
