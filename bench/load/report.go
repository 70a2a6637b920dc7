//go:build linux

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"debug/buildinfo"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"
)

// report is what -json writes.
type report struct {
	Machine machine   `json:"machine"`
	Tools   []version `json:"tools"`
	Tables  []*table  `json:"tables"`
	Targets []target  `json:"targets"`
}

type machine struct {
	CPU    string `json:"cpu"`
	Cores  string `json:"cores_online"`
	Kernel string `json:"kernel"`
}

type version struct {
	Tool    string `json:"tool"`
	Version string `json:"version,omitempty"`
	Absent  string `json:"absent,omitempty"`
}

type table struct {
	Title   string     `json:"title"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// target is something to be reached: a figure that must not be above the limit,
// or, for what should be large, not below it.
type target struct {
	What    string  `json:"what"`
	Limit   float64 `json:"limit"`
	AtLeast bool    `json:"at_least,omitempty"`
	Reached float64 `json:"reached"`
	Unit    string  `json:"unit,omitempty"`
	Met     bool    `json:"met"`
}

// describe says what is measured with, and on what.
func (b *bench) describe(ctx context.Context) {
	m := &b.report.Machine
	var u unix.Utsname
	_ = unix.Uname(&u)
	m.Kernel = unix.ByteSliceToString(u.Release[:])
	m.CPU = cpuModel()
	online, _ := os.ReadFile("/sys/devices/system/cpu/online")
	m.Cores = strings.TrimSpace(string(online))
	fmt.Printf("%s, cores %s, Linux %s\n", m.CPU, m.Cores, m.Kernel)
	for _, t := range peers {
		v := version{Tool: t.name}
		switch path := b.find(t.program); {
		case t.name == wrk2Like:
			continue
		case path == "" && t.absent != "":
			v.Absent = t.absent
		case path == "":
			v.Absent = "not installed; see -install"
		default:
			v.Version = t.versionOf(ctx, path)
		}
		b.report.Tools = append(b.report.Tools, v)
		fmt.Printf("%-12s %s\n", v.Tool, cmp.Or(v.Version, "absent: "+v.Absent))
	}
}

// versionOf asks a Go program's build, then the program.
func (t *tool) versionOf(ctx context.Context, path string) string {
	if build, err := buildinfo.ReadFile(path); err == nil && strings.HasPrefix(build.Main.Version, "v") {
		return build.Main.Path + " " + build.Main.Version
	}
	if t.version == nil {
		return "of unknown version: it does not tell"
	}
	out, _ := exec.CommandContext(ctx, path, t.version...).CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// begin opens a table and prints its title.
func (b *bench) begin(title string, columns ...string) *table {
	t := &table{Title: title, Columns: columns}
	b.report.Tables = append(b.report.Tables, t)
	fmt.Printf("\n%s\n", title)
	fmt.Print(t.line(columns))
	return t
}

const firstColumn = 34

// row adds a line and prints it at once: the parts take minutes.
func (t *table) row(cells ...string) {
	t.Rows = append(t.Rows, cells)
	fmt.Print(t.line(cells))
}

func (t *table) line(cells []string) string {
	var b strings.Builder
	for i, c := range cells {
		if i == 0 {
			fmt.Fprintf(&b, "  %-*s", firstColumn, c)
		} else {
			fmt.Fprintf(&b, "  %*s", max(len([]rune(t.Columns[i])), 8), c)
		}
	}
	return b.String() + "\n"
}

// target books a figure that must not be above the limit.
func (b *bench) target(what string, limit, reached float64, unit string) {
	b.report.Targets = append(b.report.Targets, target{what, limit, false, reached, unit, reached <= limit})
}

// targetAtLeast books one that must not be below it.
func (b *bench) targetAtLeast(what string, limit, reached float64, unit string) {
	b.report.Targets = append(b.report.Targets, target{what, limit, true, reached, unit, reached >= limit})
}

func (r *report) printTargets(w io.Writer) {
	if len(r.Targets) == 0 {
		return
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(tw, "target\tlimit\treached\t")
	for _, t := range r.Targets {
		sign, mark := "≤", "met"
		if t.AtLeast {
			sign = "≥"
		}
		if !t.Met {
			mark = "MISSED"
		}
		fmt.Fprintf(tw, "%s\t%s %s%s\t%s%s\t%s\n", t.What, sign, number(t.Limit), t.Unit, number(t.Reached), t.Unit, mark)
	}
	_ = tw.Flush()
}

// number prints three or four significant digits.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1000:
		return fmt.Sprintf("%.0f", v)
	case a >= 100:
		return fmt.Sprintf("%.1f", v)
	case a >= 10:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func (i interval) String() string { return fmt.Sprintf("%.3f (%.3f–%.3f)", i.median, i.low, i.high) }
