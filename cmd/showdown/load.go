package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/showdown"
)

type loadFlags struct {
	rate, method, body string
	headers, failIf    []string
	connections, max   int
	length, timeout    time.Duration
	count, seed        uint64
	poisson            bool
	insecure, asJSON   bool
}

func (a *app) loadCommand() *cobra.Command {
	f := loadFlags{method: "GET", connections: 10, timeout: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "load URL",
		Short: "a plain load test of anything",
		Long: `Load asks a URL again and again. With --rate it is an open loop: requests are sent when they
are due, whatever the server does, and latency counts from that moment, so that a server that
stalls cannot hide the requests that would have come meanwhile. Without --rate it is a closed
loop of --connections clients that each wait for their answer: it finds the saturation, and
its latencies say nothing about what users would see.

Point it only at servers that are yours to load.`,
		Example: "  showdown load http://127.0.0.1:8080/api -r 2000 -d 30s --fail-if 'p99>50ms' --fail-if 'errors>0.1%'\n" +
			"  showdown load http://127.0.0.1:8080/ -c 64 -n 100000",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.loadURL(cmd.Context(), &f, args[0]) },
	}
	cmd.Flags().StringVarP(&f.rate, "rate", "r", "", "requests a second, such as 2000, 2k/s or 90/m; without it a closed loop")
	cmd.Flags().IntVarP(&f.connections, "connections", "c", f.connections, "connections opened at first; in a closed loop, the clients")
	cmd.Flags().IntVar(&f.max, "max-connections", 0, "most connections of an open loop (default: 1000, at least --connections)")
	cmd.Flags().DurationVarP(&f.length, "duration", "d", 0, "how long (default: 10s, unless --count is given)")
	cmd.Flags().Uint64VarP(&f.count, "count", "n", 0, "how many requests at most")
	cmd.Flags().BoolVar(&f.poisson, "poisson", false, "random arrivals instead of evenly spaced ones, as of many independent users")
	cmd.Flags().Uint64Var(&f.seed, "seed", 0, "`number` that decides random arrivals (default: drawn)")
	cmd.Flags().StringVarP(&f.method, "method", "X", f.method, "HTTP method")
	cmd.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "`Name: value`, may be repeated")
	cmd.Flags().StringVarP(&f.body, "body", "b", "", "body of each request, or @file")
	cmd.Flags().DurationVar(&f.timeout, "timeout", f.timeout, "for connecting and for each answer")
	cmd.Flags().BoolVarP(&f.insecure, "insecure", "k", false, "do not check the server's certificate")
	cmd.Flags().StringArrayVar(&f.failIf, "fail-if", nil, "exit 5 when this `condition` holds: p50, p90, p95, p99, p99.9, max or mean > time; errors > percent; rate < requests")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	return cmd
}

// loadResult is what `showdown load --json` prints.
type loadResult struct {
	Schema  string         `json:"schema"` // "showdown.load/1"
	URL     string         `json:"url"`
	Loop    string         `json:"loop"` // "open" or "closed"
	Offered showdown.Rate  `json:"offered,omitempty"`
	Elapsed time.Duration  `json:"elapsed_ns"`
	Rate    showdown.Rate  `json:"rate"` // good answers a second
	Load    showdown.Load  `json:"load"`
	Engine  string         `json:"engine"`
	Busy    float64        `json:"generator_cpus"` // processors that the generator used
	Checks  []thresholdRow `json:"thresholds,omitempty"`
}

