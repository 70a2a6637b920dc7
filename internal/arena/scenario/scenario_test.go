package scenario

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/backend-showdown/showdown/internal/showdown"
	"github.com/backend-showdown/showdown/scenarios"
)

func TestNamed(t *testing.T) {
	if s, err := Named("json"); err != nil || s.Title() != "REST API" {
		t.Errorf("json: %v", err)
	}
	var names []string
	for _, s := range All() {
		names = append(names, s.Name())
	}
	if !slices.Equal(names, showdown.Scenarios) {
		t.Errorf("All has %v, showdown.Scenarios %v", names, showdown.Scenarios)
	}
	_, err := Named("jsn")
	if showdown.CodeOf(err) != showdown.BadUsage || !strings.Contains(showdown.HintOf(err), `did you mean "json"`) {
		t.Errorf("jsn: %v, hint %q", err, showdown.HintOf(err))
	}
}

// The prose promises what the data holds; names are safe for every language's sort and lower case.
func TestCatalogueKeepsItsPromises(t *testing.T) {
	products := newCatalogue()
	ids := map[int]bool{}
	var scripts struct{ latin, greek, cyrillic, han, emoji, markup bool }
	for _, p := range products {
		ids[p.ID] = true
		for _, r := range p.Name {
			scripts.latin = scripts.latin || unicode.Is(unicode.Latin, r)
			scripts.greek = scripts.greek || unicode.Is(unicode.Greek, r)
			scripts.cyrillic = scripts.cyrillic || unicode.Is(unicode.Cyrillic, r)
			scripts.han = scripts.han || unicode.Is(unicode.Han, r)
			scripts.emoji = scripts.emoji || r > 0x1F000
			if 0xE000 <= r && r <= 0xFFFF || r == 'Σ' || r == 'İ' {
				t.Errorf("%q holds %q", p.Name, r)
			}
		}
		scripts.markup = scripts.markup || strings.Contains(p.Name, "<script>")
		if utf8.RuneCountInString(lower(p.Name)) != utf8.RuneCountInString(p.Name) || lower(p.Name) != strings.ToLower(p.Name) {
			t.Errorf("%q: lower case depends on the language", p.Name)
		}
		if p.DiscountPercent > 99 || p.PriceCents < 0 || p.Rating < 1 || p.Rating > 5 || p.Tags == nil {
			t.Errorf("out of bounds: %+v", p)
		}
	}
	if len(ids) != catalogueSize {
		t.Errorf("%d ids, want %d", len(ids), catalogueSize)
	}
	if !scripts.latin || !scripts.greek || !scripts.cyrillic || !scripts.han || !scripts.emoji || !scripts.markup {
		t.Errorf("scripts missing: %+v", scripts)
	}
}

