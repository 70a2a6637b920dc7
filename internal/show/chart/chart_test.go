package chart

import (
	"encoding/xml"
	"errors"
	"flag"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

func trim(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func percentile(q float64) string { return "p" + trim(100*q) }

// charts are one of each kind, wide and narrow.
func charts() map[string]template.HTML {
	bars := Bars{
		ID: "b", Title: "Capacity", Desc: "Three bars.", Label: "requests per second", Format: trim,
		Rows: []Bar{
			{Label: "axum", Value: 30200, Lo: 29000, Hi: 31500, Note: "30.2k/s"},
			{Label: "a-name-that-is-much-too-long-for-its-room", Value: 8000, Lo: 100, Hi: 900000, Note: "8.00k/s"},
			{Label: "<b>&", Value: 120, Reach: 9000, Note: "120/s"},
		},
	}
	lines := Lines{
		ID: "l", Title: "Latency", Desc: "Four lines.", Height: 300,
		X: Axis{Label: "percentile", Scale: Nines, Format: percentile}, Y: Axis{Label: "ms", Scale: Log, Format: trim},
		Limit: &Limit{Y: 50, Label: "p99 ≤ 50 ms"},
		Series: []Series{
			{Name: "one", Points: []Point{{X: .5, Y: 1, Text: "1 ms"}, {X: .9, Y: 2}, {X: .999, Y: 40}}},
			{Name: "two", Points: []Point{{X: .5, Y: 1.1}, {X: .9, Y: 2.1, Open: true}, {X: .999, Y: 41}}},
			{Name: "nothing", Points: []Point{{X: .5, Y: 0}, {X: 1, Y: 3}}},
			{Name: "<i>short", Points: []Point{{X: .5, Y: .8}, {X: .9, Y: 1.9}}},
		},
	}
	panels := Panels{
		ID: "p", Title: "Load", Desc: "Four panels.",
		X: Axis{Label: "offered per second", Scale: Log, Format: trim}, Y: Axis{Label: "p99, ms", Scale: Log, Format: trim},
		Limit: &Limit{Y: 50, Label: "p99 ≤ 50 ms"},
		Panels: []Panel{
			{Name: "one", Note: "1.2k/s", Strands: [][]Point{{{X: 100, Y: 1}, {X: 1200, Y: 60, Open: true}}, {{X: 110, Y: 1.2}}}},
			{Name: "two", Strands: [][]Point{{{X: 300, Y: 2}, {X: 9000, Y: 80, Open: true}}}},
			{Name: "<three>", Strands: nil},
			{Name: "four", Strands: [][]Point{{{X: 100, Y: .3}}}},
		},
	}
	drawn := map[string]template.HTML{}
	for name, width := range map[string]float64{"wide": 880, "narrow": 358} {
		bars.Width, lines.Width, panels.Width = width, width, width
		drawn["bars-"+name], drawn["lines-"+name], drawn["panels-"+name] = bars.SVG(), lines.SVG(), panels.SVG()
	}
	return drawn
}

func TestGolden(t *testing.T) {
	for name, svg := range charts() {
		path := filepath.Join("testdata", name+".svg")
		if *update {
			if err := os.WriteFile(path, []byte(svg), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (write it with: go test ./internal/show/chart -update)", err)
		}
		if diff := cmp.Diff(string(want), string(svg)); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", path, diff)
		}
	}
}

func TestNothingToDraw(t *testing.T) {
	nothing := []Point{{X: math.NaN(), Y: 1}, {X: 1, Y: math.Inf(1)}, {X: 1, Y: -1}}
	for name, svg := range map[string]template.HTML{
		"bars":          Bars{}.SVG(),
		"bars of NaN":   Bars{Rows: []Bar{{Value: math.NaN()}}}.SVG(),
		"lines":         Lines{}.SVG(),
		"lines of NaN":  Lines{Y: Axis{Scale: Log}, Series: []Series{{Points: nothing}}}.SVG(),
		"panels":        Panels{}.SVG(),
		"panels of NaN": Panels{X: Axis{Scale: Log}, Y: Axis{Scale: Log}, Panels: []Panel{{Strands: [][]Point{nothing}}}}.SVG(),
	} {
		if svg != "" {
			t.Errorf("%s: %s", name, svg)
		}
	}
}

// Whatever the data and the words, a chart is well-formed, all its numbers are
// finite, and no text becomes an element.
func FuzzCharts(f *testing.F) {
	f.Add("axum", 1.0, 2.0, 3.0)
	f.Add("<script>\x00\u202e&\"'", math.Inf(1), math.NaN(), -1.0)
	f.Add("", math.MaxFloat64, math.SmallestNonzeroFloat64, .99999999)
	f.Fuzz(func(t *testing.T, text string, a, b, c float64) {
		points := []Point{{X: a, Y: b, Text: text}, {X: b, Y: c, Open: true}, {X: c, Y: a}}
		axis := func(s Scale) Axis { return Axis{Label: text, Scale: s, Format: trim} }
		for _, width := range []float64{880, 358} {
			wellFormed(t, Bars{ID: "b", Title: text, Desc: text, Label: text, Width: width, Format: trim, Rows: []Bar{
				{Label: text, Value: a, Lo: b, Hi: c, Reach: b, Note: text}, {Value: b, Lo: a, Hi: c},
			}}.SVG())
			for _, s := range []Scale{Linear, Log, Nines} {
				limit := &Limit{Y: c, Label: text}
				wellFormed(t, Lines{
					ID: text, Title: text, Desc: text, Width: width, X: axis(s), Y: axis(Log), Limit: limit,
					Series: []Series{{Name: text, Points: points}, {Name: text, Points: points[1:]}},
				}.SVG())
				wellFormed(t, Panels{
					ID: text, Title: text, Desc: text, Width: width, X: axis(s), Y: axis(Log), Limit: limit,
					Panels: []Panel{{Name: text, Note: text, Strands: [][]Point{points, points[2:]}}, {Name: text}},
				}.SVG())
			}
		}
	})
}

func wellFormed(t *testing.T, svg template.HTML) {
	t.Helper()
	if strings.Contains(string(svg), `="NaN`) || strings.Contains(string(svg), "Inf,") || strings.Contains(string(svg), `"+Inf`) || strings.Contains(string(svg), `"-Inf`) {
		t.Errorf("a coordinate is not a number: %s", svg)
	}
	known := []string{"svg", "title", "desc", "defs", "g", "use", "path", "line", "rect", "circle", "text"}
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && !slices.Contains(known, e.Name.Local) {
			t.Fatalf("element %q in %s", e.Name.Local, svg)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		domain domain
		most   int
		want   []float64
	}{
		{domain{Linear, 0, 30200}, 8, []float64{0, 5000, 10000, 15000, 20000, 25000, 30000}},
		{domain{Linear, 0, 1}, 4, []float64{0, .5, 1}},
		{domain{Linear, 0, .9}, 1, []float64{0}},
		{domain{Log, 1, 100}, 8, []float64{1, 2, 5, 10, 20, 50, 100}},
		{domain{Log, 2, 5000}, 5, []float64{10, 100, 1000}},
		{domain{Log, .001, 1e9}, 5, []float64{.001, 1, 1000, 1e6, 1e9}},
		{domain{Nines, .25, .999}, 0, []float64{.5, .9, .99, .999}},
	} {
		got := c.domain.ticks(c.most)
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*b }) {
			t.Errorf("ticks of %+v, at most %d: %v, want %v", c.domain, c.most, got, c.want)
		}
	}
}

