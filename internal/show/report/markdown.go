package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// WriteMarkdown writes the answer, the ranking and the grounds for trusting it
// in GitHub's Markdown, as for an issue or a pull request.
func (d *Document) WriteMarkdown(w io.Writer) error {
	var m markdown
	a := d.Answer()
	m.heading("##", a.Headline)
	m.linef("%s.\n", escaped(d.title()))
	for _, reason := range a.Reasons {
		m.linef("- %s", escaped(reason))
	}
	m.linef("")
	m.paragraph(a.RunnerUp)
	m.paragraph(a.Change)
	m.standings(d)
	m.unranked(d)
	m.trust(d)
	_, err := io.WriteString(w, m.b.String())
	return err
}

// markdown is a page in the making.
type markdown struct{ b strings.Builder }

// linef writes one line. Arguments that come from a contender must be escaped.
func (m *markdown) linef(format string, args ...any) {
	fmt.Fprintf(&m.b, format+"\n", args...)
}

func (m *markdown) heading(level, s string) { m.linef("%s %s\n", level, escaped(s)) }

func (m *markdown) paragraph(s string) {
	if s != "" {
		m.linef("%s\n", escaped(s))
	}
}

func (m *markdown) row(cells ...string) { m.linef("| %s |", strings.Join(cells, " | ")) }

func (m *markdown) standings(d *Document) {
	ranked := d.ranked()
	if len(ranked) == 0 {
		return
	}
	m.row("Rank", "Contender", "Capacity", "95% interval", "p99 at "+d.commonRate().String(), "Memory, mean/peak", "CPU per request", "Start-up")
	m.row("---:", ":---", "---:", "---:", "---:", "---:", "---:", "---:")
	for i := range ranked {
		m.standing(&ranked[i])
	}
	m.linef("")
	for _, p := range d.neighbours() {
		m.linef("- %s", escaped(p.Sentence()))
	}
	m.linef("")
}

func (m *markdown) standing(s *rank.Standing) {
	m.row(ranks(s), escaped(s.Contender), figure(s.Capacity, rate), plusMinus(s.Capacity),
		figure(s.Common.P99, millis), meanPeak(&s.Loaded),
		figure(s.Loaded.CPUPerRequest, millis), figure(s.Ready, millis))
}

func (m *markdown) unranked(d *Document) {
	if len(d.unranked())+len(d.Run.Skipped) == 0 {
		return
	}
	m.heading("###", "Without a rank")
	for _, s := range d.unranked() {
		m.linef("- %s: %s", escaped(s.Contender), escaped(s.Unranked))
	}
	for _, s := range d.Run.Skipped {
		m.linef("- %s (skipped)", escaped(skipped(s)))
	}
	m.linef("")
}

func (m *markdown) trust(d *Document) {
	m.heading("###", "Can this be trusted?")
	for _, c := range d.checks() {
		mark := "✓"
		if !c.Good {
			mark = "✗"
		}
		m.linef("- %s %s: %s (%s)", mark, c.Name, escaped(c.Value), escaped(c.Note))
	}
	for _, w := range d.Conditions.Doubts {
		m.linef("- Warning %s ×%d: %s", escaped(string(w.Kind)), w.Count, escaped(w.Text))
	}
	m.linef("- Machine: %s", escaped(machine(&d.Run.Machine)))
	m.linef("- Command: %s", code(quoted(d.Run.Command)))
}

// machine writes "AMD EPYC 9V74, 2 CPUs, 24 GB, Linux 6.18, virtual".
func machine(m *showdown.Machine) string {
	parts := []string{m.CPU, showdown.Plural(m.CPUs, "CPU"), m.Memory.String(), strings.TrimSpace(m.OS + " " + m.Kernel), m.Arch}
	if m.Virtual {
		parts = append(parts, "virtual")
	}
	return strings.Join(parts, ", ")
}

// escaped takes the meaning from every character that Markdown or HTML could read as markup.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range plain(s) {
		if strings.ContainsRune("\\`*_{}[]<>#|~&@", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return strings.ReplaceAll(b.String(), "://", "\\://")
}

// code writes a code span that no run of backticks within can end.
func code(s string) string {
	s = plain(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 {
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}
