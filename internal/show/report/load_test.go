package report

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// loadTest is an invented test of a server that stalled in its tenth second.
func loadTest() *LoadTest {
	t := &LoadTest{
		Schema: LoadSchemaID, Showdown: "v1.2.3", Protocol: "http/1.1", Loop: OpenLoop, Offered: 2000, Rate: 1995,
		Requests: []LoadRequest{{"GET", "http://127.0.0.1:8080/products?a=1&b=2", .75}, {"POST", "http://127.0.0.1:8080/orders", .25}},
		Settings: LoadSettings{
			Connections: 50, MaxConnections: 1000, Length: 20 * time.Second, Arrivals: "random", Timeout: 10 * time.Second, Slot: 300 * time.Microsecond,
			Expect: `"id"`, Sample: .01, Seed: 7,
		},
		Start: time.Date(2026, 11, 22, 19, 15, 0, 0, time.UTC).UnixNano(), Elapsed: 20100 * time.Millisecond, Ending: Complete,
		Load: LoadCounts{
			Due: 40123, Sent: 40120, OK: 40100, Failed: 23, Failures: map[showdown.Failure]uint64{showdown.FailTimeout: 20, showdown.FailUnsent: 3},
			Example: "timeout: no answer within 10s", Verified: 402, Bytes: 9_400_000, Opened: 212,
			Latency: times(40100, 1, 180), Service: times(40100, .97, 90), Lag: times(40120, .012, 1.4),
		},
		Generator: Generator{Engine: "epoll", Threads: 1, CPU: 6200 * time.Millisecond, Busiest: .31},
		Warnings: []LoadWarning{
			{Kind: WarnUnsent, Text: "3 requests found no free connection in time"},
			{Kind: showdown.WarnLag, Text: "the generator sent 1.40 ms late (p99)", Untrustworthy: true},
		},
		Thresholds: []LoadThreshold{{Condition: "p99>50ms", Value: "98.0 ms", Failed: true}, {Condition: "errors>0.1%", Value: "0.0573%"}},
	}
	for i := range 20 {
		p99, ok := 3*time.Millisecond+time.Duration(i*i)*10*time.Microsecond, uint64(1990+i%3*10)
		if i == 9 {
			p99, ok = 180*time.Millisecond, 1600
		}
		s := LoadSecond{
			At: time.Duration(i) * time.Second, Length: time.Second, Due: 2000, Sent: 2000, OK: ok, Bytes: 470_000, InFlight: 3 + i%4, Connections: 50 + 9*i,
			P50: time.Millisecond, P99: p99, Max: p99 * 5 / 4, LagP99: 90 * time.Microsecond, CPU: 310 * time.Millisecond,
		}
		if i == 9 {
			s.Failures = map[showdown.Failure]uint64{showdown.FailTimeout: 20, showdown.FailUnsent: 3}
		}
		t.Seconds = append(t.Seconds, s)
	}
	return t
}

// times is a distribution between two values in milliseconds.
func times(n uint64, lo, hi float64) Distribution {
	at := func(q float64) time.Duration { return time.Duration((lo + (hi-lo)*math.Pow(q, 60)) * 1e6) }
	d := Distribution{
		Count: n, Mean: at(.9), P50: at(.5), P75: at(.75), P90: at(.9), P95: at(.95), P99: at(.99), P999: at(.999), P9999: at(.9999),
		Max: at(1), Resolved: .999,
	}
	for _, q := range []float64{0, .25, .5, .75, .9, .95, .975, .99, .995, .9975, .999} {
		d.Curve = append(d.Curve, CurvePoint{q, at(q)})
	}
	return d
}

// loadTests are the shapes that a test may have.
func loadTests() map[string]*LoadTest {
	closed, listening, nothing, one := loadTest(), loadTest(), loadTest(), loadTest()
	closed.Loop, closed.Offered, closed.Settings.Slot, closed.Generator = ClosedLoop, 0, 0, Generator{Engine: "io_uring", Threads: 2, Busiest: .93}
	closed.Ending = Cancelled
	listening.Loop, listening.Offered, listening.Protocol, listening.Ending = Listening, 0, "events", GivenUp
	listening.Requests = listening.Requests[:1]
	*nothing = LoadTest{
		Schema: LoadSchemaID, Loop: OpenLoop, Ending: Complete, Offered: 10, Requests: []LoadRequest{{"GET", "http://127.0.0.1/", 1}},
		Settings: LoadSettings{Connections: 1, MaxConnections: 1}, Load: LoadCounts{Due: 5, Failed: 5, Failures: map[showdown.Failure]uint64{showdown.FailRefused: 5}},
		Generator: Generator{Engine: "goroutines"},
	}
	one.Warnings, one.Thresholds, one.Seconds, one.Requests = nil, nil, one.Seconds[:1], one.Requests[:1]
	one.Load.Failed, one.Load.Failures, one.Load.Example, one.Load.Service = 0, nil, "", one.Load.Latency
	one.Load.Latency.Count, one.Load.Latency.Resolved, one.Load.Latency.Curve = 30, .75, one.Load.Latency.Curve[:4]
	return map[string]*LoadTest{"open": loadTest(), "closed": closed, "listening": listening, "nothing": nothing, "one": one}
}

func TestLoadGolden(t *testing.T) {
	for name, test := range loadTests() {
		golden(t, filepath.Join("testdata", "load-"+name+".txt"), written(t, func(w io.Writer) error { return test.WriteText(w, Style{Width: 100}) }))
	}
	open := loadTest()
	golden(t, filepath.Join("testdata", "load-colour.txt"), written(t, func(w io.Writer) error { return open.WriteText(w, Style{Color: true}) }))
	golden(t, filepath.Join("testdata", "load.html"), written(t, open.WriteHTML))
	golden(t, filepath.Join("testdata", "load.json"), written(t, open.WriteJSON))
}

