package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/show/report"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// invoke runs the program inside this process.
func invoke(args ...string) (status int, stdout, stderr string) {
	var out, problems bytes.Buffer
	status = run(args, strings.NewReader(""), &out, &problems)
	return status, out.String(), problems.String()
}

// loadJSON runs a load test that must succeed, and reads its result.
func loadJSON(t *testing.T, args ...string) *report.LoadTest {
	t.Helper()
	status, out, problems := invoke(append([]string{"load", "--json"}, args...)...)
	if status != 0 {
		t.Fatalf("%q: status %d\n%s", args, status, problems)
	}
	var test report.LoadTest
	if err := json.Unmarshal([]byte(out), &test); err != nil {
		t.Fatal(err)
	}
	return &test
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tally counts requests by method, path, body and the header X-Test.
type tally struct {
	mu   sync.Mutex
	seen map[string]int
}

// take gives what was seen since it was last called.
func (c *tally) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = nil
	return seen
}

func (c *tally) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	if c.seen == nil {
		c.seen = map[string]int{}
	}
	c.seen[strings.TrimSpace(r.Method+" "+r.RequestURI+" "+string(body)+" "+r.Header.Get("X-Test"))]++
	c.mu.Unlock()
	_, _ = io.WriteString(w, `{"id":1}`)
}

func TestLoadSendsWhatWasAsked(t *testing.T) {
	c := &tally{}
	s := httptest.NewServer(c)
	defer s.Close()
	status, out, problems := invoke("load", s.URL+"/x?y=%20z", "-r", "500", "-n", "100", "-H", "X-Test: yes", "-b", "@"+file(t, `{"a":1}`))
	got, want := c.take(), map[string]int{`POST /x?y=%20z {"a":1} yes`: 100}
	if status != 0 || !maps.Equal(got, want) {
		t.Errorf("status %d, served %v, want %v\n%s%s", status, got, want, out, problems)
	}
	for _, want := range []string{"100 ok of 100 due", "open loop at 500/s", "from the intended send"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	invoke("load", s.URL, "-n", "1", "-X", "PATCH")
	invoke("load", s.URL, "-n", "1", "-X", "GET", "-b", "kept")
	if got, want := c.take(), map[string]int{"PATCH /": 1, "GET / kept": 1}; !maps.Equal(got, want) {
		t.Errorf("served %v, want %v", got, want)
	}
}

func TestLoadClosedLoopMakesNoLatencyClaim(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	status, out, _ := invoke("load", s.URL, "-c", "3", "-n", "60")
	if status != 0 || !strings.Contains(out, "60 × 4xx") || !strings.Contains(out, "not what users would see") || strings.Contains(out, "latency") {
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
		{"/", "p75<1us", 0},
		{"/", "lag>20s", 0},
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

// A percentile that too few answers support fails a strict test, whatever it says.
func TestLoadStrict(t *testing.T) {
	s := httptest.NewServer(&tally{})
	defer s.Close()
	args := []string{"load", s.URL, "-n", "100", "--fail-if", "p99>20s"}
	if status, _, problems := invoke(args...); status != 0 || !strings.Contains(problems, "100 good answers are too few for p99") {
		t.Errorf("status %d\n%s", status, problems)
	}
	if status, _, problems := invoke(append(args, "--strict")...); status != 7 || !strings.Contains(problems, "cannot be trusted") {
		t.Errorf("strict: status %d\n%s", status, problems)
	}
	if status, _, problems := invoke("load", s.URL, "-n", "100", "--fail-if", "p75>20s", "--strict"); status != 0 && status != 7 || strings.Contains(problems, "too few") {
		t.Errorf("100 answers support a p75: status %d\n%s", status, problems)
	}
}

func TestLoadTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(&tally{})
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MaxVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused certificates are what is tested
	s.StartTLS()
	defer s.Close()
	pair := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ca := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	keyFile := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))

	r := loadJSON(t, s.URL, "-r", "100", "-d", "200ms", "-k")
	if r.Schema != "showdown.load/2" || r.Generator.Engine != "goroutines" || r.Load.OK != 20 || r.Loop != report.OpenLoop {
		t.Errorf("%+v", r)
	}
	loadJSON(t, s.URL, "-n", "1", "--ca", ca)
	loadJSON(t, s.URL, "-n", "1", "--ca", ca, "--server-name", "example.com", "--tls-min", "1.2")
	loadJSON(t, s.URL, "-n", "1", "--ca", ca, "--cert", ca, "--key", keyFile)
	for _, c := range []struct {
		words string
		args  []string
	}{
		{"certificate", nil},
		{"certificate", []string{"--ca", ca, "--server-name", "elsewhere.example"}},
		{"version", []string{"-k", "--tls-min", "1.3"}},
	} {
		if status, _, problems := invoke(append([]string{"load", s.URL, "-n", "1"}, c.args...)...); status != 3 || !strings.Contains(problems, c.words) {
			t.Errorf("%v: status %d\n%s", c.args, status, problems)
		}
	}
}

