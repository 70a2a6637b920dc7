//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMedianOf(t *testing.T) {
	var v []float64
	for i := range 101 {
		v = append(v, float64((37*i)%101)) // 0 to 100, shuffled
	}
	// The exact binomial interval of 101 values is that of ranks 41 and 61.
	if got, want := medianOf(v), (interval{50, 40, 60}); got != want {
		t.Errorf("medianOf = %v, want %v", got, want)
	}
	if got, want := medianOf([]float64{4, 1, 3, 2}), (interval{2.5, 1, 4}); got != want {
		t.Errorf("medianOf = %v, want %v", got, want)
	}
}

func TestRank(t *testing.T) {
	v := []time.Duration{10, 20, 30, 40}
	for q, want := range map[float64]time.Duration{0.01: 10, 0.25: 10, 0.26: 20, 0.5: 20, 0.99: 40, 1: 40} {
		if got := rank(v, q); got != want {
			t.Errorf("rank(%g) = %d, want %d", q, got, want)
		}
	}
}

// Ten requests a second, answered in 50 ms, and a freeze from 0.25 s to 0.55 s.
func TestReplay(t *testing.T) {
	freeze := []answered{{arrival: 250e6, written: 550e6}}
	ms := func(v ...int) (d []time.Duration) {
		for _, v := range v {
			d = append(d, time.Duration(v)*time.Millisecond)
		}
		return d
	}
	// Those due at 0.3, 0.4 and 0.5 s are read at 0.55 s; that of 0.2 s is answered on the freeze's brink.
	want := ms(50, 50, 350, 300, 200, 100, 50, 50, 50, 50)
	if got := replay(0, 10, time.Second, 10, 50*time.Millisecond, freeze); !slices.Equal(got, want) {
		t.Errorf("ten connections: %v, want %v", got, want)
	}
	// With one connection they wait for each other.
	want = ms(50, 50, 350, 300, 250, 200, 150, 100, 50, 50)
	if got := replay(0, 10, time.Second, 1, 50*time.Millisecond, freeze); !slices.Equal(got, want) {
		t.Errorf("one connection: %v, want %v", got, want)
	}
}

func TestWrk2LikeKeepsQuantiles(t *testing.T) {
	b := testBench(t)
	s, err := b.serve(t.Context(), serving{ports: 1, options: []string{"delay=20000000"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	p, err := start(t.Context(), generatorCore, b.floor, "paced", fmt.Sprint(s.port), "4", "1", "100")
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.wait()
	if err != nil {
		t.Fatal(err)
	}
	got, err := peer(wrk2Like).read(b, text)
	if err != nil {
		t.Fatal(err)
	}
	if got.p50 < 20*time.Millisecond || got.p50 > 40*time.Millisecond || got.p99 < got.p50 {
		t.Errorf("p50 %s, p99 %s with answers in 20 ms", got.p50, got.p99)
	}
}

// testBench has a server and a floor of its own.
func testBench(t *testing.T) *bench {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil || runtime.NumCPU() < 2 {
		t.Skip("needs a C compiler and two processors")
	}
	b := &bench{root: "../..", work: t.TempDir(), port: 18480}
	b.server, b.floor = b.path("server"), b.path("floor")
	for _, argv := range [][]string{{"cc", "-o", b.server, "server.c", "-lm"}, {"cc", "-o", b.floor, "floor.c"}} {
		if err := b.make(context.Background(), "bench/load", argv...); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestServerCountsAndLogs(t *testing.T) {
	b := testBench(t)
	s, err := b.serve(t.Context(), serving{ports: 2, records: 10, options: []string{"body=5", "delay=30000000"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port+1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	before := monotonic()
	// Two in one write, the third in two.
	fmt.Fprint(conn, "GET /7 HTTP/1.1\r\n\r\nGET /a/8 HTTP/1.1\r\n\r\nGET /9 HT")
	time.Sleep(20 * time.Millisecond)
	fmt.Fprint(conn, "TP/1.1\r\n\r\n")
	want := strings.Repeat("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nabcde", 3)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	after := monotonic()
	for s.count(s.port+1, requests) < 3 && monotonic() < after+1e9 {
		time.Sleep(time.Millisecond) // it counts after it wrote
	}
	if here, there := s.count(s.port, requests), s.count(s.port+1, requests); here != 0 || there != 3 {
		t.Errorf("counted %d and %d", here, there)
	}
	answers, _, err := s.readLog()
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range answers {
		if a.id != uint64(7+i) || a.arrival < before || a.written < a.arrival+30e6 || a.written > after+1e9 {
			t.Errorf("answer %d of %d: %+v, between %d and %d", i, len(answers), a, before, after)
		}
	}
	if len(answers) != 3 {
		t.Errorf("%d answers in the log", len(answers))
	}
}

func TestServerEchoesAndPings(t *testing.T) {
	b := testBench(t)
	s, err := b.serve(t.Context(), serving{ports: 1, options: []string{"ping=100000000"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.kill()
	open := func(path string) net.Conn {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		// The example of RFC 6455, section 1.3.
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
		expect(t, conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		return conn
	}
	echo := open("/echo")
	fmt.Fprint(echo, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58") // RFC 6455, section 5.7: a masked Hello
	expect(t, echo, "\x81\x05Hello")
	quiet := open("/quiet")
	expect(t, quiet, "\x89\x00")
	fmt.Fprint(quiet, "\x8a\x80\x00\x00\x00\x00")
	for end := monotonic() + 2e9; s.count(s.port, pongs) == 0; time.Sleep(time.Millisecond) {
		if monotonic() > end {
			t.Fatal("the pong was not counted")
		}
	}
	expect(t, open("/broadcast"), strings.Repeat("\x81\x40"+strings.Repeat("m", 64), 1000))
}

func expect(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got[:n], err, want)
	}
}
