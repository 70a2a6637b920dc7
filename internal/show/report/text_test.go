package report

import (
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// No line is wider than the terminal, whatever its width and the names.
func TestTextKeepsToWidth(t *testing.T) {
	for _, width := range []int{80, 100, 132} {
		d := document(t, invented(many(12), 3, true))
		for line := range strings.Lines(string(written(t, func(w io.Writer) error { return d.WriteText(w, Style{Width: width}) }))) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("%d columns of %d: %s", n, width, line)
			}
		}
	}
}

// Colours change nothing but the colours.
func TestTextColor(t *testing.T) {
	d := document(t, invented(models, 5, true))
	view := func(color bool) string {
		return string(written(t, func(w io.Writer) error { return d.WriteText(w, Style{Color: color}) }))
	}
	colored := view(true)
	for _, sequence := range []string{bold, dim, green, yellow, red, reset} {
		colored = strings.ReplaceAll(colored, sequence, "")
	}
	if colored != view(false) {
		t.Errorf("with the colours taken out:\n%s\nwithout colours:\n%s", colored, view(false))
	}
}