func TestLoadSendsTheClientsCertificate(t *testing.T) {
	var shown atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { shown.Add(int64(len(r.TLS.PeerCertificates))) }))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	pair := s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	loadJSON(t, s.URL, "-n", "1", "-k",
		"--cert", file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))),
		"--key", file(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))))
	if shown.Load() != 1 {
		t.Errorf("%d certificates shown, want 1", shown.Load())
	}
}

func TestLoadHTTP2(t *testing.T) {
	var versions sync.Map
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { versions.Store(r.Proto, true) })
	secure := httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewUnstartedServer(handler)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	defer plain.Close()
	for _, url := range []string{secure.URL, plain.URL} {
		if r := loadJSON(t, url, "--http2", "-k="+fmt.Sprint(strings.HasPrefix(url, "https")), "-n", "20", "-c", "2"); r.Load.OK != 20 || r.Protocol != "http/2" {
			t.Errorf("%s: %+v", url, r.Load)
		}
	}
	versions.Range(func(proto, _ any) bool {
		if proto != "HTTP/2.0" {
			t.Errorf("spoke %v", proto)
		}
		return true
	})
}

func TestLoadSeveralURLs(t *testing.T) {
	c := &tally{}
	s := httptest.NewServer(c)
	defer s.Close()
	urls := file(t, "# what users do\n3 "+s.URL+"/list?a=1#top\n\n\tPOST\t"+s.URL+"/orders   # rarely\n0.5 DELETE "+s.URL+"/orders/1\r\nGET "+s.URL+"\n")
	r := loadJSON(t, "--urls", urls, "-n", "5500", "-b", "{}", "-X", "PUT")
	first, want := c.take(), map[string]float64{"PUT /list?a=1 {}": 3, "POST /orders {}": 1, "DELETE /orders/1 {}": .5, "GET /": 1}
	for what, weight := range want {
		if share := float64(first[what]) / weight; share < 900 || share > 1100 {
			t.Errorf("%s was asked %d times, want about %.0f", what, first[what], 1000*weight)
		}
	}
	if len(first) != len(want) || len(r.Requests) != 4 || r.Requests[0].Method != "PUT" || r.Load.OK != 5500 {
		t.Errorf("asked %v, told %+v", first, r.Requests)
	}
	loadJSON(t, "--urls", urls, "-n", "5500", "-b", "{}", "-X", "PUT")
	if again := c.take(); !maps.Equal(again, first) {
		t.Errorf("asked %v at first, then %v", first, again)
	}
}

func TestLoadExpects(t *testing.T) {
	s := httptest.NewServer(&tally{})
	defer s.Close()
	for expect, good := range map[string]bool{`"id"`: true, `/"id":\d/`: true, `/^\[/`: false, "nothing": false, "/": false} {
		r := loadJSON(t, s.URL, "-n", "50", "--expect", expect, "--sample", "1")
		if wrong := r.Load.Failures[showdown.FailBody]; r.Load.Verified != 50 || good != (wrong == 0) || !good && !strings.Contains(r.Load.Example, `{"id":1}`) {
			t.Errorf("%q: %+v", expect, r.Load)
		}
	}
	if r := loadJSON(t, s.URL, "-n", "50"); r.Load.Verified != 0 {
		t.Errorf("%d answers verified against nothing", r.Load.Verified)
	}
}

func TestLoadRamp(t *testing.T) {
	s := httptest.NewServer(&tally{})
	defer s.Close()
	r := loadJSON(t, s.URL, "--ramp", "0..400/500ms,400/250ms", "--seed", "9")
	if r.Load.Due != 200 || r.Offered < 266 || r.Offered > 267 || r.Settings.Length != 750*time.Millisecond || r.Settings.Ramp == "" || r.Settings.Seed != 9 {
		t.Errorf("due %d, want 200; %+v", r.Load.Due, r)
	}
}

