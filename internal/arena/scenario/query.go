package scenario

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// The bounds of rule J3.
const (
	maxPrice     = 10_000_000
	maxText      = 40
	maxLimit     = 50
	defaultLimit = 20
)

// query is one drawn request: the values of its parameters, "" where absent.
type query struct {
	category, minPrice, maxPrice, q, sort, limit string
	// bad names the parameter that breaks J3 on purpose, or "".
	bad string
}

// stream draws queries: the same seed and index always give the same one.
type stream struct {
	seed  uint64
	names []string // to take search texts from
}

func newStream(seed uint64, products []product) *stream {
	s := &stream{seed: seed}
	for i := range products {
		s.names = append(s.names, products[i].Name)
	}
	return s
}

// badLimits and the like are what clients really send wrongly.
var (
	badLimits = []string{"0", "51", "-1", "ten", "", "1.5", "1e3", "99999999999999999999"}
	badPrices = []string{"-1", "10000001", "cheap", "9.99", "", "0x10"}
	badSorts  = []string{"popularity", "Price", "", "id"}
	sorts     = []string{"price", "rating", "name"}
	numbers   = decimals(maxLimit)
)

// dice draws whole numbers. Unlike rand.Rand it can live on the stack, so that a
// stream may be read from several threads without allocating.
type dice struct{ rand.PCG }

// intN is between 0 and n-1, with a bias below n/2⁶⁴.
func (d *dice) intN(n int) int {
	high, _ := bits.Mul64(d.Uint64(), uint64(n))
	return int(high)
}

// at draws the k-th query. It does not allocate, but for the digits of prices.
func (s *stream) at(k uint64) query {
	var d dice
	d.Seed(s.seed, k)
	var q query
	if d.intN(2) == 0 {
		q.category = categories[d.intN(len(categories))]
	}
	if d.intN(2) == 0 {
		low := d.intN(120_000)
		q.minPrice = strconv.Itoa(low)
		q.maxPrice = strconv.Itoa(low + d.intN(150_000))
	}
	if d.intN(10) < 3 {
		q.q = s.needle(&d)
	}
	if d.intN(10) < 9 {
		q.sort = sorts[d.intN(len(sorts))]
	}
	if d.intN(10) < 9 {
		q.limit = numbers[1+d.intN(maxLimit)]
	}
	if d.intN(50) == 0 {
		spoil(&q, &d)
	}
	return q
}

// needle is one to four characters of some product's name, often in the other case.
func (s *stream) needle(d *dice) string {
	name := s.names[d.intN(len(s.names))]
	skip, take := d.intN(utf8.RuneCountInString(name)), 1+d.intN(4)
	start, end, n := len(name), len(name), 0
	for i := range name {
		if n == skip {
			start = i
		}
		if n == skip+take {
			end = i
		}
		n++
	}
	return name[start:end]
}

func spoil(q *query, d *dice) {
	switch d.intN(4) {
	case 0:
		q.bad, q.limit = "limit", badLimits[d.intN(len(badLimits))]
	case 1:
		q.bad, q.sort = "sort", badSorts[d.intN(len(badSorts))]
	case 2:
		q.bad, q.minPrice = "min_price", badPrices[d.intN(len(badPrices))]
	case 3:
		q.bad, q.minPrice, q.maxPrice = "min_price", "5000", "4999"
	}
}

// appendTarget writes the request target. Bad values are written even when empty.
func (q *query) appendTarget(dst []byte) []byte {
	dst = append(dst, "/products"...)
	sep := byte('?')
	for _, p := range [...]struct{ name, value string }{
		{"category", q.category},
		{"min_price", q.minPrice},
		{"max_price", q.maxPrice},
		{"q", q.q},
		{"sort", q.sort},
		{"limit", q.limit},
	} {
		if p.value == "" && q.bad != p.name {
			continue
		}
		dst = append(dst, sep)
		dst = append(dst, p.name...)
		dst = append(dst, '=')
		dst = appendEscaped(dst, p.value)
		sep = '&'
	}
	return dst
}

// appendEscaped percent-encodes all but RFC 3986's unreserved characters.
func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

func decimals(n int) []string {
	out := make([]string, n+1)
	for i := range out {
		out[i] = strconv.Itoa(i)
	}
	return out
}

// lower is the simple case mapping of rule J5.
func lower(s string) string {
	runes := []rune(s)
	for i, r := range runes {
		runes[i] = unicode.ToLower(r)
	}
	return string(runes)
}

// number reads an integer of rule J3 within its bounds; ok is false outside.
func number(s string, low, high int64) (v int64, ok bool) {
	digits := s
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if digits == "" || slices.ContainsFunc([]byte(digits), func(c byte) bool { return c < '0' || c > '9' }) {
		return 0, false
	}
	v, err := strconv.ParseInt(s, 10, 64)
	return v, err == nil && low <= v && v <= high
}
