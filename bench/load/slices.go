//go:build linux

package main

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// Two runs one after the other differ by 10% on an idle machine: its speed
// drifts within seconds. So both generators run at once and take turns of 50 ms,
// one stopped while the other works, and only neighbours are compared.
const (
	sliceLength = 50 * time.Millisecond
	settling    = 2 * time.Millisecond // until the server has answered what a stopped generator had asked
	startUp     = 800 * time.Millisecond
	warmSlices  = 4 // pairs not counted
)

// slice is what one generator did in one turn.
type slice struct {
	requests    uint64        // by the server's count
	cpu, server time.Duration // processor time
	wall        time.Duration
}

func (s *slice) add(o slice) {
	s.requests += o.requests
	s.cpu += o.cpu
	s.server += o.server
	s.wall += o.wall
}

// cost is the processor time of one request in µs.
func (s slice) cost() float64 { return s.cpu.Seconds() * 1e6 / float64(s.requests) }

func (s slice) serverCost() float64 { return s.server.Seconds() * 1e6 / float64(s.requests) }

func (s slice) rate() float64 { return float64(s.requests) / s.wall.Seconds() }

// comparison is two generators measured side by side.
type comparison struct {
	a, b slice    // sums
	cost interval // of a's CPU per request ÷ b's
}

// interval is a median and its 95% confidence interval, by order statistics.
type interval struct{ median, low, high float64 }

func medianOf(values []float64) interval {
	v := slices.Sorted(slices.Values(values))
	n := float64(len(v))
	// The number of values below the median is binomial(n, 1/2): normal approximation.
	half := int(0.98*math.Sqrt(n) + 0.5)
	middle := len(v) / 2
	median := v[middle]
	if len(v)%2 == 0 {
		median = (v[middle-1] + v[middle]) / 2
	}
	return interval{median, v[max(0, middle-half)], v[min(len(v)-1, middle+half)]}
}

// compare runs two generators, each against its own port, and lets them take turns.
func (b *bench) compare(ctx context.Context, s *server, first, second []string) (*comparison, error) {
	var running [2]*process
	ports := [2]int{s.port, s.port + 1}
	for i, argv := range [2][]string{first, second} {
		p, err := start(ctx, generatorCore, argv...)
		if err != nil {
			return nil, err
		}
		defer p.kill()
		time.Sleep(startUp)
		p.signal(syscall.SIGSTOP)
		running[i] = p
	}
	var sums [2]slice
	var ratios []float64
	for pair := range b.pairs + warmSlices {
		var turn [2]slice
		begin := rand.IntN(2)
		for _, i := range [2]int{begin, 1 - begin} {
			turn[i] = takeTurn(running[i], s, ports[i])
			if !running[i].alive() {
				return nil, showdown.Errorf(showdown.Environment, "", "%s ended before it was asked to: %s", running[i].name(), lastWords(running[i].stderr.String()))
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if pair < warmSlices || turn[0].requests == 0 || turn[1].requests == 0 { // something else had the core
			continue
		}
		sums[0].add(turn[0])
		sums[1].add(turn[1])
		ratios = append(ratios, turn[0].cost()/turn[1].cost())
	}
	if len(ratios) < b.pairs/2 {
		return nil, showdown.Errorf(showdown.Untrustworthy, "", "%s and %s sent something in %d of %d pairs of slices only", running[0].name(), running[1].name(), len(ratios), b.pairs)
	}
	return &comparison{sums[0], sums[1], medianOf(ratios)}, nil
}

func takeTurn(p *process, s *server, port int) slice {
	cpu, serverCPU, n, began := p.cpu(), s.cpu(), s.count(port, requests), time.Now()
	p.signal(syscall.SIGCONT)
	time.Sleep(sliceLength)
	p.signal(syscall.SIGSTOP)
	wall := time.Since(began)
	time.Sleep(settling)
	return slice{s.count(port, requests) - n, p.cpu() - cpu, s.cpu() - serverCPU, wall}
}