func (a *app) loadURL(ctx context.Context, f *loadFlags, address string) error {
	u, err := parseTarget(address)
	if err != nil {
		return err
	}
	traffic, err := f.traffic(u)
	if err != nil {
		return err
	}
	thresholds, err := parseThresholds(f.failIf)
	if err != nil {
		return err
	}
	window, rate, err := f.window()
	if err != nil {
		return err
	}
	target := load.Target{Address: hostPort(u), Open: f.connections, Max: max(f.connections, f.max), Timeout: f.timeout}
	if f.max == 0 {
		target.Max = max(f.connections, 1000)
	}
	if u.Scheme == "https" {
		target.TLS = &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: f.insecure, NextProtos: []string{"http/1.1"}}
	}
	engine, err := load.New(target)
	if err != nil {
		return err
	}
	defer engine.Close()

	scr := a.newScreen()
	window.Progress = func(s load.Snapshot) {
		scr.status("%s · %d ok · %d failed · p50 %s p99 %s ms · %d in flight · generator %.0f%%", showdown.Clock(s.Elapsed), s.OK, s.Failed,
			showdown.Millis(s.P50), showdown.Millis(s.P99), s.InFlight, 100*s.CPU.Seconds()/s.Elapsed.Seconds())
	}
	r, runErr := engine.Run(ctx, window, traffic)
	scr.clear()
	if r == nil {
		return runErr
	}
	out := loadResult{
		Schema: "showdown.load/1", URL: address, Loop: "closed", Offered: rate, Elapsed: r.Elapsed, Load: r.Summary(), Engine: r.Engine,
		Rate: showdown.Rate(float64(r.OK) / r.Elapsed.Seconds()), Busy: r.CPU.Seconds() / r.Elapsed.Seconds(),
	}
	if rate > 0 {
		out.Loop = "open"
	}
	failed := 0
	for _, t := range thresholds {
		row := t.hold(&out)
		if row.Failed {
			failed++
		}
		out.Checks = append(out.Checks, row)
	}
	if f.asJSON {
		if err := printJSON(a.stdout, out); err != nil {
			return err
		}
	} else {
		a.printLoad(&out, r.Example)
	}
	switch {
	case runErr != nil && errors.Is(runErr, context.Canceled):
		return showdown.Errorf(showdown.Interrupted, "", "interrupted after %s; the figures are of what was sent until then", showdown.Clock(r.Elapsed))
	case runErr != nil:
		return runErr
	case failed > 0:
		return showdown.Errorf(showdown.Threshold, "", "%s failed", showdown.Plural(failed, "threshold"))
	}
	return nil
}

func parseTarget(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, showdown.Usage("such as http://127.0.0.1:8080/path", "%q is not an http or https URL", address)
	}
	return u, nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// window turns the flags into a schedule and its rate; 0 is a closed loop.
func (f *loadFlags) window() (load.Window, showdown.Rate, error) {
	if f.connections < 1 || f.connections > 100_000 {
		return load.Window{}, 0, showdown.Usage("10 is the default", "--connections %d is not between 1 and 100000", f.connections)
	}
	if f.timeout <= 0 || f.length < 0 {
		return load.Window{}, 0, showdown.Usage("such as 10s", "--timeout and --duration must be positive")
	}
	length := f.length
	if f.rate == "" {
		if length == 0 && f.count == 0 {
			length = 10 * time.Second
		}
		return load.Window{Length: length, Count: f.count}, 0, nil
	}
	rate, err := showdown.ParseRate(f.rate)
	if err != nil {
		return load.Window{}, 0, err
	}
	if length == 0 {
		length = 10 * time.Second
		if f.count > 0 {
			length = time.Duration(float64(f.count)/float64(rate)*1e9) + time.Second
		}
	}
	if f.poisson && f.count > 0 {
		return load.Window{}, 0, showdown.Usage("give --duration", "--poisson and --count do not go together: how many random arrivals come is random")
	}
	if !f.poisson {
		return load.Window{Schedule: pace.Constant(float64(rate), length, f.count)}, rate, nil
	}
	if f.seed == 0 {
		f.seed = rand.Uint64()
	}
	return load.Window{Schedule: pace.Poisson(float64(rate), length, f.seed)}, rate, nil
}

// fixed is the same request every time.
type fixed []byte

func (f fixed) Append(dst []byte, _ uint64) ([]byte, int) { return append(dst, f...), 0 }
func (f fixed) Check(uint64, []byte) error                { return nil }

