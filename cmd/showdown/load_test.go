package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// invoke runs the program inside this process.
func invoke(args ...string) (status int, stdout, stderr string) {
	var out, problems bytes.Buffer
	status = run(args, strings.NewReader(""), &out, &problems)
	return status, out.String(), problems.String()
}

func TestLoadSendsWhatWasAsked(t *testing.T) {
	var served atomic.Int64
	var seen atomic.Pointer[http.Request]
	var body atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		b, _ := io.ReadAll(r.Body)
		body.Store(string(b))
		seen.Store(r)
	}))
	defer s.Close()
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte(`{"a":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	status, out, problems := invoke("load", s.URL+"/x?y=%20z", "-r", "500", "-n", "100", "-X", "POST", "-H", "X-Test: yes", "-b", "@"+file)
	r := seen.Load()
	if status != 0 || served.Load() != 100 || r.Method != "POST" || r.RequestURI != "/x?y=%20z" || r.Header.Get("X-Test") != "yes" || body.Load() != `{"a":1}` {
		t.Errorf("status %d, served %d, %s %s %v %q\n%s%s", status, served.Load(), r.Method, r.RequestURI, r.Header, body.Load(), out, problems)
	}
	for _, want := range []string{"100 due on schedule", "ok 100", "from the intended send"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestLoadClosedLoopMakesNoLatencyClaim(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	status, out, _ := invoke("load", s.URL, "-c", "3", "-n", "60")
	if status != 0 || !strings.Contains(out, "60 × status") || !strings.Contains(out, "not what users would see") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

func TestLoadThresholds(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(500)
		}
		time.Sleep(2 * time.Millisecond)
	}))
	defer s.Close()
	for _, c := range []struct {
		path, condition string
		status          int
	}{
		{"/", "p50>1us", 5},
		{"/", "p99>20s", 0},
		{"/", "errors>0%", 0},
		{"/", "rate<10", 0},
		{"/", "rate<1k", 5},
		{"/broken", "errors>50%", 5},
		{"/broken", "p99>20s", 5}, // no good answer was fast enough
	} {
		status, out, problems := invoke("load", s.URL+c.path, "-r", "200", "-d", "300ms", "--fail-if", c.condition)
		if status != c.status {
			t.Errorf("%s on %s: status %d, want %d\n%s%s", c.condition, c.path, status, c.status, out, problems)
		}
	}
}

func TestLoadTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	s.Config.ErrorLog = nil
	status, out, problems := invoke("load", s.URL, "-r", "100", "-d", "200ms", "-k", "--json")
	var r loadResult
	if err := json.Unmarshal([]byte(out), &r); status != 0 || err != nil || r.Schema != "showdown.load/1" || r.Engine != "goroutines" || r.Load.OK != 20 {
		t.Errorf("status %d, %v, %+v\n%s", status, err, r, problems)
	}
	if status, _, problems = invoke("load", s.URL, "-n", "1"); status != 3 || !strings.Contains(problems, "certificate") {
		t.Errorf("an unknown certificate: status %d\n%s", status, problems)
	}
}

func TestLoadRefusesNonsense(t *testing.T) {
	for _, args := range [][]string{
		{"nonsense"},
		{"http://user:secret@127.0.0.1/"},
		{"http://127.0.0.1/", "-X", "GET /"},
		{"http://127.0.0.1/", "-H", "no colon"},
		{"http://127.0.0.1/", "-H", "A: b\r\nC: d"},
		{"http://127.0.0.1/", "-H", "Content-Length: 3"},
		{"http://127.0.0.1/", "-b", "@/does/not/exist"},
		{"http://127.0.0.1/", "-c", "0"},
		{"http://127.0.0.1/", "-r", "-5"},
		{"http://127.0.0.1/", "-r", "NaN"},
		{"http://127.0.0.1/", "--fail-if", "p99>5"},
		{"http://127.0.0.1/", "--fail-if", "errors>200%"},
		{"http://127.0.0.1/", "-r", "5", "--poisson", "-n", "5"},
	} {
		if status, out, _ := invoke(append([]string{"load"}, args...)...); status != 2 || out != "" {
			t.Errorf("%q: status %d\n%s", args, status, out)
		}
	}
}

func FuzzThreshold(f *testing.F) {
	for _, s := range []string{"p99>50ms", "errors>0.1%", "rate<1k/s", "p99.9 > 1h", ">", "max>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, err := parseThreshold(text)
		if err == nil {
			_ = limit.hold(&loadResult{})
		}
	})
}
