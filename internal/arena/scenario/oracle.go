package scenario

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// oracle answers queries by the rules, so that a contender's answers can be
// held against it. It is written to be read, not to be fast.
type oracle struct {
	products []product
	lowered  []string // names, by index
}

func newOracle(products []product) *oracle {
	o := &oracle{products: products}
	for i := range products {
		o.lowered = append(o.lowered, lower(products[i].Name))
	}
	return o
}

type item struct {
	ID              int      `json:"id"`
	Name            string   `json:"name"`
	Category        string   `json:"category"`
	PriceCents      int64    `json:"price_cents"`
	DiscountPercent int64    `json:"discount_percent"`
	FinalCents      int64    `json:"final_cents"`
	Rating          float64  `json:"rating"`
	Stock           int      `json:"stock"`
	Tags            []string `json:"tags"`
}

type totals struct {
	Matched    int   `json:"matched"`
	Shown      int   `json:"shown"`
	FinalCents int64 `json:"final_cents"`
	SavedCents int64 `json:"saved_cents"`
	InStock    int   `json:"in_stock"`
}

type answer struct {
	Items  []item `json:"items"`
	Totals totals `json:"totals"`
}

type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Errors []struct {
		Parameter string `json:"parameter"`
		Detail    string `json:"detail"`
	} `json:"errors"`
}

// badParameters is rules J3 and J8 for the parameters that are present.
func badParameters(params map[string]string) []string {
	var bad []string
	text := func(name string) {
		if v, ok := params[name]; ok {
			if n := utf8.RuneCountInString(v); n < 1 || n > maxText {
				bad = append(bad, name)
			}
		}
	}
	integer := func(name string, low, high int64) (int64, bool) {
		v, ok := params[name]
		if !ok {
			return 0, false
		}
		n, good := number(v, low, high)
		if !good {
			bad = append(bad, name)
		}
		return n, good
	}
	text("category")
	text("q")
	low, hasLow := integer("min_price", 0, maxPrice)
	high, hasHigh := integer("max_price", 0, maxPrice)
	if hasLow && hasHigh && low > high {
		bad = append(bad, "min_price")
	}
	if v, ok := params["sort"]; ok && !slices.Contains(sorts, v) {
		bad = append(bad, "sort")
	}
	integer("limit", 1, maxLimit)
	slices.Sort(bad)
	return bad
}

// params lists what appendTarget writes.
func (q *query) params() map[string]string {
	m := map[string]string{}
	for name, v := range map[string]string{
		"category": q.category, "min_price": q.minPrice, "max_price": q.maxPrice, "q": q.q, "sort": q.sort, "limit": q.limit,
	} {
		if v != "" || q.bad == name {
			m[name] = v
		}
	}
	return m
}

// answer is rules J4 to J7 for good parameters.
func (o *oracle) answer(params map[string]string) answer {
	low, high, limit := int64(0), int64(maxPrice)*100, int64(defaultLimit)
	if v, ok := params["min_price"]; ok {
		low, _ = number(v, 0, maxPrice)
	}
	if v, ok := params["max_price"]; ok {
		high, _ = number(v, 0, maxPrice)
	}
	if v, ok := params["limit"]; ok {
		limit, _ = number(v, 1, maxLimit)
	}
	category, anyCategory := params["category"]
	needle := lower(params["q"])

	a := answer{Items: []item{}}
	var matches []*product
	for i := range o.products {
		p := &o.products[i]
		final := p.finalCents()
		if anyCategory && p.Category != category || final < low || final > high || !strings.Contains(o.lowered[i], needle) {
			continue
		}
		matches = append(matches, p)
		a.Totals.Matched++
		a.Totals.FinalCents += final
		a.Totals.SavedCents += p.PriceCents - final
		if p.Stock > 0 {
			a.Totals.InStock++
		}
	}
	slices.SortFunc(matches, func(x, y *product) int {
		order := 0
		switch params["sort"] {
		case "price":
			order = cmp.Compare(x.finalCents(), y.finalCents())
		case "rating":
			order = cmp.Compare(y.Rating, x.Rating)
		default:
			order = strings.Compare(x.Name, y.Name) // UTF-8 bytes sort as code points do
		}
		return cmp.Or(order, cmp.Compare(x.ID, y.ID))
	})
	for _, p := range matches[:min(len(matches), int(limit))] {
		a.Items = append(a.Items, item{
			p.ID, p.Name, p.Category, p.PriceCents, p.DiscountPercent, p.finalCents(), p.Rating, p.Stock, p.Tags,
		})
	}
	a.Totals.Shown = len(a.Items)
	return a
}

// judgeAnswer says what is wrong with the body of a 200, or nil.
func (o *oracle) judgeAnswer(params map[string]string, body []byte) error {
	want := o.answer(params)
	var got answer
	if err := strictly(body, &got); err != nil {
		return fmt.Errorf("J7: %w", err)
	}
	if got.Totals != want.Totals {
		return fmt.Errorf("J7: totals are %+v, want %+v", got.Totals, want.Totals)
	}
	if len(got.Items) != len(want.Items) {
		return fmt.Errorf("J7: %d items, want %d", len(got.Items), len(want.Items))
	}
	for i := range want.Items {
		g, w := &got.Items[i], &want.Items[i]
		if g.ID != w.ID {
			return fmt.Errorf("J6: item %d has id %d, want %d", i, g.ID, w.ID)
		}
		if !g.equal(w) {
			return fmt.Errorf("J7: item %d is %+v, want %+v", i, *g, *w)
		}
	}
	return nil
}

func (i *item) equal(o *item) bool {
	return i.ID == o.ID && i.Name == o.Name && i.Category == o.Category && i.PriceCents == o.PriceCents &&
		i.DiscountPercent == o.DiscountPercent && i.FinalCents == o.FinalCents && i.Rating == o.Rating && i.Stock == o.Stock &&
		slices.Equal(i.Tags, o.Tags)
}

// judgeProblem says what is wrong with the body of a 400, or nil.
func judgeProblem(bad []string, body []byte) error {
	var got problem
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("J8: the body is not JSON: %w", err)
	}
	var named []string
	for _, e := range got.Errors {
		if e.Detail == "" {
			return fmt.Errorf("J8: the error for %q has no detail", e.Parameter)
		}
		named = append(named, e.Parameter)
	}
	slices.Sort(named)
	switch {
	case got.Status != 400:
		return fmt.Errorf("J8: member status is %d, want 400", got.Status)
	case got.Title == "":
		return fmt.Errorf("J8: no title")
	case !slices.Equal(named, bad):
		return fmt.Errorf("J8: errors name %q, want %q", named, bad)
	}
	return nil
}

// strictly decodes exactly one JSON value without unknown members.
func strictly(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the body is not the JSON expected: %w", err)
	}
	if d.More() {
		return fmt.Errorf("something follows the JSON value")
	}
	return nil
}
