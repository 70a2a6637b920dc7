//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// job is a load that a tool is asked for. Every tool gets one thread's worth of
// processor, and as many connections as the job says.
type job struct {
	url     string
	port    int
	clients int
	rate    int // of an open loop
	length  time.Duration
}

const forever = time.Hour // longer than anything here: the harness kills it

// figures are the quantiles that a tool reports, NaN where it does not.
type figures struct{ p50, p90, p95, p99 time.Duration }

const untold = time.Duration(-1)

// tool is a load generator and how it is called.
type tool struct {
	name    string
	program string
	version []string                              // arguments; Go programs tell without
	fetch   []string                              // command that installs it into the cache, or nil
	absent  string                                // why it cannot be had, or ""
	closed  func(*bench, job) []string            // a closed loop, or nil
	open    func(*bench, job) []string            // an open loop, or nil
	read    func(*bench, string) (figures, error) // what an open loop printed
}

// wrk2Like is the floor's paced mode, named for what it stands in for.
const wrk2Like = "wrk2-like"

// peers are the other generators, in the order of the tables.
var peers = []*tool{
	{
		name: "wrk", program: "wrk", version: []string{"-v"}, fetch: debian("wrk"),
		closed: func(_ *bench, j job) []string {
			return []string{"wrk", "-t1", fmt.Sprintf("-c%d", j.clients), "-d" + whole(j.length) + "s", j.url}
		},
	},
	{
		name: "wrk2", absent: "in no package registry; " + wrk2Like + ", which is ours, stands in for it",
	},
	{
		name: "h2load", program: "h2load", version: []string{"--version"}, fetch: debian("nghttp2-client"),
		closed: func(_ *bench, j job) []string {
			return []string{"h2load", "--h1", "-t1", "-c", fmt.Sprint(j.clients), "-D", whole(j.length), j.url}
		},
		open: func(b *bench, j job) []string {
			return []string{
				"h2load", "--h1", "-t1", "-c", fmt.Sprint(j.clients), "-D", whole(j.length),
				"--rps", fmt.Sprint(float64(j.rate) / float64(j.clients)), "--log-file", b.fresh("h2load.log"), j.url,
			}
		},
		read: func(b *bench, _ string) (figures, error) {
			return readColumn(b.path("h2load.log"), "\t", 2, time.Microsecond)
		},
	},
	{
		name: "ab", program: "ab", version: []string{"-V"}, fetch: debian("apache2-utils"),
		closed: func(_ *bench, j job) []string {
			return []string{"ab", "-q", "-k", "-c", fmt.Sprint(j.clients), "-t", whole(j.length), "-n", "5000000", j.url}
		},
	},
	{
		// Later versions need a module that the Go proxy does not have.
		name: "fortio", program: "fortio", fetch: golang("fortio.org/fortio@v1.66.3"),
		closed: func(_ *bench, j job) []string {
			return []string{"fortio", "load", "-quiet", "-qps", "0", "-c", fmt.Sprint(j.clients), "-t", j.length.String(), j.url}
		},
		open: func(b *bench, j job) []string {
			return []string{
				"fortio", "load", "-quiet", "-qps", fmt.Sprint(j.rate), "-c", fmt.Sprint(j.clients), "-t", j.length.String(),
				"-p", "50,90,95,99", "-r", "0.0001", "-json", b.path("fortio.json"), j.url,
			}
		},
		read: readFortio,
	},
	{
		name: "bombardier", absent: "the Go proxy does not have it",
	},
	{
		name: "autocannon", program: "autocannon", version: []string{"--version"}, fetch: []string{"npm", "install", "--prefix", "{cache}/npm", "autocannon"},
		closed: func(_ *bench, j job) []string {
			return []string{"autocannon", "-c", fmt.Sprint(j.clients), "-d", whole(j.length), "-n", j.url}
		},
		open: func(_ *bench, j job) []string {
			return []string{"autocannon", "-c", fmt.Sprint(j.clients), "-d", whole(j.length), "-R", fmt.Sprint(j.rate), "-j", "-n", j.url}
		},
		read: readAutocannon,
	},
	{
		name: "hey", program: "hey", fetch: debian("hey"),
		closed: func(_ *bench, j job) []string {
			return []string{"hey", "-c", fmt.Sprint(j.clients), "-z", j.length.String(), j.url}
		},
		open: func(_ *bench, j job) []string {
			return []string{"hey", "-c", fmt.Sprint(j.clients), "-z", j.length.String(), "-q", fmt.Sprint(float64(j.rate) / float64(j.clients)), j.url}
		},
		read: readHey,
	},
	{
		name: "vegeta", program: "vegeta", fetch: golang("github.com/tsenart/vegeta/v12@latest"),
		closed: func(b *bench, j job) []string {
			c := fmt.Sprint(j.clients)
			return []string{
				"vegeta", "attack", "-targets", b.file("vegeta.txt", "GET "+j.url+"\n"), "-duration", j.length.String(),
				"-rate", "0", "-workers", c, "-max-workers", c, "-connections", c, "-output", os.DevNull,
			}
		},
		open: func(b *bench, j job) []string {
			return []string{
				"vegeta", "attack", "-targets", b.file("vegeta.txt", "GET "+j.url+"\n"), "-duration", j.length.String(),
				"-rate", fmt.Sprint(j.rate), "-workers", fmt.Sprint(j.clients), "-output", b.path("vegeta.bin"),
			}
		},
		read: readVegeta,
	},
	{
		name: "k6", program: "k6", fetch: golang("go.k6.io/k6@latest"),
		closed: func(b *bench, j job) []string {
			return k6(b, j, fmt.Sprintf("vus: %d, duration: '%s'", j.clients, whole(j.length)+"s"))
		},
		open: func(b *bench, j job) []string {
			return k6(b, j, fmt.Sprintf("scenarios: { open: { executor: 'constant-arrival-rate', rate: %d, timeUnit: '1s', duration: '%ss', preAllocatedVUs: 600 } }",
				j.rate, whole(j.length)))
		},
		read: readK6,
	},
	{
		name: wrk2Like,
		open: func(b *bench, j job) []string {
			return []string{b.floor, "paced", fmt.Sprint(j.port), fmt.Sprint(j.clients), whole(j.length), fmt.Sprint(j.rate)}
		},
		read: func(_ *bench, out string) (figures, error) {
			var f struct{ P50, P90, P95, P99 time.Duration }
			err := json.Unmarshal([]byte(out), &f)
			return figures{f.P50, f.P90, f.P95, f.P99}, err
		},
	},
}

