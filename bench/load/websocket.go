//go:build linux

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/showdown"
)

const (
	heldGoal    = 50_000
	pingEvery   = 5 * time.Second
	heldFor     = 30 * time.Second
	deliverers  = 50 // connections of a broadcast
	deliver     = 2 * time.Second
	spareOfFile = 200 // descriptors for other things
)

// libraries are the WebSocket clients for Go that people use.
var libraries = []string{"gorilla", "coder", "gobwas", "gws"}

func webSocket(ctx context.Context, b *bench) error {
	if err := b.held(ctx); err != nil {
		return err
	}
	return b.deliveries(ctx)
}

// held opens as many quiet connections as the goal says, on one core. One
// process may not have so many descriptors: then there are several, at both ends.
func (b *bench) held(ctx context.Context) error {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	each := min(heldGoal, int(files.Max)-spareOfFile)
	processes := (heldGoal + each - 1) / each
	each = (heldGoal + processes - 1) / processes
	var servers []*server
	var drivers []*process
	for i := range processes {
		s, err := b.serve(ctx, serving{port: i, ports: 1, options: []string{fmt.Sprintf("ping=%d", pingEvery.Nanoseconds())}})
		if err != nil {
			return err
		}
		defer s.kill()
		p, err := start(ctx, generatorCore, b.driver, "-address", fmt.Sprintf("127.0.0.1:%d", s.port), "-listen", "/quiet",
			"-open", fmt.Sprint(each), "-length", heldFor.String())
		if err != nil {
			return err
		}
		defer p.kill()
		servers, drivers = append(servers, s), append(drivers, p)
	}
	// Pings that come when the drivers end get no answer: look in the middle between two.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(heldFor - pingEvery/2):
	}
	var pinged, ponged uint64
	for _, s := range servers {
		pinged += s.count(s.port, pings)
		ponged += s.count(s.port, pongs)
	}
	t := b.begin("WebSockets held by one core", "", "held", "bytes each", "pings", "answered", "CPU s")
	var open uint64
	var grown int64
	var cpu time.Duration
	for _, p := range drivers {
		text, err := p.wait()
		if err != nil {
			return err
		}
		var d struct {
			Load        showdown.Load
			Connections int
			Example     string
			CPU         time.Duration `json:"cpu_ns"`
			Before      int64         `json:"rss_before_bytes"`
			After       int64         `json:"rss_after_bytes"`
		}
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			return err
		}
		if d.After == 0 || d.Load.Failed() > 0 {
			return showdown.Errorf(showdown.Environment, "", "hold %d WebSockets for %s: %d were opened, %d failed: %s", each, heldFor, d.Connections, d.Load.Failed(), d.Example)
		}
		open += uint64(d.Connections)
		grown += d.After - d.Before
		cpu += d.CPU
	}
	bytes := float64(grown) / float64(open)
	t.row(fmt.Sprintf("ours, %d processes", processes), fmt.Sprint(open), fmt.Sprintf("%.0f", bytes), fmt.Sprint(pinged), fmt.Sprint(ponged), fmt.Sprintf("%.1f", cpu.Seconds()))
	b.targetAtLeast("WebSockets held by one core", heldGoal, float64(open), "")
	b.target("WebSockets: generator memory each", 2048, bytes, " bytes")
	b.targetAtLeast("WebSockets: pings answered", 99.9, 100*float64(ponged)/float64(pinged), "%")
	return nil
}

// deliveries compares what one message costs to receive: alone, as a broadcast
// of single messages brings it, and many at a time, as a flood does. Here the
// clients count: what a server has written may still lie in a buffer.
func (b *bench) deliveries(ctx context.Context) error {
	theirs := b.path("peers")
	if err := b.make(ctx, "bench/load/peers", "go", "build", "-o", theirs, "."); err != nil {
		return err
	}
	for _, batch := range []int{1, 256} {
		s, err := b.serve(ctx, serving{ports: 1, options: []string{fmt.Sprintf("batch=%d", batch)}})
		if err != nil {
			return err
		}
		costs, err := b.deliveryCosts(ctx, s, theirs)
		s.kill()
		if err != nil {
			return err
		}
		t := b.begin(fmt.Sprintf("WebSocket deliveries of 64 bytes, %d connections, %d in one write of the server", deliverers, batch),
			"", "µs/message", "messages per CPU second", "÷ ours, run by run")
		best := math.Inf(1)
		for i, name := range append(libraries, "ours") {
			ratio := ratioOf(costs[i], costs[len(libraries)])
			t.row(name, number(middle(costs[i])), fmt.Sprintf("%.0f", 1e6/middle(costs[i])), ratio.String())
			if name != "ours" {
				best = min(best, ratio.median)
			}
		}
		b.targetAtLeast(fmt.Sprintf("WebSocket deliveries per core, %d in a write: ours ÷ best Go library", batch), 3, best, "×")
	}
	return nil
}

// deliveryCosts gives the CPU µs per message of each library, and of ours at the
// end, in interleaved runs.
func (b *bench) deliveryCosts(ctx context.Context, s *server, theirs string) ([][]float64, error) {
	costs := make([][]float64, len(libraries)+1)
	for range b.rounds {
		for _, i := range rand.Perm(len(costs)) {
			argv := []string{b.driver, "-address", fmt.Sprintf("127.0.0.1:%d", s.port), "-listen", "/broadcast", "-open", fmt.Sprint(deliverers), "-length", deliver.String()}
			if i < len(libraries) {
				argv = []string{theirs, libraries[i], fmt.Sprintf("ws://127.0.0.1:%d/broadcast", s.port), fmt.Sprint(deliverers), deliver.String()}
			}
			p, err := start(ctx, generatorCore, argv...)
			if err != nil {
				return nil, err
			}
			text, err := p.wait()
			if err != nil {
				return nil, err
			}
			var d struct {
				Messages uint64
				Load     showdown.Load
				CPU      time.Duration `json:"cpu_ns"`
			}
			if err := json.Unmarshal([]byte(text), &d); err != nil {
				return nil, err
			}
			n := cmp.Or(d.Messages, d.Load.OK)
			if n == 0 {
				return nil, showdown.Errorf(showdown.Environment, "", "%s received nothing", p.name())
			}
			costs[i] = append(costs[i], d.CPU.Seconds()*1e6/float64(n))
		}
	}
	return costs, nil
}
