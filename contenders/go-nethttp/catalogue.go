package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

type product struct {
	ID              int      `json:"id"`
	Name            string   `json:"name"`
	Category        string   `json:"category"`
	PriceCents      int      `json:"price_cents"`
	DiscountPercent int      `json:"discount_percent"`
	FinalCents      int      `json:"final_cents"`
	Rating          float64  `json:"rating"`
	Stock           int      `json:"stock"`
	Tags            []string `json:"tags"`

	lowerName string
}

type catalogue []product

func loadCatalogue(path string) (catalogue, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var c catalogue
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for i := range c {
		p := &c[i]
		p.FinalCents = p.PriceCents * (100 - p.DiscountPercent) / 100
		p.lowerName = strings.ToLower(p.Name)
	}
	return c, nil
}

type totals struct {
	Matched    int `json:"matched"`
	Shown      int `json:"shown"`
	FinalCents int `json:"final_cents"`
	SavedCents int `json:"saved_cents"`
	InStock    int `json:"in_stock"`
}

type answer struct {
	Items  []*product `json:"items"`
	Totals totals     `json:"totals"`
}

var orders = map[string]func(a, b *product) int{
	"price": func(a, b *product) int {
		return cmp.Or(cmp.Compare(a.FinalCents, b.FinalCents), cmp.Compare(a.ID, b.ID))
	},
	"rating": func(a, b *product) int {
		return cmp.Or(cmp.Compare(b.Rating, a.Rating), cmp.Compare(a.ID, b.ID))
	},
	"name": func(a, b *product) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	},
}

func (c catalogue) search(q query) answer {
	text := strings.ToLower(q.text)
	matches := make([]*product, 0, len(c)) // not nil, which would be null in JSON
	var t totals
	for i := range c {
		p := &c[i]
		if q.category != "" && p.Category != q.category ||
			p.FinalCents < q.minPrice || p.FinalCents > q.maxPrice ||
			!strings.Contains(p.lowerName, text) {
			continue
		}
		matches = append(matches, p)
		t.FinalCents += p.FinalCents
		t.SavedCents += p.PriceCents - p.FinalCents
		if p.Stock > 0 {
			t.InStock++
		}
	}
	slices.SortFunc(matches, orders[q.sort])

	t.Matched = len(matches)
	t.Shown = min(t.Matched, q.limit)
	return answer{Items: matches[:t.Shown], Totals: t}
}
