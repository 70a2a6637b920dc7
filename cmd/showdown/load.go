package main

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/show/report"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// loadFlags is a load test as the command line words it.
type loadFlags struct {
	urls, method, body, expect    string // what to ask, and what must come back
	headers                       []string
	rate, ramp                    string // when to ask
	poisson                       bool
	length, giveUp, slot, timeout time.Duration
	count, seed                   uint64
	sample                        float64
	connections, most, threads    int // how to ask
	engine, readRate              string
	http2, sse, listen, eager     bool
	insecure                      bool // TLS
	ca, cert, key, name, tlsMin   string
	failIf                        []string // what to tell
	strict, asJSON                bool
	ndjson, hdr, html             string
}

var (
	engineNames = []string{"io_uring", "epoll", "goroutines"}
	tlsNames    = []string{"1.2", "1.3"}
)

func (a *app) loadCommand() *cobra.Command {
	f := &loadFlags{connections: 10, timeout: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "load URL",
		Short: "a load test of anything: HTTP, WebSocket, server-sent events",
		Long: `Load asks a URL again and again. With --rate or --ramp it is an open loop: requests are sent
when they are due, whatever the server does, and latency counts from that moment, so that a
server that stalls cannot hide the requests that would have come meanwhile. Without them it is
a closed loop of --connections clients that each wait for their answer: it finds the
saturation, and its times say nothing about what users would see.

A ws:// or wss:// URL sends messages, each answered by the next message that comes. --listen and
--sse only open connections and count what arrives.

Point it only at servers that are yours to load.`,
		Example: "  showdown load http://127.0.0.1:8080/api -r 2000 -d 30s --fail-if 'p99>50ms' --fail-if 'errors>0.1%'\n" +
			"  showdown load http://127.0.0.1:8080/ -c 64 -n 100000\n" +
			"  showdown load http://127.0.0.1:8080/orders -b @order.json -H Content-Type:application/json --expect '\"id\"' -r 200\n" +
			"  showdown load --urls urls.txt --ramp 0..1000/10s,1000/30s --html load.html\n" +
			"  showdown load ws://127.0.0.1:8080/echo -c 100 -r 5k -b hello",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.loadURL(cmd.Context(), f, args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.rate, "rate", "r", "", "requests a second, such as 2000, 2k/s or 90/m; without it a closed loop")
	flags.StringVar(&f.ramp, "ramp", "", "`stages` of a changing rate instead: 0..1000/10s,1000/30s")
	flags.BoolVar(&f.poisson, "poisson", false, "random arrivals instead of evenly spaced ones, as of many independent users")
	flags.IntVarP(&f.connections, "connections", "c", f.connections, "connections opened at first; in a closed loop, the clients")
	flags.IntVar(&f.most, "max-connections", 0, "most connections of an open loop (default: 1000, at least --connections)")
	flags.DurationVarP(&f.length, "duration", "d", 0, "how long (default: 10s, unless --count is given)")
	flags.Uint64VarP(&f.count, "count", "n", 0, "how many requests at most")
	flags.DurationVar(&f.timeout, "timeout", f.timeout, "for connecting and for each answer")
	flags.DurationVar(&f.giveUp, "give-up", 0, "end when a due request has gone unanswered for so long (default: never)")

	flags.StringVarP(&f.method, "method", "X", "", "HTTP method (default: GET, or POST with a body)")
	flags.StringArrayVarP(&f.headers, "header", "H", nil, "`Name: value`, may be repeated")
	flags.StringVarP(&f.body, "body", "b", "", "body of each request, or @file; of a WebSocket, the message")
	flags.StringVar(&f.urls, "urls", "", "`file` with a request on each line, [WEIGHT] [METHOD] URL, instead of URL; - is the standard input")
	flags.StringVar(&f.expect, "expect", "", "`text` or /regexp/ that answers must hold")
	flags.Float64Var(&f.sample, "sample", 0, "share of the answers that --expect looks at (default: 0.01)")
	flags.Uint64Var(&f.seed, "seed", 0, "`number` that decides random arrivals and the sample (default: drawn)")

	flags.BoolVar(&f.http2, "http2", false, "HTTP/2, also without TLS")
	flags.BoolVar(&f.listen, "listen", false, "send nothing on a ws:// URL, count the messages that arrive")
	flags.BoolVar(&f.sse, "sse", false, "count server-sent events")
	flags.StringVar(&f.readRate, "read-rate", "", "`bytes` a second that each connection reads at most, such as 2MB/s")

	flags.BoolVarP(&f.insecure, "insecure", "k", false, "do not check the server's certificate")
	flags.StringVar(&f.ca, "ca", "", "`file` of the authorities to trust (PEM)")
	flags.StringVar(&f.cert, "cert", "", "`file` of the client's certificate (PEM)")
	flags.StringVar(&f.key, "key", "", "`file` of its key (PEM)")
	flags.StringVar(&f.name, "server-name", "", "`name` to ask for and to check instead of the URL's host")
	flags.StringVar(&f.tlsMin, "tls-min", "", "lowest `version` of TLS: 1.2 or 1.3 (default: 1.2)")

	flags.StringVar(&f.engine, "engine", "", "`name`: io_uring, epoll or goroutines (default: the best that this system has)")
	flags.IntVar(&f.threads, "threads", 0, "event loops, each on a thread of its own (default: 1)")
	flags.DurationVar(&f.slot, "slot", 0, "send at multiples of this only: cheaper, in small bursts, and the output says so")
	flags.BoolVar(&f.eager, "no-coalesce", false, "wake for each answer, do not let several gather for a moment")

	flags.StringArrayVar(&f.failIf, "fail-if", nil, "exit 5 when this `condition` holds: p50 to p99.99, max, mean or lag > time; errors > percent; rate < requests")
	flags.BoolVar(&f.strict, "strict", false, "exit 7 when a warning says that the figures cannot be trusted")
	flags.BoolVar(&f.asJSON, "json", false, "print the result as JSON (showdown schema load)")
	flags.StringVar(&f.ndjson, "ndjson", "", "write each second as a line of JSON to this `file`; - is the standard output")
	flags.StringVar(&f.hdr, "hdr", "", "write the latency distribution to this `file`, as HdrHistogram's plotters read it, in ms")
	flags.StringVar(&f.html, "html", "", "write a report to this `file`")
	for flag, values := range map[string][]string{
		"engine": engineNames, "tls-min": tlsNames,
		"method": {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"},
	} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	return cmd
}

// loadPlan is a load test, ready to go.
type loadPlan struct {
	requests   requests
	target     load.Target
	window     load.Window
	thresholds []threshold
	outputs    outputs
	test       report.LoadTest // all but its outcome
}

func (a *app) loadURL(ctx context.Context, f *loadFlags, args []string) error {
	p, err := a.planLoad(f, args)
	if err != nil {
		return err
	}
	defer p.outputs.close()
	engine, err := load.New(p.target)
	if err != nil {
		return err
	}
	defer engine.Close()

	// Each second leaves some kilobytes behind. Collected early, they do not add up:
	// a long test takes no more memory than a short one.
	defer debug.SetGCPercent(debug.SetGCPercent(25))

	scr := a.newScreen()
	p.window.Progress = newProgress(scr, p).show
	p.window.Second = p.outputs.second
	r, runErr := engine.Run(ctx, p.window, &p.requests)
	scr.clear()
	if r == nil {
		return runErr
	}
	p.outcome(r, runErr)
	err = p.outputs.write(&p.test, r)
	for _, w := range p.test.Warnings {
		scr.say("warning: %s", w.Text)
	}
	if err != nil {
		return err
	}
	return p.verdict(runErr, f.strict)
}

// verdict is how the command ends.
func (p *loadPlan) verdict(runErr error, strict bool) error {
	var failed []string
	for _, t := range p.test.Thresholds {
		if t.Failed {
			failed = append(failed, t.Condition)
		}
	}
	switch {
	case errors.Is(runErr, context.Canceled):
		return showdown.Errorf(showdown.Interrupted, "", "interrupted after %s; the figures are of what was sent until then", showdown.Clock(p.test.Elapsed))
	case runErr != nil:
		return runErr
	case strict && p.test.Untrustworthy():
		return showdown.Errorf(showdown.Untrustworthy, "see the warnings; without --strict they do not fail", "the figures cannot be trusted")
	case len(failed) > 0:
		return showdown.Errorf(showdown.Threshold, "", "%s failed: %s", showdown.Plural(len(failed), "threshold"), strings.Join(failed, ", "))
	}
	return nil
}
