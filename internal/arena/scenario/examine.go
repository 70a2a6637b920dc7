package scenario

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// An answer larger than maxAnswer breaks the contract, whatever it holds: fifty items fit many times.
const (
	maxAnswer   = 1 << 20
	askTimeout  = 10 * time.Second
	drawnAsks   = 200 // queries of the random stream asked one after another
	parallelAsk = 8   // clients that ask at once
)

// examiner holds one running service against the rules.
type examiner struct {
	host   string
	scene  *jsonAPI
	client *http.Client
	checks []Check
}

func newExaminer(host string, s *jsonAPI) *examiner {
	return &examiner{host: host, scene: s, client: &http.Client{
		Timeout:       askTimeout,
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: parallelAsk},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (e *examiner) examine(ctx context.Context) ([]Check, error) {
	defer e.client.CloseIdleConnections()
	health, err := e.ask(ctx, http.MethodGet, "/healthz")
	if err != nil {
		return nil, showdown.Errorf(showdown.BadContender, "is it running, and does it bind to this address?", "ask %s: %w", e.host, err)
	}
	e.add("J1", "health", health.problem(func() error { return health.is(200, "", "ok") }))

	for _, params := range goodAsks() {
		e.askGood(ctx, params)
	}
	e.askDrawn(ctx)
	e.askAtOnce(ctx)
	for _, params := range badAsks() {
		e.askBad(ctx, params)
	}
	e.askElsewhere(ctx)
	e.askOnOneConnection(ctx)
	return e.checks, ctx.Err()
}

func (e *examiner) add(rule, name string, b *Breach) {
	e.checks = append(e.checks, Check{Rule: rule, Name: name, Breach: b})
}

// goodAsks are the corners of rules J3 to J7.
func goodAsks() []map[string]string {
	return []map[string]string{
		{},
		{"category": "books"},
		{"category": "spielzeug für große"},
		{"category": "sport & spiel", "sort": "rating"},
		{"category": "no such category"},
		{"category": "BOOKS"},
		{"sort": "price", "limit": "50"},
		{"sort": "rating", "limit": "50"},
		{"sort": "name", "limit": "50"},
		{"limit": "1"},
		{"limit": "007"},
		{"min_price": "0", "max_price": "10000000", "limit": "50"},
		{"min_price": "20000", "max_price": "20000"},
		{"min_price": "30000", "sort": "price"},
		{"max_price": "30000", "sort": "price"},
		{"q": "lamp"},
		{"q": "LAMP"},
		{"q": "ωmega"},
		{"q": "чайник", "sort": "rating"},
		{"q": "台灯"},
		{"q": "😀"},
		{"q": "<b>sale</b>"},
		{"q": "\"edition\""},
		{"q": "& co"},
		{"q": "100%"},
		{"q": "a/b\\c"},
		{"q": "it+works"},
		{"q": strings.Repeat("ж", maxText)},
		{"unknown": "ignored", "limit": "3"},
	}
}

// badAsks each break rule J3, some in several places.
func badAsks() []map[string]string {
	asks := []map[string]string{
		{"category": ""},
		{"q": ""},
		{"category": strings.Repeat("x", maxText+1)},
		{"q": strings.Repeat("ж", maxText+1)},
		{"min_price": "2", "max_price": "1"},
		{"limit": "0", "sort": "popularity"},
		{"limit": "x", "sort": "x", "min_price": "x", "max_price": "x", "q": "", "category": ""},
		{"limit": "1.0"},
		{"limit": "5abc"},
		{"limit": " 5"},
		{"limit": "1_0"},
		{"limit": "-5"},
	}
	for _, v := range badLimits {
		asks = append(asks, map[string]string{"limit": v})
	}
	for _, v := range badPrices {
		asks = append(asks, map[string]string{"min_price": v}, map[string]string{"max_price": v})
	}
	for _, v := range badSorts {
		asks = append(asks, map[string]string{"sort": v})
	}
	return asks
}

func (e *examiner) askGood(ctx context.Context, params map[string]string) {
	target := targetOf(params)
	r, err := e.ask(ctx, http.MethodGet, target)
	e.add("J2", "GET "+target, breachOf(r, err, target, func() error {
		if err := r.is(200, "application/json", ""); err != nil {
			return err
		}
		return e.scene.oracle.judgeAnswer(params, r.body)
	}))
}

func (e *examiner) askBad(ctx context.Context, params map[string]string) {
	target, bad := targetOf(params), badParameters(params)
	r, err := e.ask(ctx, http.MethodGet, target)
	e.add("J8", "GET "+target+" → 400", breachOf(r, err, target, func() error {
		if err := r.is(400, "application/problem+json", ""); err != nil {
			return err
		}
		return judgeProblem(bad, r.body)
	}))
}

// askDrawn asks what the load will ask, one query after another.
func (e *examiner) askDrawn(ctx context.Context) {
	e.add("J5", fmt.Sprintf("%d random queries", drawnAsks), e.drawn(ctx, 1, drawnAsks))
}

// askAtOnce asks from several clients, so that answers could get mixed up.
func (e *examiner) askAtOnce(ctx context.Context) {
	breaches := make([]*Breach, parallelAsk)
	var wg sync.WaitGroup
	for i := range breaches {
		wg.Go(func() { breaches[i] = e.drawn(ctx, uint64(100+i), drawnAsks/parallelAsk) })
	}
	wg.Wait()
	e.add("J5", fmt.Sprintf("%d clients at once", parallelAsk), cmp.Or(breaches...))
}

// drawn returns the first breach among n queries of a stream.
func (e *examiner) drawn(ctx context.Context, seed uint64, n int) *Breach {
	s := newStream(seed, e.scene.products)
	for k := range uint64(n) {
		q := s.at(k)
		target := string(q.appendTarget(nil))
		r, err := e.ask(ctx, http.MethodGet, target)
		b := breachOf(r, err, target, func() error {
			if q.bad != "" {
				if err := r.is(400, "application/problem+json", ""); err != nil {
					return err
				}
				return judgeProblem(badParameters(q.params()), r.body)
			}
			if err := r.is(200, "application/json", ""); err != nil {
				return err
			}
			return e.scene.oracle.judgeAnswer(q.params(), r.body)
		})
		if b != nil || ctx.Err() != nil {
			return b
		}
	}
	return nil
}

func (e *examiner) askElsewhere(ctx context.Context) {
	for _, path := range []string{"/", "/product", "/products/1/reviews", "/healthz/x"} {
		r, err := e.ask(ctx, http.MethodGet, path)
		e.add("J9", "GET "+path+" → 404", breachOf(r, err, path, func() error { return r.is(404, "", "") }))
	}
	r, err := e.ask(ctx, http.MethodPost, "/products")
	e.add("J9", "POST /products → 404 or 405", breachOf(r, err, "/products", func() error {
		if r.status != 404 && r.status != 405 {
			return fmt.Errorf("status %d, want 404 or 405", r.status)
		}
		return nil
	}))
}

// askOnOneConnection is rule J10.
func (e *examiner) askOnOneConnection(ctx context.Context) {
	targets := []string{"/products?limit=1", "/products?limit=0", "/nowhere", "/products?limit=2", "/healthz"}
	b := &Breach{Request: "GET " + strings.Join(targets, ", GET ") + " on one connection", Want: "five answers on it"}
	dialer := net.Dialer{Timeout: askTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", e.host)
	if err != nil {
		b.Got = err.Error()
		e.add("J10", "keep-alive", b)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(askTimeout))
	in := bufio.NewReader(conn)
	for i, target := range targets {
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, e.host)
		resp, err := http.ReadResponse(in, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
			if err == nil && resp.Close && i < len(targets)-1 {
				err = fmt.Errorf("the answer says Connection: close")
			}
		}
		if err != nil {
			b.Got = fmt.Sprintf("answer %d (to %s): %v", i+1, target, err)
			e.add("J10", "keep-alive", b)
			return
		}
	}
	e.add("J10", "keep-alive", nil)
}

// reply is one whole answer.
type reply struct {
	method, target string
	status         int
	mediaType      string
	body           []byte
}

func (e *examiner) ask(ctx context.Context, method, target string) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+e.host+target, nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer is larger than %s", showdown.Bytes(maxAnswer))
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return &reply{method: method, target: target, status: resp.StatusCode, mediaType: mediaType, body: body}, nil
}

// is holds status, media type and text against what is wanted; "" means any.
func (r *reply) is(status int, mediaType, text string) error {
	switch {
	case r.status != status:
		return fmt.Errorf("status %d, want %d", r.status, status)
	case mediaType != "" && r.mediaType != mediaType:
		return fmt.Errorf("Content-Type is %q, want %q", r.mediaType, mediaType)
	case text != "" && strings.TrimSpace(string(r.body)) != text:
		return fmt.Errorf("the body is not %q", text)
	}
	return nil
}

func (r *reply) problem(judge func() error) *Breach { return breachOf(r, nil, r.target, judge) }

func breachOf(r *reply, err error, target string, judge func() error) *Breach {
	if err != nil {
		return &Breach{Request: "GET " + target, Want: "an answer", Got: err.Error()}
	}
	wrong := judge()
	if wrong == nil {
		return nil
	}
	return &Breach{
		Request: r.method + " " + r.target,
		Want:    wrong.Error(),
		Got:     fmt.Sprintf("%d %s %s", r.status, r.mediaType, excerpt(r.body, 300)),
	}
}

// excerpt makes an untrusted body safe to show: bounded, one line, no control characters.
func excerpt(body []byte, limit int) string {
	s := strings.ToValidUTF8(string(body[:min(len(body), limit+utf8.UTFMax)]), "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > limit {
		cut := limit
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return s
}

// targetOf writes a request target with its parameters in a fixed order.
func targetOf(params map[string]string) string {
	dst := []byte("/products")
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		dst = append(dst, "?&"[min(i, 1)])
		dst = append(dst, name...)
		dst = append(dst, '=')
		dst = appendEscaped(dst, params[name])
	}
	return string(dst)
}
