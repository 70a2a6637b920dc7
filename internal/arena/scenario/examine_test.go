package scenario

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/backend-showdown/showdown/internal/testkit/shop"
)

// examineHandler serves the data set through h, with a health answer.
func examineHandler(t *testing.T, wrap func(http.Handler) http.Handler, mode shop.Mode) []Check {
	t.Helper()
	dir := t.TempDir()
	if err := JSON().WriteData(dir); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.Handle("/", shop.Handler(mode, dir))
	s := httptest.NewServer(wrap(mux))
	t.Cleanup(s.Close)
	checks, err := JSON().Verify(t.Context(), s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return checks
}

func same(h http.Handler) http.Handler { return h }

func TestVerifyAcceptsAnHonestService(t *testing.T) {
	for _, c := range examineHandler(t, same, "honest") {
		if c.Breach != nil {
			t.Errorf("%s %s: %+v", c.Rule, c.Name, *c.Breach)
		}
	}
}

// Each way to break a rule is found, and named by the rule.
func TestVerifyFindsEveryBreach(t *testing.T) {
	replace := func(condition func(*http.Request) bool, with http.HandlerFunc) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if condition(r) {
					with(w, r)
					return
				}
				h.ServeHTTP(w, r)
			})
		}
	}
	always := func(*http.Request) bool { return true }
	bad := func(r *http.Request) bool { return r.URL.Query().Get("limit") == "0" }
	text := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			w.Write([]byte(body))
		}
	}
	for name, c := range map[string]struct {
		wrap func(http.Handler) http.Handler
		mode shop.Mode
		rule string
	}{
		"200 for everything": {replace(always, text(200, "application/json", `{"items":[],"totals":{}}`)), "", "J8"},
		"wrong health":       {replace(func(r *http.Request) bool { return r.URL.Path == "/healthz" }, text(200, "text/plain", "fine")), "", "J1"},
		"wrong prices":       {same, shop.Lies, "J2"},
		"html for json":      {replace(func(r *http.Request) bool { return r.URL.RawQuery == "" && r.URL.Path == "/products" }, text(200, "text/html", "{}")), "", "J2"},
		"plain 400":          {replace(bad, text(400, "text/plain", "bad limit")), "", "J8"},
		"unnamed parameter":  {replace(bad, text(400, "application/problem+json", `{"status":400,"title":"x","errors":[{"parameter":"q","detail":"x"}]}`)), "", "J8"},
		"no 404":             {replace(func(r *http.Request) bool { return r.URL.Path == "/product" }, text(200, "text/plain", "here")), "", "J9"},
		"closes after 404": {replace(func(r *http.Request) bool { return r.URL.Path == "/nowhere" }, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			w.WriteHeader(404)
		}), "", "J10"},
		"endless answer": {replace(func(r *http.Request) bool { return r.URL.Query().Get("limit") == "1" }, text(200, "application/json", strings.Repeat(" ", 2<<20))), "", "J2"},
	} {
		t.Run(name, func(t *testing.T) {
			found := false
			for _, check := range examineHandler(t, c.wrap, c.mode) {
				if check.Breach != nil {
					found = found || check.Rule == c.rule
					if check.Breach.Request == "" || check.Breach.Want == "" || check.Breach.Got == "" || len(check.Breach.Got) > 2000 {
						t.Errorf("a breach must show request, want and got: %+v", *check.Breach)
					}
				}
			}
			if !found {
				t.Errorf("no breach of %s was found", c.rule)
			}
		})
	}
}
