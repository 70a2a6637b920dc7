package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/backend-showdown/showdown/internal/show/report"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// formats are what a run can be written as.
var formats = map[string]func(*report.Document, io.Writer) error{
	"html": (*report.Document).WriteHTML,
	"md":   (*report.Document).WriteMarkdown,
	"json": (*report.Document).WriteJSON,
	"csv":  (*report.Document).WriteCSV,
}

var formatNames = []string{"text", "html", "md", "json", "csv"}

func (a *app) reportCommand() *cobra.Command {
	format, file := "text", ""
	cmd := &cobra.Command{
		Use:   "report [RUN]",
		Short: "a run's results as text, html, md, json or csv",
		Long: `Report writes a run's results (the latest run's without a name), also those of a run that
is not finished yet. The JSON has a version and a schema: showdown schema results`,
		Example: "  showdown report\n  showdown report 20261122-191504 --format json > results.json\n  showdown report --format html --file report.html",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && formats[format] == nil {
				hint := showdown.Suggest(format, formatNames, "all: "+strings.Join(formatNames, ", "))
				return showdown.Usage(hint, "unknown format %q", format)
			}
			run, err := a.findRun(cmd.Context(), args)
			if err != nil {
				return err
			}
			doc, err := report.New(run)
			if err != nil {
				return err
			}
			write := func(w io.Writer) error {
				if format == "text" {
					return doc.WriteText(w, a.textStyle())
				}
				return formats[format](doc, w)
			}
			if file == "" || file == "-" {
				return write(a.stdout)
			}
			return writeFile(file, write)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", format, "`one` of text, html, md, json, csv")
	cmd.Flags().StringVar(&file, "file", "", "write to this `file` instead of the standard output")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatNames, cobra.ShellCompDirectiveNoFileComp))
	cmd.ValidArgsFunction = a.completeRuns
	return cmd
}

// findRun reads the run that the arguments name, or the latest with any bout.
func (a *app) findRun(ctx context.Context, args []string) (showdown.Run, error) {
	if _, err := os.Stat(filepath.Join(a.out, "showdown.db")); err != nil {
		return showdown.Run{}, showdown.Usage("showdown run makes one; --out says where", "no record in %s", a.out)
	}
	store, err := a.openRecord(ctx)
	if err != nil {
		return showdown.Run{}, err
	}
	defer store.Close()
	if len(args) == 1 {
		return store.Run(ctx, args[0])
	}
	id, ok, err := store.Latest(ctx, func(showdown.Run) bool { return true })
	if err != nil {
		return showdown.Run{}, err
	}
	if !ok {
		return showdown.Run{}, showdown.Usage("showdown run", "no run in the record yet")
	}
	return store.Run(ctx, id)
}

func (a *app) completeRuns(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	store, err := a.openRecord(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer store.Close()
	runs, err := store.Runs(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var ids []string
	for _, r := range runs {
		ids = append(ids, r.Run.ID)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// textStyle suits what stdout is.
func (a *app) textStyle() report.Style {
	s := report.Style{Width: 100}
	if fd, ok := terminalOf(a.stdout); ok {
		s.Color = !a.noColour && os.Getenv("TERM") != "dumb"
		if w, _, err := term.GetSize(fd); err == nil && w > 0 {
			s.Width = w
		}
	}
	return s
}

// report prints the ranking, writes the HTML file and says what to do next.
func (r *runner) report() error {
	doc, err := report.New(r.run)
	if err != nil {
		return err
	}
	fmt.Fprintln(r.stdout)
	if err := doc.WriteText(r.stdout, r.textStyle()); err != nil {
		return err
	}
	file := filepath.Join(r.folder(), "report.html")
	if err := writeFile(file, doc.WriteHTML); err != nil {
		return err
	}
	fmt.Fprintf(r.stdout, "report      %s\nnext        showdown report --format json%s      showdown run --blocks %d%s\n", file, r.sameFlags(), 2*r.run.Plan.Blocks, r.sameFlags())
	var failed []string
	for _, s := range r.failed {
		failed = append(failed, s.Name)
	}
	for i := range r.run.Bouts {
		if r.run.Bouts[i].Failure != nil {
			failed = append(failed, r.run.Bouts[i].Contender)
		}
	}
	if len(failed) > 0 {
		return showdown.Errorf(showdown.BadContender, "why: see above, and the report", "%s failed: %s",
			showdown.Plural(len(failed), "contender"), strings.Join(failed, ", "))
	}
	return nil
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return showdown.Errorf(showdown.Environment, "", "write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	buffered := bufio.NewWriter(f)
	if err := write(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return showdown.Errorf(showdown.Environment, "", "write %s: %w", path, err)
	}
	if err := f.Chmod(0o644); err != nil {
		return showdown.Errorf(showdown.Environment, "", "write %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return showdown.Errorf(showdown.Environment, "", "write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return showdown.Errorf(showdown.Environment, "", "write %s: %w", path, err)
	}
	return nil
}
