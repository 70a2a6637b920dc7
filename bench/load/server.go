//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// These are server.c's.
const (
	maxPorts   = 16
	counterRow = 64 // bytes
	logHead    = 32
	logRecord  = 32
)

// counter is a column of what the server counts for each port.
type counter int

const (
	requests counter = iota
	_                // connections
	messages
	pings
	pongs
)

// serving is what a server is asked for.
type serving struct {
	port, ports int
	records     int // to be logged
	options     []string
}

// server is server.c under way.
type server struct {
	*process
	port   int // the first one
	folder string
	counts []byte
}

// serve starts the server and waits until it listens.
func (b *bench) serve(ctx context.Context, what serving) (*server, error) {
	folder, err := os.MkdirTemp(b.work, "server-")
	if err != nil {
		return nil, err
	}
	s := &server{port: b.port + what.port, folder: folder}
	argv := []string{b.server, fmt.Sprintf("port=%d", s.port), fmt.Sprintf("ports=%d", what.ports), "counts=" + s.file("counts")}
	if what.records > 0 {
		argv = append(argv, "log="+s.file("log"), fmt.Sprintf("records=%d", what.records))
	}
	if s.process, err = start(ctx, serverCore, append(argv, what.options...)...); err != nil {
		return nil, err
	}
	for s.alive() {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port)); err == nil {
			_ = conn.Close()
			return s, s.mapCounts()
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil, showdown.Errorf(showdown.Environment, "", "start the server: %s", lastWords(s.stderr.String()))
}

func (s *server) file(name string) string { return filepath.Join(s.folder, name) }

func (s *server) mapCounts() error {
	f, err := os.Open(s.file("counts"))
	if err != nil {
		return err
	}
	defer f.Close()
	s.counts, err = unix.Mmap(int(f.Fd()), 0, maxPorts*counterRow, unix.PROT_READ, unix.MAP_SHARED)
	return err
}

// count reads what the server counted for a port so far.
func (s *server) count(port int, c counter) uint64 {
	at := &s.counts[(port-s.port)*counterRow+int(c)*8]
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(at)))
}

// answered is one line of the server's log, in ns of CLOCK_MONOTONIC.
type answered struct {
	id               uint64
	arrival, written int64
}

// readLog gives the answers in the order in which they were written, and the
// freezes, each from arrival to written.
func (s *server) readLog() (answers, freezes []answered, err error) {
	f, err := os.Open(s.file("log"))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	var head [logHead]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, nil, err
	}
	text := make([]byte, logRecord*binary.NativeEndian.Uint64(head[:]))
	if _, err := f.ReadAt(text, logHead); err != nil {
		return nil, nil, err
	}
	for ; len(text) > 0; text = text[logRecord:] {
		n := binary.NativeEndian
		a := answered{n.Uint64(text), int64(n.Uint64(text[8:])), int64(n.Uint64(text[16:]))}
		if freeze := n.Uint32(text[28:]) == 1; freeze {
			freezes = append(freezes, a)
		} else {
			answers = append(answers, a)
		}
	}
	return answers, freezes, nil
}