// No line is wider than the terminal, unless a word is.
func TestLoadTextFits(t *testing.T) {
	for name, test := range loadTests() {
		for _, width := range []int{80, 100, 160} {
			for line := range strings.Lines(string(written(t, func(w io.Writer) error { return test.WriteText(w, Style{Width: width, Color: true}) }))) {
				if n := columnsOf(strings.TrimRight(line, "\n")); n > width {
					t.Errorf("%s: %d columns of %d: %q", name, n, width, line)
				}
			}
		}
	}
}

// Percentiles that too few answers support are not printed anywhere for people.
func TestLoadClaimsNoMoreThanIsSupported(t *testing.T) {
	one := loadTests()["one"]
	one.Load.Latency.P99, one.Load.Service = 77777*time.Millisecond, one.Load.Latency
	for name, write := range map[string]func(io.Writer) error{
		"text": func(w io.Writer) error { return one.WriteText(w, Style{}) }, "html": one.WriteHTML,
	} {
		if got := data.ReplaceAll(written(t, write), nil); bytes.Contains(got, []byte("77777")) || !bytes.Contains(got, []byte(none)) {
			t.Errorf("%s shows a p99 of 30 answers", name)
		}
	}
	if got := one.headline(); !strings.HasPrefix(got, "p75 ") {
		t.Errorf("headline %q, want the p75", got)
	}
}

func TestLoadSchemaGolden(t *testing.T) {
	s, err := LoadSchema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../../../schema/load.schema.json", s)
	checkFields(t, LoadSchema, loadFields, "load_test")
}

func TestLoadJSONKeepsToSchema(t *testing.T) {
	validate := validator(t, LoadSchema)
	check := func(raw []byte) error {
		got, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		return validate(got)
	}
	for name, test := range loadTests() {
		if err := check(written(t, test.WriteJSON)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := written(t, loadTest().WriteJSON)
	for old, new := range map[string]string{
		LoadSchemaID: "showdown.load/3", `"loop": "open"`: `"loop": "ajar"`, `"ending": "complete"`: `"ending": "happy"`,
		`"kind": "unsent"`: `"kind": "unseen"`, `"engine"`: `"motor"`, `"due": 40123`: `"due": "many"`,
	} {
		bad := bytes.Replace(good, []byte(old), []byte(new), 1)
		if bytes.Equal(bad, good) {
			t.Fatalf("%q does not occur", old)
		}
		if check(bad) == nil {
			t.Errorf("the schema takes %s for %s", new, old)
		}
	}
}

// FuzzLoadEscape puts a text wherever a load test holds one: the page must have
// the same elements as with a harmless text, and no view may pass on a control character.
func FuzzLoadEscape(f *testing.F) {
	for _, seed := range []string{
		hostile, `"><img src=x onerror=alert(1)>`, "</script><script>", "</style>", "<!--", "\x1b]0;owned\a\x1b[2J", "a\r\nb\tc\x00", "\u202eevil", "{{.}}", "\u2028", "\xff\xfe",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if plain(s) == "" {
			t.Skip("a harmless page would look different")
		}
		got, want := loadFilled(t, s), loadFilled(t, "x")
		if g, w := skeleton(written(t, got.WriteHTML)), skeleton(written(t, want.WriteHTML)); !slices.Equal(g, w) {
			t.Errorf("%q changes the page's elements:\n%q\n%q", s, g, w)
		}
		checkPrintable(t, "html", written(t, got.WriteHTML))
		checkPrintable(t, "text", written(t, func(w io.Writer) error { return got.WriteText(w, Style{}) }))
	})
}

// loadFilled is a test in which every text is s, but for the words of closed sets.
func loadFilled(t *testing.T, s string) *LoadTest {
	l := loadTest()
	l.Showdown, l.Protocol, l.Settings.Ramp, l.Settings.Expect, l.Load.Example, l.Generator.Engine = s, s, s, s, s, s
	for i := range l.Requests {
		l.Requests[i].Method, l.Requests[i].URL = s, s
	}
	for i := range l.Warnings {
		l.Warnings[i].Text = s
	}
	for i := range l.Thresholds {
		l.Thresholds[i].Condition, l.Thresholds[i].Value = s, s
	}
	return l
}

// The page's policy allows exactly the style and the script that it holds, and
// its results are those of WriteJSON.
func TestLoadPage(t *testing.T) {
	page := string(written(t, loadTest().WriteHTML))
	for tag, rule := range map[string]string{"style": "style-src", "script": "script-src"} {
		_, rest, _ := strings.Cut(page, "<"+tag+">")
		text, _, _ := strings.Cut(rest, "</"+tag+">")
		if want := rule + " " + digest(text); !strings.Contains(unescaped(page), want) {
			t.Errorf("the policy does not hold %q", want)
		}
	}
	for _, tag := range skeleton([]byte(page)) {
		if regexp.MustCompile(`^<(link|base|iframe|img|object|embed|form)| (src|style|srcset|on[a-z]+)=`).MatchString(tag) {
			t.Errorf("the page holds %s", tag)
		}
	}
	var embedded LoadTest
	if err := json.Unmarshal(data.FindSubmatch([]byte(page))[2], &embedded); err != nil {
		t.Fatal(err)
	}
	if got, want := written(t, embedded.WriteJSON), written(t, loadTest().WriteJSON); !bytes.Equal(got, want) {
		t.Error("the embedded results differ from those of WriteJSON")
	}
}