// traffic writes the request.
func (f *loadFlags) traffic(u *url.URL) (load.Traffic, error) {
	body := []byte(f.body)
	if file, ok := strings.CutPrefix(f.body, "@"); ok {
		var err error
		if body, err = os.ReadFile(file); err != nil {
			return nil, showdown.Usage("--body @FILE reads a file", "read the body: %w", err)
		}
	}
	if !isToken(f.method) {
		return nil, showdown.Usage("such as GET or POST", "%q is not an HTTP method", f.method)
	}
	given := map[string]bool{}
	var lines strings.Builder
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		value = strings.TrimSpace(value)
		if !ok || !isToken(name) || strings.ContainsAny(value, "\r\n\x00") {
			return nil, showdown.Usage("such as 'Accept: text/html'", "%q is not a header", h)
		}
		given[strings.ToLower(name)] = true
		fmt.Fprintf(&lines, "%s: %s\r\n", name, value)
	}
	if given["content-length"] || given["transfer-encoding"] || given["connection"] {
		return nil, showdown.Usage("leave it to Showdown", "Content-Length, Transfer-Encoding and Connection cannot be set")
	}
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\n", f.method, u.RequestURI())
	if !given["host"] {
		b = fmt.Appendf(b, "Host: %s\r\n", u.Host)
	}
	if !given["user-agent"] {
		b = append(b, "User-Agent: showdown\r\n"...)
	}
	if u.User != nil && !given["authorization"] {
		return nil, showdown.Usage("give --header 'Authorization: …'", "user and password in a URL are not used")
	}
	b = append(b, lines.String()...)
	if len(body) > 0 || f.method == "POST" || f.method == "PUT" || f.method == "PATCH" {
		b = fmt.Appendf(b, "Content-Length: %d\r\n", len(body))
	}
	return fixed(append(append(b, "\r\n"...), body...)), nil
}

// isToken is RFC 9110's token.
func isToken(s string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune(marks, r) {
			return false
		}
	}
	return s != ""
}

func (a *app) printLoad(o *loadResult, example string) {
	l, w := &o.Load, a.stdout
	how := "in a closed loop"
	if o.Loop == "open" {
		how = "due on schedule"
	}
	fmt.Fprintf(w, "requests    %d %s   ok %d   failed %d (%.2g%%)   %s in %s\n", l.Due, how, l.OK, l.Failed(), 100*l.ErrorRate(), o.Rate, showdown.Clock(o.Elapsed))
	if o.Loop == "open" {
		fmt.Fprintf(w, "latency     %s   (from the intended send)\n", latencyWords(&l.Latency))
	} else {
		fmt.Fprintf(w, "answer time %s   (saturated: not what users would see; use --rate for that)\n", latencyWords(&l.Latency))
	}
	for _, kind := range showdown.Failures {
		if n := l.Failures[kind]; n > 0 {
			fmt.Fprintf(w, "failed      %d × %s\n", n, kind)
		}
	}
	if example != "" {
		fmt.Fprintf(w, "            the first: %s\n", printable(example))
	}
	fmt.Fprintf(w, "received    %s   generator %.2f CPUs (%s)", showdown.Bytes(l.Bytes), o.Busy, o.Engine)
	if o.Loop == "open" {
		fmt.Fprintf(w, "   sent %s ms late at p99", showdown.Millis(l.LagP99))
	}
	fmt.Fprintln(w)
	if o.Busy > 0.9 && o.Engine == "epoll" {
		fmt.Fprintln(a.stderr, "warning: the generator used almost a whole CPU; the server may be faster than shown")
	}
	for _, c := range o.Checks {
		mark := "✓"
		if c.Failed {
			mark = "✗"
		}
		fmt.Fprintf(w, "%s fail if %s: %s\n", mark, c.Condition, c.Value)
	}
}

func latencyWords(l *showdown.Latency) string {
	ms := showdown.Millis
	return fmt.Sprintf("p50 %s   p90 %s   p99 %s   p99.9 %s   max %s ms", ms(l.P50), ms(l.P90), ms(l.P99), ms(l.P999), ms(l.Max))
}