// A nine takes the same room everywhere on its axis.
func TestNinesAreEvenlySpaced(t *testing.T) {
	d := domain{Nines, 0, .9999}
	for i, q := range []float64{0, .9, .99, .999, .9999} {
		if got := d.part(q); math.Abs(got-float64(i)/4) > 1e-6 {
			t.Errorf("part(%v) = %v, want %v", q, got, float64(i)/4)
		}
	}
}

func TestSpread(t *testing.T) {
	got := spread([]float64{50, 52, 51, 10}, 10, 0, 100)
	if want := []float64{41, 61, 51, 10}; !slices.Equal(got, want) {
		t.Errorf("spread = %v, want %v", got, want)
	}
}

// Labels keep their order and distance, stay within bounds where they fit, and
// do not move when there is no need.
func TestSpreadProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const gap, lo, hi = 17.0, 20.0, 400.0
		want := rapid.SliceOfN(rapid.Float64Range(lo, hi), 1, 22).Draw(t, "want")
		got := spread(want, gap, lo, hi)
		order := make([]int, len(want))
		for i := range order {
			order[i] = i
			if got[i] < lo-1e-6 || got[i] > hi+1e-6 {
				t.Fatalf("%v lies outside", got[i])
			}
		}
		slices.SortStableFunc(order, func(i, j int) int { return int(math.Copysign(1, got[i]-got[j])) })
		apart := true
		for k := 1; k < len(order); k++ {
			i, j := order[k-1], order[k]
			if got[j]-got[i] < gap-1e-6 {
				t.Fatalf("%v and %v are too near", got[i], got[j])
			}
			if want[j] < want[i] {
				t.Fatalf("%v and %v changed places", want[i], want[j])
			}
			apart = apart && want[j]-want[i] >= gap
		}
		for i := range want {
			if apart && math.Abs(got[i]-want[i]) > 1e-6 {
				t.Fatalf("%v moved to %v without need", want[i], got[i])
			}
		}
	})
}

// Twelve series and more differ from each other even without colour.
func TestLooksDiffer(t *testing.T) {
	seen := map[string]int{}
	for i := range 18 {
		var c canvas
		c.marker(look(i), 0, 0, false)
		key := look(i).class() + c.b.String()
		if other, ok := seen[key]; ok {
			t.Errorf("series %d looks like series %d", i, other)
		}
		seen[key] = i
	}
}

// The colours keep to WCAG 2.2 on both surfaces: 4.5:1 for text, 3:1 for graphics.
func TestContrast(t *testing.T) {
	light, dark, found := strings.Cut(CSS, "@media screen and (prefers-color-scheme: dark)")
	if !found {
		t.Fatal("chart.css has no dark colours")
	}
	for mode, css := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z0-9]+): #([0-9a-f]{6})`).FindAllStringSubmatch(css, -1) {
			colors[m[1]] = luminance(t, m[2])
		}
		need := map[string]float64{"ink": 4.5, "soft": 4.5, "accent": 4.5, "bar": 3, "reach": 3, "limit": 3}
		for i := range colours {
			need["s"+strconv.Itoa(i)] = 3
		}
		for name, least := range need {
			for _, surface := range []string{"surface", "panel"} {
				if got := contrast(colors[name], colors[surface]); got < least {
					t.Errorf("%s: --%s on --%s has %.2f:1, want %.1f:1", mode, name, surface, got, least)
				}
			}
		}
	}
}

func contrast(a, b float64) float64 { return (max(a, b) + .05) / (min(a, b) + .05) }

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	sum := 0.0
	for i, weight := range []float64{.2126, .7152, .0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		v := float64(n) / 255
		if v <= .04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}
