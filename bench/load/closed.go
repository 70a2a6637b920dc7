//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const clients = 64

// contestant is one side of a sliced comparison: how to start it against a port.
type contestant struct {
	name  string
	start func(port int) []string
}

func url(port int) string { return fmt.Sprintf("http://127.0.0.1:%d/0", port) }

func endless(port int) job {
	return job{url: url(port), port: port, clients: clients, length: forever}
}

func (b *bench) floorOf(engine string) contestant {
	return contestant{"C " + engine + " floor", func(port int) []string {
		return []string{b.floor, engine, fmt.Sprint(port), fmt.Sprint(clients), whole(forever)}
	}}
}

// oursOf is Showdown with an engine of its own ("" is its choice) and more flags.
func (b *bench) oursOf(engine string, flags ...string) contestant {
	if engine != "" {
		flags = append([]string{"--engine", engine}, flags...)
	}
	name := strings.Join(append([]string{"ours"}, flags...), " ")
	return contestant{name, func(port int) []string { return b.ours(endless(port), flags...) }}
}

func (b *bench) peerOf(t *tool) contestant {
	return contestant{t.name, func(port int) []string { return t.command(b, t.closed, endless(port)) }}
}

// engines are those of ours that this build can choose from.
func (b *bench) engines() []string {
	switch {
	case b.engine != "":
		return []string{b.engine}
	case b.has("--engine"):
		return []string{"io_uring", "epoll"}
	}
	return []string{""}
}

var slicedColumns = []string{"", "µs/request", "requests/s", "server µs", "÷ in the same slices (95% interval)"}

// sliced compares two contestants and adds the first one's row. A contestant
// that does not work is told there, and gives nil.
func (b *bench) sliced(ctx context.Context, s *server, t *table, first, second contestant) (*comparison, error) {
	c, err := b.compare(ctx, s, first.start(s.port), second.start(s.port+1))
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		t.row(first.name, "–", "–", "–", err.Error())
		return nil, nil
	}
	t.row(first.name, fmt.Sprintf("%.2f", c.a.cost()), fmt.Sprintf("%.0f", c.a.rate()), fmt.Sprintf("%.2f", c.a.serverCost()), c.cost.String()+" "+second.name)
	return c, nil
}

// against compares ours with something and holds it to a limit.
func (b *bench) against(ctx context.Context, s *server, t *table, what string, limit float64, ours, other contestant) error {
	c, err := b.sliced(ctx, s, t, ours, other)
	if c != nil {
		b.target(what+": "+ours.name+" ÷ "+other.name, limit, c.cost.median, "")
	}
	return err
}

// closedLoop compares everything with wrk, and ours with the floors.
func closedLoop(ctx context.Context, b *bench) error {
	s, err := b.serve(ctx, serving{ports: 2})
	if err != nil {
		return err
	}
	defer s.kill()
	t := b.begin(fmt.Sprintf("Closed loop, %d connections: CPU per request", clients), slicedColumns...)
	wrk := b.peerOf(peer("wrk"))
	if b.wants("floor") {
		for _, pair := range [][2]contestant{
			{b.floorOf("io_uring"), wrk}, {b.floorOf("epoll"), wrk}, {b.floorOf("io_uring"), b.floorOf("epoll")},
		} {
			if _, err := b.sliced(ctx, s, t, pair[0], pair[1]); err != nil {
				return err
			}
		}
	}
	if b.wants("ours") {
		limits := map[string]float64{"io_uring": 0.72, "epoll": 0.80, "": 0.72}
		for _, engine := range b.engines() {
			if err := b.against(ctx, s, t, "closed loop", limits[engine], b.oursOf(engine), wrk); err != nil {
				return err
			}
			floor := engine
			if floor == "" {
				floor = "epoll"
			}
			// What coalescing saves is no part of the floor.
			if err := b.against(ctx, s, t, "closed loop", 1.03, b.oursOf(engine, b.known("--no-coalesce")...), b.floorOf(floor)); err != nil {
				return err
			}
		}
	}
	for _, p := range peers[1:] {
		if p.closed != nil && p.present(b) && b.wants(p.name) {
			if _, err := b.sliced(ctx, s, t, b.peerOf(p), wrk); err != nil {
				return err
			}
		}
	}
	return nil
}

// known gives the flags if this build has the first of them.
func (b *bench) known(flags ...string) []string {
	if b.has(flags[0]) {
		return flags
	}
	return nil
}

// bodies compares larger answers, of which ours verifies 1%.
func bodies(ctx context.Context, b *bench) error {
	t := b.begin("Larger answers, 1% of the bodies verified", slicedColumns...)
	for _, size := range []struct {
		kilobytes int
		limit     float64
	}{{1, 0.88}, {10, 0.66}, {64, 0.45}} {
		s, err := b.serve(ctx, serving{ports: 2, options: []string{fmt.Sprintf("body=%d", size.kilobytes<<10)}})
		if err != nil {
			return err
		}
		err = b.against(ctx, s, t, fmt.Sprintf("%d KB", size.kilobytes), size.limit, b.oursOf("", b.known("--expect", "abc", "--sample", "0.01")...), b.peerOf(peer("wrk")))
		s.kill()
		if err != nil {
			return err
		}
	}
	return nil
}

// working compares against a server that spends 30 µs on a request, so that
// answers come one by one unless they are let gather.
func working(ctx context.Context, b *bench) error {
	s, err := b.serve(ctx, serving{ports: 2, options: []string{"work=30000"}})
	if err != nil {
		return err
	}
	defer s.kill()
	t := b.begin("A server that works 30 µs on each request", slicedColumns...)
	wrk := b.peerOf(peer("wrk"))
	if err := b.against(ctx, s, t, "working server", 0.60, b.oursOf(""), wrk); err != nil {
		return err
	}
	alone := b.known("--no-coalesce")
	if alone == nil {
		return nil
	}
	if _, err := b.sliced(ctx, s, t, b.oursOf("", alone...), wrk); err != nil {
		return err
	}
	const rounds = 5
	var p50, p99 [2][]float64
	for range rounds {
		for i, flags := range [][]string{nil, alone} {
			p, err := start(ctx, generatorCore, b.ours(job{url: url(s.port), clients: clients, length: 3 * time.Second}, flags...)...)
			if err != nil {
				return err
			}
			out, err := p.wait()
			if err != nil {
				return err
			}
			l, err := readOurs(strings.NewReader(out))
			if err != nil {
				return err
			}
			p50[i] = append(p50[i], float64(l.Latency.P50))
			p99[i] = append(p99[i], float64(l.Latency.P99))
		}
	}
	t = b.begin("… and what it reports, medians of interleaved runs", "", "p50 ms", "p99 ms")
	for i, name := range []string{"coalescing", "not coalescing"} {
		t.row(name, millis(middle(p50[i])), millis(middle(p99[i])))
	}
	// It may lower them: what the generator does not use of a shared machine speeds the server up.
	b.target("working server: coalescing raises the reported p50 by", 2, 100*(middle(p50[0])/middle(p50[1])-1), "%")
	b.target("working server: coalescing raises the reported p99 by", 2, 100*(middle(p99[0])/middle(p99[1])-1), "%")
	return nil
}

func millis(ns float64) string { return fmt.Sprintf("%.3f", ns/1e6) }

func middle(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

// apart is by how many percent a differs from b.
func apart(a, b float64) float64 { return 100 * max(a-b, b-a) / b }
