package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/backend-showdown/showdown/internal/arena/scenario"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// dataCommand helps the author of a contender: it writes what DATA_DIR will hold.
func (a *app) dataCommand() *cobra.Command {
	name := "json"
	cmd := &cobra.Command{
		Use:   "data FOLDER",
		Short: "write a scenario's data set, to develop a contender against",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			s, err := scenario.Named(name)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return showdown.Errorf(showdown.Environment, "", "make %s: %w", args[0], err)
			}
			if err := s.WriteData(args[0]); err != nil {
				return showdown.Errorf(showdown.Environment, "", "%w", err)
			}
			fmt.Fprintf(a.stdout, "DATA_DIR=%s\n", args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "scenario", name, "which `scenario`")
	return cmd
}
