package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// Style says what a terminal can show.
type Style struct {
	Color bool // whether to use colours
	Width int  // columns; 80 if 0
}

// The colours, as ANSI escape sequences.
const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	reset  = "\x1b[0m"
)

// WriteText writes the ranking as a terminal shows it: a table, what holds
// between neighbours, who has no rank and why, and the run's own checks.
func (d *Document) WriteText(w io.Writer, style Style) error {
	if style.Width <= 0 {
		style.Width = 80
	}
	t := &text{style: style}
	t.table(d)
	for _, p := range d.neighbours() {
		t.item("", "", plain(p.Sentence()))
	}
	t.gap()
	for _, s := range d.unranked() {
		t.item("no rank", red, plain(s.Contender)+": "+plain(s.Unranked))
	}
	for _, s := range d.Run.Skipped {
		t.item("skipped", dim, skipped(s))
	}
	t.checks(d)
	_, err := io.WriteString(w, t.b.String())
	return err
}

// text is a terminal's page in the making.
type text struct {
	style Style
	b     strings.Builder
}

const labelWidth = 12 // of the words left of an item

// item writes a label and wraps what belongs to it beside it.
func (t *text) item(label, color, s string) {
	room := max(20, t.style.Width-labelWidth)
	for i, line := range wrap(s, room) {
		if i > 0 {
			label = ""
		}
		line = strings.TrimRight(strings.ReplaceAll(line, noBreak, " "), " ")
		fmt.Fprintf(&t.b, "%s%s\n", t.paint(color, pad(label, labelWidth)), line)
	}
}

func (t *text) gap() {
	if s := t.b.String(); s != "" && !strings.HasSuffix(s, "\n\n") {
		t.b.WriteByte('\n')
	}
}

func (t *text) paint(color, s string) string {
	if !t.style.Color || color == "" || strings.TrimSpace(s) == "" {
		return s
	}
	return color + s + reset
}

// title writes "REST API (json), capacity at p99 ≤ 50 ms, 1 CPU".
func (d *Document) title() string {
	p := &d.Run.Plan
	s := fmt.Sprintf("%s, capacity at %s", scenario(p), objective(p.Objective))
	if n := len(p.Cores.Contender); n > 0 {
		s += ", " + showdown.Plural(n, "CPU")
	}
	return s
}

func (t *text) table(d *Document) {
	for _, line := range wrap(plain(d.title()), t.style.Width) {
		t.b.WriteString(t.paint(bold, line) + "\n")
	}
	t.gap()
	ranked := d.ranked()
	if len(ranked) == 0 {
		return
	}
	rows := [][]string{
		{"", "", "", "95%", "p99, ms", "memory", "CPU"},
		{"rank", "contender", "capacity", "interval", "at " + d.commonRate().String(), "mean/peak", "ms/req"},
	}
	for i := range ranked {
		rows = append(rows, terminalRow(&ranked[i]))
	}
	for i, line := range columns(rows, t.style.Width) {
		if i < 2 {
			line = t.paint(dim, line)
		}
		t.b.WriteString(line + "\n")
	}
	t.gap()
}

func terminalRow(s *rank.Standing) []string {
	return []string{
		ranks(s), plain(s.Contender),
		figure(s.Capacity, rate), plusMinus(s.Capacity),
		figure(s.Common.P99, bareMillis),
		meanPeak(&s.Loaded), figure(s.Loaded.CPUPerRequest, bareMillis),
	}
}

// columns aligns rows to at most the given width: the first two to the left, the
// figures to the right. It is the second, the name, that is cut if need be.
func columns(rows [][]string, width int) []string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	widths[1] = max(8, widths[1]-max(0, total-width))

	lines := make([]string, len(rows))
	for r, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			if i < 2 {
				cells[i] = pad(cut(cell, widths[i]), widths[i])
			} else {
				cells[i] = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)) + cell
			}
		}
		lines[r] = strings.TrimRight(strings.Join(cells, "  "), " ")
	}
	return lines
}

// checks writes what Showdown found about its own run.
func (t *text) checks(d *Document) {
	var parts []string
	for _, c := range d.checks() {
		mark := t.paint(green, "✓")
		if !c.Good {
			mark = t.paint(yellow, "✗")
		}
		part := strings.ToLower(c.Name[:1]) + c.Name[1:] + " " + c.Value + " " + mark
		parts = append(parts, strings.ReplaceAll(part, " ", noBreak))
	}
	t.item("self-check", "", strings.Join(parts, noBreak+noBreak+" "))
	for _, w := range d.Conditions.Doubts {
		t.item("warning", yellow, fmt.Sprintf("%s ×%d: %s", plain(string(w.Kind)), w.Count, plain(w.Text)))
	}
}

func skipped(s showdown.Skipped) string {
	text := plain(s.Name) + ": " + plain(s.Reason)
	if s.Remedy != "" {
		text += " → " + plain(s.Remedy)
	}
	return text
}

// noBreak is a space that wrap leaves whole and item then writes as any other.
const noBreak = "\u00a0"

// wrap breaks s between words into lines of at most width columns where it can.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }) {
		if line != "" && columnsOf(line)+1+columnsOf(strings.TrimRight(word, noBreak)) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// columnsOf counts the runes of s that take room on a terminal.
func columnsOf(s string) int {
	for _, sequence := range []string{bold, dim, green, yellow, red, reset} {
		s = strings.ReplaceAll(s, sequence, "")
	}
	return utf8.RuneCountInString(s)
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}
