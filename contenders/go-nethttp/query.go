package main

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxPrice     = 10_000_000
	maxLimit     = 50
	defaultLimit = 20
	maxText      = 40
)

// query is what a client asks for. An empty category or text matches every product.
type query struct {
	category string
	minPrice int
	maxPrice int
	text     string
	sort     string
	limit    int
}

type paramError struct {
	Parameter string `json:"parameter"`
	Detail    string `json:"detail"`
}

// parseQuery returns every parameter that breaks a rule, not only the first.
func parseQuery(values url.Values) (query, []paramError) {
	p := params{values: values}
	q := query{
		category: p.text("category"),
		minPrice: p.integer("min_price", 0, maxPrice, 0),
		maxPrice: p.integer("max_price", 0, maxPrice, math.MaxInt),
		text:     p.text("q"),
		sort:     p.sort("sort", "name"),
		limit:    p.integer("limit", 1, maxLimit, defaultLimit),
	}
	// A bound that is absent or bad has its default here, so this compares two good ones.
	if q.minPrice > q.maxPrice {
		p.fail("min_price", "must not be greater than max_price")
	}
	return q, p.errors
}

// params reads parameters by type and collects the bad ones.
type params struct {
	values url.Values
	errors []paramError
}

func (p *params) fail(name, format string, args ...any) {
	p.errors = append(p.errors, paramError{Parameter: name, Detail: fmt.Sprintf(format, args...)})
}

func (p *params) text(name string) string {
	if !p.values.Has(name) {
		return ""
	}
	s := p.values.Get(name)
	if n := utf8.RuneCountInString(s); n < 1 || n > maxText {
		p.fail(name, "must have 1 to %d characters", maxText)
	}
	return s
}

func (p *params) integer(name string, low, high, absent int) int {
	if !p.values.Has(name) {
		return absent
	}
	s := p.values.Get(name)
	n, err := strconv.Atoi(s)
	// Atoi takes a plus sign, the API does not.
	if err != nil || strings.HasPrefix(s, "+") || n < low || n > high {
		p.fail(name, "must be an integer from %d to %d", low, high)
		return absent
	}
	return n
}

func (p *params) sort(name, absent string) string {
	if !p.values.Has(name) {
		return absent
	}
	s := p.values.Get(name)
	if _, ok := orders[s]; !ok {
		p.fail(name, "must be price, rating or name")
	}
	return s
}
