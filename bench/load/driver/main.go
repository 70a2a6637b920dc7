//go:build linux

// Driver runs one window of Showdown's load engine and prints the result, for
// what the command line does not offer: requests numbered in their paths, the
// start by a clock that other programs read too, and memory while connections
// are open.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/measure/pace"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// outcome is what is printed.
type outcome struct {
	Engine      string        `json:"engine"`
	Start       int64         `json:"start_ns"` // of CLOCK_MONOTONIC
	Load        showdown.Load `json:"load"`
	CPU         time.Duration `json:"cpu_ns"`
	Connections int           `json:"connections"`
	Before      int64         `json:"rss_before_bytes"`
	After       int64         `json:"rss_after_bytes"` // with all connections open
	Example     string        `json:"example,omitempty"`
}

// numbered asks for /0, /1, /2 and so on.
type numbered struct{ host string }

func (n numbered) Append(dst []byte, k uint64) ([]byte, int) {
	dst = append(dst, "GET /"...)
	dst = strconv.AppendUint(dst, k, 10)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, n.host...)
	return append(dst, "\r\nUser-Agent: showdown\r\n\r\n"...), 200
}

func (numbered) Check(uint64, []byte) error { return nil }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(int(showdown.CodeOf(err)))
	}
}

func run() error {
	target := load.Target{Timeout: 30 * time.Second}
	var window load.Window
	var rate float64
	var poisson uint64
	var listen string
	flag.StringVar(&target.Address, "address", "127.0.0.1:18080", "host:port")
	flag.StringVar(&target.Engine, "engine", "", "engine")
	flag.IntVar(&target.Open, "open", 50, "connections opened at first")
	flag.IntVar(&target.Max, "max", 0, "most connections")
	flag.DurationVar(&window.Length, "length", 10*time.Second, "how long")
	flag.DurationVar(&window.Slot, "slot", 0, "round sends down to multiples of it")
	flag.Float64Var(&rate, "rate", 0, "requests a second")
	flag.Uint64Var(&poisson, "poisson", 0, "seed of random arrivals")
	flag.StringVar(&listen, "listen", "", "hold WebSockets to that path and count what arrives, instead of sending requests")
	flag.Parse()
	target.Max = max(target.Max, target.Open)
	switch {
	case listen != "":
		target.Protocol, window.Listen = load.WebSocket, true
		target.Handshake = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n", listen, target.Address)
	case poisson != 0:
		window.Schedule = pace.Poisson(rate, window.Length, poisson)
	case rate > 0:
		window.Schedule = pace.Constant(rate, window.Length, 0)
	}
	out := outcome{Before: resident()}
	window.Progress = func(s load.Snapshot) {
		if s.Connections >= target.Open && s.Elapsed > window.Length/2 {
			out.After = resident()
		}
	}
	engine, err := load.New(target)
	if err != nil {
		return err
	}
	defer engine.Close()
	r, err := engine.Run(context.Background(), window, numbered{target.Address})
	if err != nil {
		return err
	}
	out.Start = monotonic() - int64(time.Since(r.Start))
	out.Engine, out.Load, out.CPU, out.Connections, out.Example = r.Engine, r.Summary(), r.CPU, r.Connections, r.Example
	return json.NewEncoder(os.Stdout).Encode(out)
}

func monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail
	return t.Nano()
}

// resident is the memory that this process holds.
func resident() int64 {
	text, _ := os.ReadFile("/proc/self/statm")
	if fields := strings.Fields(string(text)); len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}