// socket is a WebSocket server that echoes each message, or sends three of its own.
func socket(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("X-Test") != "yes" {
			http.Error(w, "no WebSocket", http.StatusBadRequest)
			return
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		// The key's digest of RFC 6455, 4.2.2.
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		if r.URL.Path == "/feed" {
			for range 3 {
				_, _ = conn.Write([]byte("\x81\x04tick"))
			}
		}
		for {
			head := make([]byte, 6) // short masked frames only
			if _, err := io.ReadFull(buffered, head); err != nil {
				return
			}
			payload := make([]byte, head[1]&0x7f)
			if _, err := io.ReadFull(buffered, payload); err != nil {
				return
			}
			for i := range payload {
				payload[i] ^= head[2+i%4]
			}
			if _, err := conn.Write(append([]byte{head[0], byte(len(payload))}, payload...)); err != nil || head[0]&0xf == 8 {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func TestLoadWebSocket(t *testing.T) {
	url := socket(t)
	r := loadJSON(t, url, "-H", "X-Test: yes", "--timeout", "2s", "-c", "3", "-r", "200", "-n", "60", "-b", "hello", "--expect", "/^hello$/", "--sample", "1")
	if r.Load.OK != 60 || r.Load.Verified != 60 || r.Protocol != "websocket" {
		t.Errorf("open loop: %+v", r.Load)
	}
	if r = loadJSON(t, url, "-H", "X-Test: yes", "--timeout", "2s", "-c", "3", "-n", "60"); r.Load.OK != 60 {
		t.Errorf("closed loop: %+v", r.Load)
	}
	if r = loadJSON(t, url+"/feed", "-H", "X-Test: yes", "--timeout", "2s", "-c", "4", "-d", "300ms", "--listen"); r.Load.OK != 12 || r.Load.Due != 4 || r.Loop != report.Listening {
		t.Errorf("listening: %+v", r.Load)
	}
}

func TestLoadEvents(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "text/event-stream" {
			http.Error(w, "no events", http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range 3 {
			fmt.Fprint(w, "data: tick\n\n")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}))
	defer s.Close()
	if r := loadJSON(t, s.URL, "--sse", "--timeout", "2s", "-c", "4", "-d", "300ms"); r.Load.OK != 12 || r.Load.Due != 4 || r.Protocol != "events" {
		t.Errorf("%+v", r.Load)
	}
}

// Every form of output tells the same.
func TestLoadOutputs(t *testing.T) {
	s := httptest.NewServer(&tally{})
	defer s.Close()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	status, out, problems := invoke("load", s.URL, "-r", "200", "-d", "1200ms", "--json", "--ndjson", path("seconds"), "--hdr", path("hdr"), "--html", path("html"))
	if status != 0 {
		t.Fatalf("status %d\n%s", status, problems)
	}
	raw, err := report.LoadSchema()
	if err != nil {
		t.Fatal(err)
	}
	document, _ := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	c := jsonschema.NewCompiler()
	_ = c.AddResource("load.json", document)
	compiled, err := c.Compile("load.json")
	if err != nil {
		t.Fatal(err)
	}
	result, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(result); err != nil {
		t.Error(err)
	}

	read := func(name string) string {
		b, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ok, lines := uint64(0), 0
	for line := range strings.Lines(read("seconds")) {
		var second report.LoadSecond
		if err := json.Unmarshal([]byte(line), &second); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		ok, lines = ok+second.OK, lines+1
	}
	if ok != 240 || lines != 2 {
		t.Errorf("%d good answers in %d seconds, want 240 in 2", ok, lines)
	}
	if hdr := read("hdr"); !regexp.MustCompile(`(?m)^ +[\d.]+ +1\.0+ +240 +inf$`).MatchString(hdr) || !strings.HasPrefix(strings.TrimSpace(hdr), "Value") {
		t.Errorf("distribution:\n%s", hdr)
	}
	if page := read("html"); !strings.Contains(page, "240 ok of 240 due") || !strings.Contains(page, `id="latency-chart"`) {
		t.Error("the page lacks the result or the chart over time")
	}
	if left, _ := filepath.Glob(path(".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	status, out, problems = invoke("load", s.URL, "-r", "100", "-n", "10", "--ndjson", "-")
	if status != 0 || !strings.HasPrefix(out, `{"at_ns":0,`) || strings.Count(out, "\n") != 1 || !strings.Contains(problems, "10 ok of 10 due") {
		t.Errorf("status %d\n%s\n%s", status, out, problems)
	}
}

// What cannot be written is said before anything is sent.
func TestLoadRefusesUnwritableFiles(t *testing.T) {
	c := &tally{}
	s := httptest.NewServer(c)
	defer s.Close()
	for _, flag := range []string{"--ndjson", "--hdr", "--html"} {
		for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "no", "folder")} {
			if status, _, problems := invoke("load", s.URL, "-n", "1", flag, path); status != 3 && status != 2 || !strings.Contains(problems, path) {
				t.Errorf("%s: status %d\n%s", flag, status, problems)
			}
		}
	}
	if seen := c.take(); len(seen) > 0 {
		t.Errorf("asked %v", seen)
	}
}

func TestLoadRefusesNonsense(t *testing.T) {
	const url = "http://127.0.0.1/"
	for _, args := range [][]string{
		{"nonsense"},
		{},
		{url, "--urls", "x"},
		{"http://user:secret@127.0.0.1/"},
		{"http://:80/"},
		{"--urls", "/does/not/exist"},
		{"--urls", "-"}, // empty
		{url, "-X", "GET /"},
		{url, "-H", "no colon"},
		{url, "-H", "A: b\r\nC: d"},
		{url, "-H", "Content-Length: 3"},
		{url, "-H", "Upgrade: h2c"},
		{url, "-b", "@/does/not/exist"},
		{url, "-c", "0"},
		{url, "-c", "5", "--max-connections", "4"},
		{url, "-r", "-5"},
		{url, "-r", "NaN"},
		{url, "-d", "-1s"},
		{url, "--ramp", "1..2"},
		{url, "--ramp", "1/1s", "-r", "5"},
		{url, "--ramp", "1/1s", "-d", "5s"},
		{url, "--slot", "1ms"},
		{url, "--poisson"},
		{url, "--threads", "-1"},
		{url, "--expect", "x", "--sample", "2"},
		{url, "--expect", "x", "--sample", "NaN"},
		{url, "--sample", "0.5"},
		{url + "?q=x y"},
		{url, "--expect", "/(/"},
		{url, "--engine", "steam"},
		{url, "--read-rate", "fast"},
		{url, "--read-rate", "-3"},
		{url, "-k"},
		{"https://127.0.0.1/", "--tls-min", "1.1"},
		{"https://127.0.0.1/", "--ca", "load_test.go"},
		{"https://127.0.0.1/", "--cert", "load_test.go"},
		{"https://127.0.0.1/", "--cert", "load_test.go", "--key", "load_test.go"},
		{url, "--listen"},
		{url, "--sse", "--http2"},
		{url, "--sse", "-r", "5"},
		{"ws://127.0.0.1/", "--http2"},
		{"ws://127.0.0.1/", "-X", "GET"},
		{"ws://127.0.0.1/", "--listen", "-b", "x"},
		{url, "--json", "--ndjson", "-"},
		{url, "--fail-if", "p99>5"},
		{url, "--fail-if", "errors>200%"},
		{url, "-r", "5", "--poisson", "-n", "5"},
	} {
		if status, out, problems := invoke(append([]string{"load"}, args...)...); status != 2 || out != "" || !strings.HasPrefix(problems, "error: ") {
			t.Errorf("%q: status %d\n%s%s", args, status, out, problems)
		}
	}
}

// Errors in a file of URLs point at the word that is wrong.
func TestURLsPoint(t *testing.T) {
	for text, want := range map[string]string{
		"http://a/\n 2 GET ftp://b": "f:2:8: \"ftp://b\" is not an http",
		"http://a/ http://b/":       "f:1:1: \"http://a/\" is not an HTTP method",
		"0 http://a/":               "f:1:1: \"0\" is not a weight",
		"1e400 http://a/":           "f:1:1: \"1e400\" is not a weight",
		"1 GET http://a/ x":         "f:1:17: \"x\" is one word too many",
		"http://a/\nhttp://a:81/":   "f:2:1: a:81 is not of http://a",
		"http://a/\nhttps://a:80/":  "f:2:1: a:80 is not of http://a",
		"3":                         "f:1:1: \"3\" is not an http",
		"é\thttp://a/":              "f:1:1: \"é\" is not an HTTP method",
		"# nothing\n\n":             "f: no URL",
	} {
		_, err := parseURLs("f", text)
		if err == nil || showdown.CodeOf(err) != showdown.BadUsage || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
	_, err := parseURLs("f", "x\thttp://a/\n\tGET\tftp://b")
	if want := "\n  2 |  GET ftp://b\n    |      ^"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want it to end in %s", err, want)
	}
	if all, err := parseURLs("f", "http://a/\nhttp://a:80/x"); err != nil || len(all) != 2 {
		t.Errorf("the default port is the same origin: %v", err)
	}
}

func FuzzURLs(f *testing.F) {
	for _, s := range []string{"3 GET http://a/x # often\n\r\nhttp://a:80", "1e3\tPOST\twss://[::1]:8/", "+.5 x y z", "-1 http://a", "ftp://b", "é http://\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseURLs("f", text)
		if err != nil {
			if showdown.CodeOf(err) != showdown.BadUsage {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		r, list, err := (&loadFlags{}).traffic(all, &head{}, nil)
		if err != nil || len(list) != len(all) {
			t.Fatalf("%q: %d requests of %d, %v", text, len(list), len(all), err)
		}
		if !slices.IsSorted(r.upTo) || r.upTo[len(all)-1] != 1<<64-1 {
			t.Fatalf("%q: shares up to %v", text, r.upTo)
		}
		for k := range uint64(50) {
			request, _ := r.Append(nil, k)
			got, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
			if err != nil {
				t.Fatalf("%q asks %q: %v", text, request, err)
			}
			if !slices.ContainsFunc(all, func(w weighted) bool { return w.url.RequestURI() == got.RequestURI && w.url.Host == got.Host }) {
				t.Fatalf("%q asks %q", text, request)
			}
		}
	})
}

func FuzzThreshold(f *testing.F) {
	for _, s := range []string{"p99>50ms", "errors>0.1%", "rate<1k/s", "p99.9 > 1h", ">", "max>", "lag>1ms"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, err := parseThreshold(text)
		if err != nil {
			return
		}
		if row := limit.hold(&report.LoadTest{Load: report.LoadCounts{OK: 1}}); row.Condition != text || row.Value == "" {
			t.Errorf("%q came out as %+v", text, row)
		}
	})
}

func TestByteRate(t *testing.T) {
	for text, want := range map[string]showdown.Bytes{
		"2MB/s": 2 << 20, "500kB/s": 500 << 10, "1 G": 1 << 30, "1500": 1500, "1.5K": 1536, "9B/s": 9,
		"": 0, "0": 0, "0.5": 0, "x": 0, "NaN": 0, "inf": 0, "1e30": 0, "2MM": 0, "-1": 0,
	} {
		if got, err := parseByteRate(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
}

// METHOD.md's figure: with fewer than 662 answers nothing is said of a p99.
func TestSupported(t *testing.T) {
	for q, least := range map[float64]uint64{.5: 11, .9: 64, .99: 662, .999: 6636} {
		if supported(q, least-1) || !supported(q, least) {
			t.Errorf("p%g takes %d values", 100*q, least)
		}
	}
	if supported(.5, 0) {
		t.Error("no value supports nothing")
	}
}

func TestDistributionNeverExceedsItsMaximum(t *testing.T) {
	h := hdrhistogram.New(100, int64(100*time.Second), 3)
	for i := range 1000 {
		_ = h.RecordValue(int64(time.Second) + int64(i))
	}
	const most = time.Second + 999
	d := distribution(h, most)
	if d.P99 != most || d.Max != most || d.Resolved != .99 || d.Count != 1000 || d.Curve[len(d.Curve)-1].Quantile != .99 {
		t.Errorf("%+v", d)
	}
}

func TestWarnings(t *testing.T) {
	const ms = time.Millisecond
	open := func(change func(*loadPlan)) *loadPlan {
		p := &loadPlan{}
		p.test.Loop, p.test.Ending = report.OpenLoop, report.Complete
		p.test.Load = report.LoadCounts{Due: 10_000, Sent: 10_000, OK: 10_000, Latency: report.Distribution{P99: 10 * ms, Resolved: .999}}
		change(p)
		return p
	}
	threshold, err := parseThresholds([]string{"p99.99>1s", "max>1s", "p99>1s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*loadPlan)
		kind   showdown.WarningKind // "" for none
		fatal  bool
	}{
		{"nothing", func(*loadPlan) {}, "", false},
		{"busy", func(p *loadPlan) { p.test.Generator.Busiest = .71 }, showdown.WarnGenerator, true},
		{"busy enough", func(p *loadPlan) { p.test.Generator.Busiest = .69 }, "", false},
		{"closed and busy", func(p *loadPlan) { p.test.Loop, p.test.Generator.Busiest = report.ClosedLoop, .91 }, showdown.WarnGenerator, true},
		{"closed and less busy", func(p *loadPlan) { p.test.Loop, p.test.Generator.Busiest = report.ClosedLoop, .89 }, "", false},
		{"late beside the p99", func(p *loadPlan) { p.test.Load.Lag.P99 = 501 * time.Microsecond }, showdown.WarnLag, true},
		{"hardly late", func(p *loadPlan) { p.test.Load.Lag.P99 = 499 * time.Microsecond }, "", false},
		{"late beside a tiny p99", func(p *loadPlan) { p.test.Load.Lag.P99, p.test.Load.Latency.P99 = 150*time.Microsecond, ms }, "", false},
		{"late by a millisecond", func(p *loadPlan) { p.test.Load.Lag.P99, p.test.Load.Latency.P99 = ms+1, time.Second }, showdown.WarnLag, true},
		{"closed loops are never late", func(p *loadPlan) { p.test.Loop, p.test.Load.Lag.P99 = report.ClosedLoop, time.Second }, "", false},
		{"unsent", func(p *loadPlan) { p.test.Load.Failures = map[showdown.Failure]uint64{showdown.FailUnsent: 1} }, report.WarnUnsent, false},
		{"less than offered", func(p *loadPlan) { p.test.Load.Sent = 9899 }, report.WarnRate, true},
		{"nearly all", func(p *loadPlan) { p.test.Load.Sent = 9900 }, "", false},
		{"slots", func(p *loadPlan) { p.window.Slot = ms }, report.WarnSlots, false},
		{"given up", func(p *loadPlan) { p.test.Ending = report.GivenUp }, report.WarnGivenUp, true},
		{"few for p99.99", func(p *loadPlan) { p.thresholds = threshold[:1] }, report.WarnFewAnswers, true},
		{"enough for p99 and max", func(p *loadPlan) { p.thresholds = threshold[1:] }, "", false},
	} {
		got := open(c.change).warnings()
		switch {
		case c.kind == "" && len(got) > 0, c.kind != "" && (len(got) != 1 || got[0].Kind != c.kind || got[0].Untrustworthy != c.fatal):
			t.Errorf("%s: %+v, want %q", c.name, got, c.kind)
		}
	}
}

// However long a test is, what is kept of its seconds stays bounded, nothing is
// lost of the counts, and the worst second still shows.
func TestSecondsStayBounded(t *testing.T) {
	var s seconds
	const n = 20_001
	for i := range n {
		row := report.LoadSecond{
			At: time.Duration(i) * time.Second, Length: time.Second, OK: 3, P99: time.Millisecond, InFlight: i, Failures: map[showdown.Failure]uint64{showdown.FailTimeout: 1},
		}
		if i == 12_345 {
			row.P99 = time.Second
		}
		s.add(row)
		if len(s.list) > secondsMost {
			t.Fatalf("%d entries after %d seconds", len(s.list), i+1)
		}
	}
	var sum report.LoadSecond
	worst, end := 0, time.Duration(0)
	for i := range s.list {
		row := &s.list[i]
		if row.At != end {
			t.Fatalf("entry %d begins at %v, the one before ended at %v", i, row.At, end)
		}
		end = row.At + row.Length
		sum.OK += row.OK
		sum.InFlight = row.InFlight
		if row.Failed() != row.OK/3 || i < len(s.list)-1 && row.Length != s.list[0].Length {
			t.Fatalf("entry %d: %+v", i, row)
		}
		if row.P99 == time.Second {
			worst++
		}
	}
	if sum.OK != 3*n || end != n*time.Second || worst != 1 || sum.InFlight != n-1 || len(s.list) < secondsMost/2 {
		t.Errorf("ok %d, end %v, worst in %d entries, %d entries", sum.OK, end, worst, len(s.list))
	}
}

func TestProgressLine(t *testing.T) {
	g := &progress{length: 30 * time.Second, threads: 1}
	g.line(load.Snapshot{Elapsed: 10 * time.Second, OK: 20_000})
	g.line(load.Snapshot{Elapsed: 11 * time.Second, OK: 23_000})
	got := g.line(load.Snapshot{
		Elapsed: 12 * time.Second, Due: 24_012, OK: 24_000, Failed: 2, InFlight: 3, Connections: 10, P50: 312 * time.Microsecond, P99: 1210 * time.Microsecond, CPU: 6 * time.Second, Busiest: .31,
	})
	if want := "12/30 s ━━━━────────  1.00k/s  24000 ok  2 failed  p50 0.312 p99 1.21 ms  3 in flight on 10  generator 31%"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	g = &progress{count: 1000, threads: 2}
	if got, want := g.line(load.Snapshot{Elapsed: time.Second, Due: 500, CPU: time.Second}), "1 s ━━━━━━──────  0 ok  0 in flight on 0  generator 50%"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// Requests of the same weight come equally often.
func TestPickIsFair(t *testing.T) {
	r := &requests{each: make([][]byte, 4), upTo: []uint64{showdown.Portion(.25), showdown.Portion(.5), showdown.Portion(.75), showdown.Portion(1)}}
	var counts [4]int
	const n = 100_000
	for k := range uint64(n) {
		counts[r.pick(k)]++
	}
	chi := 0.0
	for _, c := range counts {
		chi += (float64(c) - n/4) * (float64(c) - n/4) / (n / 4)
	}
	if chi > 16.27 { // three degrees of freedom, 0.1%
		t.Errorf("%v: chi-square %.1f", counts, chi)
	}
}

func TestLoadWindow(t *testing.T) {
	for _, c := range []struct {
		f      loadFlags
		length time.Duration // of the schedule; 0 for none
		due    uint64
	}{
		{loadFlags{rate: "100"}, 10 * time.Second, 1000},
		{loadFlags{rate: "100", count: 50}, 1500 * time.Millisecond, 50},
		{loadFlags{rate: "100", count: 50, length: time.Minute}, time.Minute, 50},
		{loadFlags{rate: "100", count: 50, length: 100 * time.Millisecond}, 100 * time.Millisecond, 10},
		{loadFlags{}, 0, 0},
	} {
		w, _, err := c.f.window()
		if err != nil {
			t.Fatal(err)
		}
		if c.length == 0 {
			if w.Schedule != nil || w.Length != 10*time.Second {
				t.Errorf("%+v: %+v, want a closed loop of 10 s", c.f, w)
			}
			continue
		}
		if got := arrivals(w.Schedule); w.Schedule.Length() != c.length || got != c.due {
			t.Errorf("%+v: %d arrivals in %v, want %d in %v", c.f, got, w.Schedule.Length(), c.due, c.length)
		}
	}
}

func arrivals(s pace.Schedule) (n uint64) {
	walk := s.Arrivals()
	for _, ok := walk.Next(); ok; _, ok = walk.Next() {
		n++
	}
	return n
}

// An interrupted test tells what was measured until then.
func TestLoadInterrupted(t *testing.T) {
	s := httptest.NewServer(&tally{})
	defer s.Close()
	var out, problems bytes.Buffer
	a := &app{stdout: &out, stderr: &problems, stdin: strings.NewReader("")}
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, nil)
	defer cancel()
	time.AfterFunc(300*time.Millisecond, cancel)
	err := a.loadURL(ctx, &loadFlags{connections: 2, timeout: time.Second, rate: "100", length: time.Minute}, []string{s.URL})
	if showdown.CodeOf(err) != showdown.Interrupted || !strings.Contains(out.String(), "interrupted") || !strings.Contains(out.String(), " ok of ") {
		t.Errorf("error %v\n%s", err, out.String())
	}
}

func TestLoadScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script/load",
		Setup: func(env *testscript.Env) error {
			s := httptest.NewServer(&tally{})
			env.Defer(s.Close)
			env.Setenv("URL", s.URL)
			env.Setenv("NO_COLOR", "1")
			return nil
		},
	})
}
