package scenario

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// catalogueSeed is part of the contract: every run, everywhere, asks about the same 1,000 products.
const (
	catalogueSeed = 2026
	catalogueSize = 1000
)

type product struct {
	ID              int      `json:"id"`
	Name            string   `json:"name"`
	Category        string   `json:"category"`
	PriceCents      int64    `json:"price_cents"`
	DiscountPercent int64    `json:"discount_percent"`
	Rating          float64  `json:"rating"`
	Stock           int      `json:"stock"`
	Tags            []string `json:"tags"`
}

// finalCents is rule J4.
func (p *product) finalCents() int64 { return p.PriceCents * (100 - p.DiscountPercent) / 100 }

// Note: the words below hold no İ and no Σ, whose lower case depends on language
// or place, and nothing in U+E000–U+FFFF, where UTF-16 order differs from code
// point order. TestCatalogueKeepsItsPromises checks it.
var (
	categories = []string{"audio", "books", "garden", "kitchen", "lighting", "office", "sport & spiel", "spielzeug für große"}
	adjectives = []string{
		"Compact", "Silent", "Nordic", "Ωmega", "Élégant", "Größter", "Синий", "Быстрый", "经典", "限量", "Twin", "Solar",
		"Folding", "Heavy-Duty", "Mini", "Ultra", "Rétro", "Ångström", "Świetny", "Low",
	}
	nouns = []string{
		"Lamp", "Kettle", "Speaker", "Чайник", "Лампа", "台灯", "书架", "Chair", "Ñandú Rug", "Desk", "Tent", "Racket",
		"Notebook", "Headphones", "Trowel", "Waage", "Wagen", "Fön", "Grill", "Puzzle",
	}
	suffixes = []string{
		"", "", "", " Pro", " 2", " XL", " \"Edition\"", " & Co", " <b>Sale</b>", " 😀", " <script>alert('hi')</script>", " 100%", " a/b\\c", " 🚲🌱",
	}
	tagWords = []string{"new", "sale", "größe-xl", "eco", "vegan", "限定", "хит", "bulky", "gift", "b2b", "refurb", "🚚 free"}
)

// newCatalogue draws the data set. Prices and ratings are coarse on purpose, so
// that sorting meets many ties.
func newCatalogue() []product {
	rng := rand.New(rand.NewPCG(catalogueSeed, 1))
	pick := func(words []string) string { return words[rng.IntN(len(words))] }
	products := make([]product, catalogueSize)
	for i := range products {
		p := &products[i]
		p.ID = 1 + i*7%catalogueSize // 7 and 1000 share no factor: every id once, not in file order
		p.Name = pick(adjectives) + " " + pick(nouns) + pick(suffixes)
		p.Category = pick(categories)
		p.PriceCents = int64(99 + 100*rng.IntN(400)*(1+rng.IntN(5)))
		if rng.IntN(2) == 0 {
			p.DiscountPercent = int64(1 + rng.IntN(60))
		}
		p.Rating = float64(10+rng.IntN(41)) / 10
		if rng.IntN(5) > 0 {
			p.Stock = rng.IntN(200)
		}
		p.Tags = []string{}
		for range rng.IntN(4) {
			p.Tags = append(p.Tags, pick(tagWords))
		}
	}
	return products
}

func writeCatalogue(dir string, products []product) error {
	var b strings.Builder
	b.WriteString("[\n")
	for i := range products {
		line, err := json.Marshal(&products[i])
		if err != nil {
			return err
		}
		b.Write(line)
		if i < len(products)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]\n")
	if err := os.WriteFile(filepath.Join(dir, "products.json"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write data set: %w", err)
	}
	return nil
}