func debian(name string) []string {
	return []string{"apt-get", "install", "-y", "--no-install-recommends", name}
}
func golang(module string) []string { return []string{"go", "install", module} }

func whole(d time.Duration) string { return fmt.Sprint(int(d.Seconds())) }

func k6(b *bench, j job, options string) []string {
	script := b.file("k6.js", fmt.Sprintf(`import http from 'k6/http';
export const options = { discardResponseBodies: true, summaryTrendStats: ['p(50)', 'p(90)', 'p(95)', 'p(99)'], %s };
export default function () { http.get('%s'); }
`, options, j.url))
	return []string{"k6", "run", "--quiet", "--no-usage-report", "--address", "", "--summary-export", b.path("k6.json"), script}
}

// find looks a program up: in the folder of what -install installed, then on
// the path. It gives "" when it is in neither.
func (b *bench) find(program string) string {
	if program == "" {
		return ""
	}
	for _, name := range []string{filepath.Join(b.cache, "bin", program), filepath.Join(b.cache, "npm/node_modules/.bin", program), program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// present reports whether the tool can be run.
func (t *tool) present(b *bench) bool { return t.name == wrk2Like || b.find(t.program) != "" }

// command is the tool's command line, with its program's place.
func (t *tool) command(b *bench, make func(*bench, job) []string, j job) []string {
	argv := make(b, j)
	if path := b.find(t.program); path != "" {
		argv[0] = path
	}
	return argv
}

func peer(name string) *tool {
	return peers[slices.IndexFunc(peers, func(t *tool) bool { return t.name == name })]
}

// readColumn gives the quantiles of one column of a file of lines.
func readColumn(path, separator string, column int, unit time.Duration) (figures, error) {
	f, err := os.Open(path)
	if err != nil {
		return figures{}, err
	}
	defer f.Close()
	var all []time.Duration
	for lines := bufio.NewScanner(f); lines.Scan(); {
		cells := strings.Split(lines.Text(), separator)
		if len(cells) <= column {
			continue
		}
		if v, err := strconv.ParseFloat(cells[column], 64); err == nil {
			all = append(all, time.Duration(v*float64(unit)))
		}
	}
	return figuresOf(all)
}

func figuresOf(all []time.Duration) (figures, error) {
	if len(all) == 0 {
		return figures{}, showdown.Errorf(showdown.Environment, "", "no latencies were reported")
	}
	slices.Sort(all)
	return figures{rank(all, 0.5), rank(all, 0.9), rank(all, 0.95), rank(all, 0.99)}, nil
}

// rank is the q-quantile of sorted values, by the nearest rank.
func rank(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

func fromMillis(v float64) time.Duration { return time.Duration(v * float64(time.Millisecond)) }

func readFortio(b *bench, _ string) (figures, error) {
	var r struct {
		DurationHistogram struct {
			Percentiles []struct{ Percentile, Value float64 }
		}
	}
	if err := readJSON(b.path("fortio.json"), &r); err != nil {
		return figures{}, err
	}
	at := map[float64]time.Duration{}
	for _, p := range r.DurationHistogram.Percentiles {
		at[p.Percentile] = fromMillis(1000 * p.Value)
	}
	return figures{at[50], at[90], at[95], at[99]}, nil
}

func readAutocannon(_ *bench, out string) (figures, error) {
	var r struct {
		Latency struct{ P50, P90, P99 float64 }
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return figures{}, err
	}
	return figures{fromMillis(r.Latency.P50), fromMillis(r.Latency.P90), untold, fromMillis(r.Latency.P99)}, nil
}

var heyLine = regexp.MustCompile(`(?m)^\s*(50|90|95|99)% in ([0-9.]+) secs`)

func readHey(_ *bench, out string) (figures, error) {
	at := map[string]time.Duration{}
	for _, m := range heyLine.FindAllStringSubmatch(out, -1) {
		s, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return figures{}, err
		}
		at[m[1]] = fromMillis(1000 * s)
	}
	return figures{at["50"], at["90"], at["95"], at["99"]}, nil
}

func readVegeta(b *bench, _ string) (figures, error) {
	out, err := exec.Command(b.find("vegeta"), "report", "-type", "json", b.path("vegeta.bin")).Output()
	if err != nil {
		return figures{}, err
	}
	var r struct {
		Latencies map[string]time.Duration
	}
	err = json.Unmarshal(out, &r)
	return figures{r.Latencies["50th"], r.Latencies["90th"], r.Latencies["95th"], r.Latencies["99th"]}, err
}

func readK6(b *bench, _ string) (figures, error) {
	var r struct {
		Metrics map[string]map[string]any
	}
	if err := readJSON(b.path("k6.json"), &r); err != nil {
		return figures{}, err
	}
	ms := func(name string) time.Duration {
		v, _ := r.Metrics["http_req_duration"][name].(float64)
		return fromMillis(v)
	}
	return figures{ms("p(50)"), ms("p(90)"), ms("p(95)"), ms("p(99)")}, nil
}

// ours is Showdown's command line.
func (b *bench) ours(j job, more ...string) []string {
	argv := []string{b.showdown, "load", j.url, "--json", "-c", fmt.Sprint(j.clients), "-d", j.length.String()}
	if j.rate > 0 {
		argv = append(argv, "-r", fmt.Sprint(j.rate))
	}
	return append(argv, more...)
}

// readOurs reads what `showdown load --json` printed.
func readOurs(out io.Reader) (showdown.Load, error) {
	var r struct {
		Load showdown.Load `json:"load"`
	}
	err := json.NewDecoder(out).Decode(&r)
	return r.Load, err
}

// has reports whether this build of Showdown knows a flag.
func (b *bench) has(flag string) bool { return strings.Contains(b.help, flag+" ") }
