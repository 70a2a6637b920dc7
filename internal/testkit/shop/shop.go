// Package shop is a small service that keeps the contract of the scenario json,
// and ways to break it, for tests. It is written from the prose of the contract
// and shares no code with the checker, so that each is a test of the other.
package shop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Mode is a way to keep or break the contract.
type Mode string

// The modes. Any other word keeps the contract.
const (
	Lies     Mode = "lies"      // computes prices wrongly from the start
	LiesLate Mode = "lies-late" // does so after 500 answers, when nobody seems to look
	Caches   Mode = "caches"    // gives under load everybody the last answer again
	Sleepy   Mode = "sleepy"    // takes 80 ms for every answer under load: no rate meets the objective
	Faulty   Mode = "faulty"    // one answer in ten is a 500 once under load
	Serial   Mode = "serial"    // works on one request at a time, 2 ms each: its capacity is below 500/s
)

// underLoad is how many answers a service gives before it misbehaves: more than
// a verification asks.
const underLoad = 500

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
}

type shop struct {
	mode     Mode
	products func() []product
	served   atomic.Int64
	last     atomic.Pointer[[]byte]
	till     sync.Mutex
}

// Handler serves GET /products from the data in dir, which is read at the first request.
func Handler(mode Mode, dir string) http.Handler {
	s := &shop{mode: mode, products: sync.OnceValue(func() []product {
		b, err := os.ReadFile(filepath.Join(dir, "products.json"))
		if err != nil {
			panic(err)
		}
		var all []product
		if err := json.Unmarshal(b, &all); err != nil {
			panic(err)
		}
		for i := range all {
			all[i].FinalCents = all[i].PriceCents * (100 - all[i].DiscountPercent) / 100
		}
		return all
	})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products", s.list)
	return mux
}

func (s *shop) list(w http.ResponseWriter, r *http.Request) {
	loaded := s.served.Add(1) > underLoad
	switch {
	case s.mode == Sleepy && loaded:
		time.Sleep(80 * time.Millisecond)
	case s.mode == Serial:
		s.till.Lock()
		time.Sleep(2 * time.Millisecond)
		s.till.Unlock()
	case s.mode == Faulty && loaded && s.served.Load()%10 == 0:
		http.Error(w, "no", http.StatusInternalServerError)
		return
	case s.mode == Caches && loaded && s.last.Load() != nil:
		w.Header().Set("Content-Type", "application/json")
		w.Write(*s.last.Load())
		return
	}
	q, bad := read(r.URL.Query())
	if len(bad) > 0 {
		refuse(w, bad)
		return
	}
	body, err := json.Marshal(answer(s.products(), q, s.mode == Lies || s.mode == LiesLate && loaded))
	if err != nil {
		panic(err)
	}
	s.last.Store(&body)
	w.Header().Set("Content-Type", "application/json")
	w.Write(body)
}

type query struct {
	category, q, sort string
	low, high, limit  int
}

var integer = regexp.MustCompile(`^-?[0-9]+$`)

func read(values url.Values) (q query, bad []string) {
	q = query{category: values.Get("category"), q: values.Get("q"), sort: "name", high: 1 << 40, limit: 20}
	for _, name := range []string{"category", "q"} {
		if n := utf8.RuneCountInString(values.Get(name)); values.Has(name) && (n < 1 || n > 40) {
			bad = append(bad, name)
		}
	}
	number := func(name string, into *int, low, high int) {
		if !values.Has(name) {
			return
		}
		n, err := strconv.Atoi(values.Get(name))
		if err != nil || !integer.MatchString(values.Get(name)) || n < low || n > high {
			bad = append(bad, name)
			return
		}
		*into = n
	}
	number("min_price", &q.low, 0, 10_000_000)
	number("max_price", &q.high, 0, 10_000_000)
	if q.low > q.high && !slices.Contains(bad, "min_price") && !slices.Contains(bad, "max_price") {
		bad = append(bad, "min_price")
	}
	if values.Has("sort") {
		if q.sort = values.Get("sort"); !slices.Contains([]string{"price", "rating", "name"}, q.sort) {
			bad = append(bad, "sort")
		}
	}
	number("limit", &q.limit, 1, 50)
	return q, bad
}

func refuse(w http.ResponseWriter, bad []string) {
	type wrong struct {
		Parameter string `json:"parameter"`
		Detail    string `json:"detail"`
	}
	var errors []wrong
	for _, name := range bad {
		errors = append(errors, wrong{name, fmt.Sprintf("%s is not allowed", name)})
	}
	body, err := json.Marshal(map[string]any{"status": 400, "title": "Bad Request", "errors": errors})
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusBadRequest)
	w.Write(body)
}

func answer(products []product, q query, lie bool) map[string]any {
	found, final, saved, stocked := []product{}, 0, 0, 0
	for _, p := range products {
		if q.category != "" && p.Category != q.category || p.FinalCents < q.low || p.FinalCents > q.high ||
			!strings.Contains(strings.ToLower(p.Name), strings.ToLower(q.q)) {
			continue
		}
		if lie {
			p.FinalCents++
		}
		found = append(found, p)
		final += p.FinalCents
		saved += p.PriceCents - p.FinalCents
		if p.Stock > 0 {
			stocked++
		}
	}
	slices.SortFunc(found, func(a, b product) int {
		switch q.sort {
		case "price":
			return cmp.Or(a.FinalCents-b.FinalCents, a.ID-b.ID)
		case "rating":
			return cmp.Or(cmp.Compare(b.Rating, a.Rating), a.ID-b.ID)
		}
		return cmp.Or(strings.Compare(a.Name, b.Name), a.ID-b.ID)
	})
	shown := found[:min(q.limit, len(found))]
	return map[string]any{"items": shown, "totals": map[string]int{
		"matched": len(found), "shown": len(shown), "final_cents": final, "saved_cents": saved, "in_stock": stocked,
	}}
}