func TestDataIsTheSameEveryTime(t *testing.T) {
	read := func() []byte {
		dir := t.TempDir()
		if err := JSON().WriteData(dir); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "products.json"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one, two := read(), read()
	if !bytes.Equal(one, two) {
		t.Error("two data sets differ")
	}
	var products []product
	if err := json.Unmarshal(one, &products); err != nil || len(products) != catalogueSize {
		t.Errorf("%d products, %v", len(products), err)
	}
}

// document is openapi.yaml as plain values.
func document(t *testing.T) map[string]any {
	t.Helper()
	text, err := scenarios.Documents.ReadFile("json/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

func schemaOf(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", document(t)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("openapi.json#/components/schemas/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, value any) {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(v); err != nil {
		t.Errorf("%s: %v", excerpt(b, 200), err)
	}
}

// The machine-readable contract, the data and the oracle say the same.
func TestOpenAPIAgrees(t *testing.T) {
	product, answerSchema := schemaOf(t, "Product"), schemaOf(t, "Answer")
	products := newCatalogue()
	for i := range products {
		validate(t, product, &products[i])
	}
	o := newOracle(products)
	for _, params := range goodAsks() {
		if bad := badParameters(params); len(bad) > 0 {
			t.Errorf("%v is meant to be good, but %v is bad", params, bad)
		}
		validate(t, answerSchema, o.answer(params))
	}

	doc := document(t)
	get := doc["paths"].(map[string]any)["/products"].(map[string]any)["get"].(map[string]any)
	schemas := map[string]*jsonschema.Schema{}
	for i, p := range get["parameters"].([]any) {
		c := jsonschema.NewCompiler()
		if err := c.AddResource("openapi.json", doc); err != nil {
			t.Fatal(err)
		}
		s, err := c.Compile("openapi.json#/paths/~1products/get/parameters/" + numbers[i] + "/schema")
		if err != nil {
			t.Fatal(err)
		}
		schemas[p.(map[string]any)["name"].(string)] = s
	}
	// Each single parameter is good or bad by the document exactly when the checker says so.
	for _, params := range append(goodAsks(), badAsks()...) {
		if len(params) != 1 || params["unknown"] != "" {
			continue
		}
		for name, text := range params {
			var value any = text
			if name != "category" && name != "q" && name != "sort" {
				if !isInteger(text) {
					continue // not a number at all: a matter of the query string, not of the schema
				}
				value = json.Number(text)
			}
			if byDocument, byChecker := schemas[name].Validate(value) == nil, len(badParameters(params)) == 0; byDocument != byChecker {
				t.Errorf("%s=%q: document says good=%v, checker says good=%v", name, text, byDocument, byChecker)
			}
		}
	}
	if len(schemas) != 6 {
		t.Errorf("the document has %d parameters", len(schemas))
	}
}

func isInteger(s string) bool {
	_, ok := number(s, -1<<62, 1<<62)
	return ok
}

// Every rule that the prose numbers is checked somewhere, and no other.
func TestProseAndChecksNameTheSameRules(t *testing.T) {
	prose, err := scenarios.Documents.ReadFile("json/README.md")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	checks, err := JSON().Verify(t.Context(), s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{"J11": true} // checked where the process is stopped
	for _, c := range checks {
		asked[c.Rule] = true
	}
	// J3 to J7 are judged together in the answers; the oracle names the one that broke.
	for _, rule := range []string{"J1", "J2", "J5", "J8", "J9", "J10", "J11"} {
		if !asked[rule] || !strings.Contains(string(prose), "**"+rule+" ") {
			t.Errorf("%s: asked %v", rule, asked[rule])
		}
	}
	for rule := range asked {
		if !strings.Contains(string(prose), "**"+rule+" ") {
			t.Errorf("rule %s is not in the prose", rule)
		}
	}
}

func TestStreamIsSeededAndVaried(t *testing.T) {
	a, b := newStream(1, newCatalogue()), newStream(1, newCatalogue())
	seen, bad := map[string]bool{}, 0
	const n = 20_000
	for k := range uint64(n) {
		q, again := a.at(k), b.at(k)
		if q != again {
			t.Fatalf("query %d differs", k)
		}
		seen[string(q.appendTarget(nil))] = true
		if q.bad != "" {
			bad++
			if got := badParameters(q.params()); !slices.Equal(got, []string{q.bad}) {
				t.Fatalf("%+v: bad parameters %v", q, got)
			}
		} else if got := badParameters(q.params()); len(got) > 0 {
			t.Fatalf("%+v: bad parameters %v", q, got)
		}
	}
	if len(seen) < n/2 {
		t.Errorf("only %d different queries in %d", len(seen), n)
	}
	if share := float64(bad) / n; share < 0.015 || share > 0.025 {
		t.Errorf("%.3f of queries are bad, want 0.02", share)
	}
}

func TestAnswersHaveTheSizeThatTheProseSays(t *testing.T) {
	o, s := newOracle(newCatalogue()), newStream(5, newCatalogue())
	bytes, items, empty := 0, 0, 0
	const n = 2000
	for k := range uint64(n) {
		q := s.at(k)
		if q.bad != "" {
			continue
		}
		a := o.answer(q.params())
		b, _ := json.Marshal(a)
		bytes += len(b)
		items += len(a.Items)
		if len(a.Items) == 0 {
			empty++
		}
	}
	t.Logf("mean answer: %d bytes, %.1f items, %.1f%% empty", bytes/n, float64(items)/n, 100*float64(empty)/n)
	if bytes/n < 3000 || bytes/n > 5000 {
		t.Errorf("mean answer has %d bytes; README.md says about 4 kB", bytes/n)
	}
}

func TestTrafficDoesNotAllocateMuch(t *testing.T) {
	traffic := JSON().Traffic("127.0.0.1:1", 1)
	buf := make([]byte, 0, 1024)
	k := uint64(0)
	if n := testing.AllocsPerRun(1000, func() { buf, _ = traffic.Append(buf[:0], k); k++ }); n > 1 {
		t.Errorf("%v allocations a request", n)
	}
}

func FuzzJudgeAnswer(f *testing.F) {
	o := newOracle(newCatalogue())
	good, _ := json.Marshal(o.answer(map[string]string{"limit": "2"}))
	f.Add(good)
	f.Add([]byte(`{"items":[],"totals":{}}`))
	f.Add([]byte(`{"status":400,"title":"x","errors":[{"parameter":"q","detail":"d"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		err := o.judgeAnswer(map[string]string{"limit": "2"}, body)
		if err == nil {
			var got, want any
			if json.Unmarshal(body, &got) != nil || json.Unmarshal(good, &want) != nil {
				t.Fatalf("accepted %q", body)
			}
		}
		_ = judgeProblem([]string{"q"}, body)
		_ = excerpt(body, 50)
	})
}

func FuzzNumber(f *testing.F) {
	for _, s := range append(badLimits, "5", "-0", "007") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, ok := number(s, 1, 50); ok && (v < 1 || v > 50 || strings.ContainsAny(s, " _+.e")) {
			t.Fatalf("%q is %d", s, v)
		}
	})
}
