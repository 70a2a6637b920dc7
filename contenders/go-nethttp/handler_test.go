package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const testProducts = `[
	{"id": 1, "name": "Ωmega Lamp", "category": "lighting", "price_cents": 999, "discount_percent": 15, "rating": 4.3, "stock": 2, "tags": ["new"]},
	{"id": 2, "name": "Desk <b>Lamp</b>", "category": "lighting", "price_cents": 500, "discount_percent": 0, "rating": 4.3, "stock": 0, "tags": []},
	{"id": 3, "name": "Chair", "category": "seating", "price_cents": 20000, "discount_percent": 50, "rating": 4.9, "stock": 7, "tags": []}
]`

func request(t *testing.T, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	path := filepath.Join(t.TempDir(), "products.json")
	if err := os.WriteFile(path, []byte(testProducts), 0o600); err != nil {
		t.Fatal(err)
	}
	products, err := loadCatalogue(path)
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	newHandler(products).ServeHTTP(rec, httptest.NewRequest(method, target, nil))
	return rec
}

func TestProducts(t *testing.T) {
	tests := []struct {
		query string
		ids   []int
		want  totals
	}{
		{"", []int{3, 2, 1}, totals{Matched: 3, Shown: 3, FinalCents: 11349, SavedCents: 10150, InStock: 2}},
		{"?sort=price&limit=2", []int{2, 1}, totals{Matched: 3, Shown: 2, FinalCents: 11349, SavedCents: 10150, InStock: 2}},
		{"?sort=rating&q=LAMP", []int{1, 2}, totals{Matched: 2, Shown: 2, FinalCents: 1349, SavedCents: 150, InStock: 1}},
		{"?q=ω", []int{1}, totals{Matched: 1, Shown: 1, FinalCents: 849, SavedCents: 150, InStock: 1}},
		{"?min_price=849&max_price=0849", []int{1}, totals{Matched: 1, Shown: 1, FinalCents: 849, SavedCents: 150, InStock: 1}},
		{"?min_price=-0&max_price=849", []int{2, 1}, totals{Matched: 2, Shown: 2, FinalCents: 1349, SavedCents: 150, InStock: 1}},
		{"?category=seating&unknown=1", []int{3}, totals{Matched: 1, Shown: 1, FinalCents: 10000, SavedCents: 10000, InStock: 1}},
		{"?category=none", []int{}, totals{}},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			rec := request(t, http.MethodGet, "/products"+tt.query)
			if rec.Code != http.StatusOK {
				t.Fatalf("status %d: %s", rec.Code, rec.Body)
			}
			var got answer
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if got.Items == nil {
				t.Error("items is null")
			}
			ids := make([]int, 0, len(got.Items))
			for _, p := range got.Items {
				ids = append(ids, p.ID)
			}
			if !slices.Equal(ids, tt.ids) || got.Totals != tt.want {
				t.Errorf("got %v %+v, want %v %+v", ids, got.Totals, tt.ids, tt.want)
			}
		})
	}
}

func TestBadParameters(t *testing.T) {
	tests := []struct {
		query string
		want  []string
	}{
		{"limit=0", []string{"limit"}},
		{"limit=51", []string{"limit"}},
		{"limit=", []string{"limit"}},
		{"limit=%2B5", []string{"limit"}},
		{"limit=1.0", []string{"limit"}},
		{"limit=99999999999999999999", []string{"limit"}},
		{"min_price=-5", []string{"min_price"}},
		{"min_price=%205", []string{"min_price"}},
		{"min_price=2&max_price=1", []string{"min_price"}},
		{"min_price=2&max_price=abc", []string{"max_price"}},
		{"min_price=2&max_price=-1", []string{"max_price"}},
		{"min_price=10000001&max_price=1", []string{"min_price"}},
		{"category=&q=&sort=", []string{"category", "q", "sort"}},
		{"q=" + strings.Repeat("ж", 41), []string{"q"}},
		{"category=&min_price=2&max_price=1&q=&sort=id&limit=a", []string{"category", "limit", "min_price", "q", "sort"}},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			rec := request(t, http.MethodGet, "/products?"+tt.query)
			if rec.Code != http.StatusBadRequest || rec.Header().Get("Content-Type") != "application/problem+json" {
				t.Fatalf("status %d, type %q", rec.Code, rec.Header().Get("Content-Type"))
			}
			var got problem
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			names := make([]string, 0, len(got.Errors))
			for _, e := range got.Errors {
				names = append(names, e.Parameter)
			}
			slices.Sort(names)
			if !slices.Equal(names, tt.want) {
				t.Errorf("got %v, want %v", names, tt.want)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	tests := []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/healthz", http.StatusOK},
		{http.MethodGet, "/nothing", http.StatusNotFound},
		{http.MethodPost, "/products", http.StatusMethodNotAllowed},
	}
	for _, tt := range tests {
		if rec := request(t, tt.method, tt.path); rec.Code != tt.status {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.path, rec.Code, tt.status)
		}
	}
}
