package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// FuzzEscape puts a text wherever a run holds one, and holds every view against
// that of a harmless text: the page must have the same elements, and no view
// may pass on a control character, markup or a formula.
func FuzzEscape(f *testing.F) {
	for _, seed := range []string{
		"axum", hostile, `"><img src=x onerror=alert(1)>`, "</script><script>alert(1)</script>", "</style>", "<!--", "]]>",
		"\x1b]0;owned\a\x1b[2J", "a\r\nb\tc\x00", "\u202eevil", "=cmd|'/c calc'!A0", "| a | b |\n\n# h\n```\n<b>", "[x](javascript:alert(1))",
		"{{.}}", "`", "&lt;", "\u2028", "javascript:alert(1)//http://example.org", "\xff\xfe", "-1", "@import",
	} {
		f.Add(seed)
	}
	small := invented(models[5:], 1, true)
	f.Fuzz(func(t *testing.T, s string) {
		if plain(s) == "" || linkTo(s).Safe {
			t.Skip("a harmless page would look different")
		}
		got, want := document(t, filled(t, small, s)), document(t, filled(t, small, "x"))
		if g, w := skeleton(written(t, got.WriteHTML)), skeleton(written(t, want.WriteHTML)); !slices.Equal(g, w) {
			t.Errorf("%q changes the page's elements:\n%q\n%q", s, g, w)
		}
		checkPrintable(t, "html", written(t, got.WriteHTML))
		checkPrintable(t, "text", written(t, func(w io.Writer) error { return got.WriteText(w, Style{}) }))
		checkMarkdown(t, written(t, got.WriteMarkdown))
		checkCSV(t, written(t, got.WriteCSV))
	})
}

// filled gives a copy of the run in which every text is s, but for the words of closed sets.
func filled(t *testing.T, run showdown.Run, s string) showdown.Run {
	t.Helper()
	raw, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	var copied showdown.Run
	if err := json.Unmarshal(raw, &copied); err != nil {
		t.Fatal(err)
	}
	for i := range run.Bouts { // histograms are not part of the JSON
		for j := range run.Bouts[i].Windows {
			copied.Bouts[i].Windows[j].Histo = run.Bouts[i].Windows[j].Histo
		}
	}
	fill(reflect.ValueOf(&copied).Elem(), s)
	return copied
}

func fill(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		switch v.Type() {
		case reflect.TypeFor[showdown.Phase](), reflect.TypeFor[showdown.WindowKind](), reflect.TypeFor[showdown.Status]():
		default:
			v.SetString(s)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), s)
		}
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), s)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), s)
			}
		}
	}
}

var (
	drawings = regexp.MustCompile(`(?s)<svg.*?</svg>`) // FuzzCharts looks after these
	data     = regexp.MustCompile(`(?s)(<script type="application/json" id="[a-z-]+">)(.*?)</script>`)
	tags     = regexp.MustCompile(`(?s)<[!/a-zA-Z?][^>]*>`)
	values   = regexp.MustCompile(`"[^"]*"`)
)

// skeleton is a page's sequence of tags without their attributes' values.
func skeleton(page []byte) []string {
	page = data.ReplaceAll(drawings.ReplaceAll(page, nil), []byte("$1</script>"))
	var all []string
	for _, tag := range tags.FindAll(page, -1) {
		all = append(all, string(values.ReplaceAll(tag, nil)))
	}
	return all
}

func checkPrintable(t *testing.T, view string, got []byte) {
	t.Helper()
	for _, r := range string(data.ReplaceAll(got, nil)) {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("%s passes on %U", view, r)
		}
	}
}

func checkMarkdown(t *testing.T, got []byte) {
	t.Helper()
	checkPrintable(t, "markdown", got)
	for line := range strings.Lines(string(got)) {
		if strings.HasPrefix(line, "- Command: `") {
			continue
		}
		if regexp.MustCompile(`(^|[^\\])[<\[*_]`).MatchString(strings.ReplaceAll(line, `\\`, "")) {
			t.Errorf("markdown passes markup on: %s", line)
		}
		if strings.HasPrefix(line, "|") {
			if n := len(regexp.MustCompile(`(^|[^\\])\|`).FindAllString(strings.ReplaceAll(line, `\\`, ""), -1)); n != 9 {
				t.Errorf("a row has %d bars, want 9: %s", n, line)
			}
		}
	}
}

func checkCSV(t *testing.T, got []byte) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(got)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if strings.IndexAny(cell, "=+-@\t\r") == 0 {
				t.Errorf("a spreadsheet takes %q for a formula", cell)
			}
		}
	}
}

// The page's policy allows exactly the style and the script that it holds.
func TestPolicy(t *testing.T) {
	got := string(written(t, document(t, invented(models[4:], 2, true)).WriteHTML))
	for tag, rule := range map[string]string{"style": "style-src", "script": "script-src"} {
		_, rest, _ := strings.Cut(got, "<"+tag+">")
		text, _, _ := strings.Cut(rest, "</"+tag+">")
		if want := rule + " " + digest(text); !strings.Contains(unescaped(got), want) {
			t.Errorf("the policy does not hold %q", want)
		}
	}
	for _, tag := range skeleton([]byte(got)) {
		if regexp.MustCompile(`^<(link|base|iframe|img|object|embed|form)| (src|style|srcset|on[a-z]+)=`).MatchString(tag) {
			t.Errorf("the page holds %s", tag)
		}
	}
}

func unescaped(s string) string {
	return strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(s)
}

// The results that a page holds are those of WriteJSON.
func TestEmbeddedResults(t *testing.T) {
	d := document(t, invented(models[4:], 2, true))
	found := data.FindSubmatch(written(t, d.WriteHTML))
	var embedded, want any
	if err := json.Unmarshal(found[2], &embedded); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(written(t, d.WriteJSON), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(embedded, want) {
		t.Error("the embedded results differ from those of WriteJSON")
	}
}
