package main

import (
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/show/report"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// planLoad reads everything that can be wrong before anything is sent.
func (a *app) planLoad(f *loadFlags, args []string) (*loadPlan, error) {
	targets, err := f.readTargets(args, a.stdin)
	if err != nil {
		return nil, err
	}
	p := &loadPlan{}
	u := targets[0].url
	p.target.Protocol = f.protocol(u)
	if err := f.check(len(targets), p.target.Protocol); err != nil {
		return nil, err
	}
	if f.seed == 0 {
		f.seed = rand.Uint64()
	}
	if p.window, p.test.Offered, err = f.window(); err != nil {
		return nil, err
	}
	if err := f.dress(p, targets); err != nil {
		return nil, err
	}
	if err := f.connect(&p.target, u, p.window.Schedule != nil); err != nil {
		return nil, err
	}
	if p.thresholds, err = parseThresholds(f.failIf); err != nil {
		return nil, err
	}
	f.describe(p)
	p.outputs, err = a.openOutputs(f)
	return p, err
}

func (f *loadFlags) protocol(u *url.URL) load.Protocol {
	switch {
	case u.Scheme == "ws" || u.Scheme == "wss":
		return load.WebSocket
	case f.sse:
		return load.Events
	case f.http2:
		return load.HTTP2
	}
	return load.HTTP1
}

// listens reports whether nothing is sent but what opens a connection.
func (f *loadFlags) listens() bool { return f.listen || f.sse }

// check refuses flags that contradict each other or mean nothing.
func (f *loadFlags) check(targets int, protocol load.Protocol) error {
	socket := protocol == load.WebSocket
	for _, rule := range []struct {
		broken        bool
		message, hint string
	}{
		{f.connections < 1 || f.connections > 1_000_000, "--connections is not between 1 and 1000000", "10 is the default"},
		{f.threads < 0 || f.threads > 1024, "--threads is not between 1 and 1024", "1 is the default"},
		{f.most != 0 && f.most < f.connections, "--max-connections is below --connections", ""},
		{f.timeout <= 0 || f.length < 0 || f.giveUp < 0 || f.slot < 0, "lengths of time must be positive", "such as 10s"},
		{!(f.sample >= 0 && f.sample <= 1), "--sample is not a share between 0 and 1", "0.01 looks at one answer in a hundred"},
		{f.sample > 0 && f.expect == "", "--sample without --expect: there is nothing to hold the answers against", "give --expect"},
		{f.ramp != "" && (f.rate != "" || f.length != 0 || f.count != 0), "--ramp says rate and length by itself", "leave out --rate, --duration and --count"},
		{f.poisson && f.rate == "" && f.ramp == "", "--poisson is for an open loop", "give --rate or --ramp"},
		{f.poisson && f.count > 0, "--poisson and --count do not go together: how many random arrivals come is random", "give --duration"},
		{f.slot > 0 && f.rate == "" && f.ramp == "", "--slot is for an open loop", "give --rate or --ramp"},
		{f.listen && !socket, "--listen is for ws:// and wss:// URLs", "--sse counts server-sent events"},
		{f.listens() && (f.rate != "" || f.ramp != "" || f.count != 0), "nothing is sent while listening", "leave out --rate, --ramp and --count"},
		{f.listens() && f.expect != "", "--expect is about answers, and listening has none", ""},
		{f.listen && f.body != "", "nothing is sent while listening", "leave out --body"},
		{socket && (f.http2 || f.sse), "a WebSocket is opened by HTTP/1.1", "leave out --http2 and --sse"},
		{f.sse && f.http2, "server-sent events are read by HTTP/1.1", "leave out --http2"},
		{socket && f.method != "", "a WebSocket has no method", "leave out --method"},
		{socket && targets > 1, "all WebSockets are opened by one URL", ""},
		{f.asJSON && f.ndjson == "-", "--json and --ndjson - both print to the standard output", "give --ndjson a file"},
		{(f.cert == "") != (f.key == ""), "--cert and --key go together", ""},
	} {
		if rule.broken {
			return showdown.Usage(rule.hint, "%s", rule.message)
		}
	}
	if f.engine != "" && !slices.Contains(engineNames, f.engine) {
		return showdown.Usage(showdown.Suggest(f.engine, engineNames, "all: "+strings.Join(engineNames, ", ")), "unknown engine %q", f.engine)
	}
	return nil
}

const (
	defaultLength = 10 * time.Second
	defaultSample = .01
)

// window says when to send, and at which rate on average; 0 is not an open loop.
func (f *loadFlags) window() (load.Window, showdown.Rate, error) {
	w := load.Window{Slot: f.slot, Eager: f.eager, GiveUp: f.giveUp, Seed: f.seed, Listen: f.listens()}
	if w.Sample = f.sample; f.expect != "" && f.sample == 0 {
		w.Sample = defaultSample
	}
	if f.ramp != "" {
		profile, err := pace.ParseProfile(f.ramp)
		if err != nil {
			return w, 0, err
		}
		w.Schedule = pace.Even(profile)
		if f.poisson {
			w.Schedule = pace.Random(profile, f.seed)
		}
		return w, showdown.Rate(w.Schedule.Rate()), nil
	}
	if f.rate == "" {
		w.Length, w.Count = f.length, f.count
		if w.Length == 0 && w.Count == 0 {
			w.Length = defaultLength
		}
		return w, 0, nil
	}
	rate, err := showdown.ParseRate(f.rate)
	if err != nil {
		return w, 0, err
	}
	length := f.length
	switch {
	case length == 0 && f.count > 0:
		length = time.Duration(float64(f.count)/float64(rate)*1e9) + time.Second
	case length == 0:
		length = defaultLength
	}
	w.Schedule = pace.Constant(float64(rate), length, f.count)
	if f.poisson {
		w.Schedule = pace.Poisson(float64(rate), length, f.seed)
	}
	return w, rate, nil
}

const defaultMessage = "showdown"

// dress writes what is sent.
func (f *loadFlags) dress(p *loadPlan, targets []weighted) error {
	h, err := f.head()
	if err != nil {
		return err
	}
	body, err := f.readBody()
	if err != nil {
		return err
	}
	if f.sse && !h.names["accept"] {
		h.add("Accept", "text/event-stream")
	}
	if p.requests, p.test.Requests, err = f.traffic(targets, h, body); err != nil {
		return err
	}
	if p.target.Protocol == load.WebSocket {
		for _, line := range [][2]string{{"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Version", "13"}} {
			h.add(line[0], line[1])
		}
		p.target.Handshake = h.open("GET", targets[0].url)
		if len(body) == 0 {
			body = []byte(defaultMessage)
		}
		p.requests.each[0], p.test.Requests[0].Method = body, "MESSAGE"
	}
	return nil
}

// connect says where to connect, and how.
func (f *loadFlags) connect(t *load.Target, u *url.URL, open bool) error {
	t.Address, t.Open, t.Max, t.Timeout = hostPort(u), f.connections, f.connections, f.timeout
	t.Engine, t.Threads = f.engine, f.threads
	if open {
		if t.Max = f.most; t.Max == 0 {
			t.Max = max(f.connections, 1000)
		}
	}
	var err error
	if f.readRate != "" {
		if t.ReadRate, err = parseByteRate(f.readRate); err != nil {
			return err
		}
	}
	if u.Scheme == "https" || u.Scheme == "wss" {
		t.TLS, err = f.tls(u, t.Protocol)
		return err
	}
	if f.insecure || f.ca+f.cert+f.name+f.tlsMin != "" {
		return showdown.Usage("", "%s has no TLS: --insecure, --ca, --cert, --server-name and --tls-min are for https and wss", u.Scheme)
	}
	return nil
}

func (f *loadFlags) tls(u *url.URL, protocol load.Protocol) (*tls.Config, error) {
	c := &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: f.insecure, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	if f.name != "" {
		c.ServerName = f.name
	}
	if protocol == load.HTTP2 {
		c.NextProtos = []string{"h2"}
	}
	switch f.tlsMin {
	case "", "1.2":
	case "1.3":
		c.MinVersion = tls.VersionTLS13
	default:
		return nil, showdown.Usage("1.2 or 1.3", "unknown version of TLS %q", f.tlsMin)
	}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, showdown.Usage("", "read the authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, showdown.Usage("a PEM file has lines such as -----BEGIN CERTIFICATE-----", "read the authorities: no certificate in %s", f.ca)
		}
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, showdown.Usage("", "read the client's certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// parseByteRate reads "2MB/s", "500k" or "1500" as bytes a second, in the binary
// steps that showdown.Bytes prints.
func parseByteRate(s string) (showdown.Bytes, error) {
	text := strings.TrimSuffix(strings.TrimSuffix(strings.ReplaceAll(s, " ", ""), "/s"), "B")
	scale := 1.0
	for unit, size := range map[string]float64{"k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if t, ok := strings.CutSuffix(text, unit); ok {
			text, scale = t, size
			break
		}
	}
	v, err := strconv.ParseFloat(text, 64)
	if v *= scale; err != nil || !(v >= 1 && v <= 1<<40) {
		return 0, showdown.Usage("such as 2MB/s or 500kB/s", "%q is not a number of bytes a second", s)
	}
	return showdown.Bytes(v), nil
}

// describe fills in what the result says of the test itself.
func (f *loadFlags) describe(p *loadPlan) {
	t := &p.test
	t.Schema, t.Showdown, t.Protocol, t.Loop = report.LoadSchemaID, version(), string(p.target.Protocol), report.ClosedLoop
	t.Settings = report.LoadSettings{
		Connections: p.target.Open, MaxConnections: p.target.Max, Length: p.window.Length, Count: f.count, Ramp: f.ramp,
		Timeout: f.timeout, GiveUp: f.giveUp, Slot: f.slot, Eager: f.eager, ReadRate: p.target.ReadRate, Expect: f.expect, Sample: p.window.Sample, Seed: f.seed,
	}
	switch {
	case f.listens():
		t.Loop = report.Listening
	case p.window.Schedule != nil:
		t.Loop = report.OpenLoop
		t.Settings.Length, t.Settings.Arrivals = p.window.Schedule.Length(), "even"
		if f.poisson {
			t.Settings.Arrivals = "random"
		}
	}
}
