// Peers receives WebSocket messages with a library of others, used as its
// documentation shows, and prints how many and for how much processor time.
//
//	peers LIBRARY URL CONNECTIONS DURATION
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
)

// receivers connect and read messages until the moment given. They return how
// many, and the error that ended it: that the time is up.
var receivers = map[string]func(url string, until time.Time) (n uint64, err error){
	"gorilla": func(url string, until time.Time) (n uint64, err error) {
		c, _, err := gorilla.DefaultDialer.Dial(url, nil)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		if err := c.SetReadDeadline(until); err != nil {
			return 0, err
		}
		for ; ; n++ {
			_, r, err := c.NextReader()
			if err != nil {
				return n, err
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				return n, err
			}
		}
	},
	"coder": func(url string, until time.Time) (n uint64, err error) {
		ctx, cancel := context.WithDeadline(context.Background(), until)
		defer cancel()
		c, _, err := coder.Dial(ctx, url, nil)
		if err != nil {
			return 0, err
		}
		defer c.CloseNow()
		for ; ; n++ {
			_, r, err := c.Reader(ctx)
			if err != nil {
				return n, err
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				return n, err
			}
		}
	},
	"gobwas": func(url string, until time.Time) (n uint64, err error) {
		c, early, _, err := ws.Dial(context.Background(), url)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		if err := c.SetReadDeadline(until); err != nil {
			return 0, err
		}
		var source io.Reader = c
		if early != nil {
			source = io.MultiReader(early, c)
		}
		control := wsutil.ControlFrameHandler(c, ws.StateClientSide)
		r := &wsutil.Reader{Source: bufio.NewReader(source), State: ws.StateClientSide, CheckUTF8: true, OnIntermediate: control}
		for {
			head, err := r.NextFrame()
			if err != nil {
				return n, err
			}
			if head.OpCode.IsControl() {
				if err := control(head, r); err != nil {
					return n, err
				}
				continue
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				return n, err
			}
			n++
		}
	},
	"gws": func(url string, until time.Time) (uint64, error) {
		h := &handler{}
		c, _, err := gws.NewClient(h, &gws.ClientOption{Addr: url})
		if err != nil {
			return 0, err
		}
		if err := c.SetReadDeadline(until); err != nil {
			return 0, err
		}
		c.ReadLoop()
		return h.n, h.err
	},
}

// handler counts for gws.
type handler struct {
	gws.BuiltinEventHandler
	n   uint64
	err error
}

func (h *handler) OnMessage(_ *gws.Conn, m *gws.Message) {
	h.n++
	_ = m.Close()
}

func (h *handler) OnClose(_ *gws.Conn, err error) { h.err = err }

func main() {
	log.SetFlags(0)
	log.SetPrefix("peers: ")
	if len(os.Args) != 5 {
		log.Fatal("usage: peers LIBRARY URL CONNECTIONS DURATION")
	}
	receive := receivers[os.Args[1]]
	connections, err := strconv.Atoi(os.Args[3])
	length, err2 := time.ParseDuration(os.Args[4])
	if err := errors.Join(err, err2); err != nil || receive == nil {
		log.Fatalf("no library %q, or: %v", os.Args[1], err)
	}
	var total atomic.Uint64
	var all sync.WaitGroup
	until := time.Now().Add(length)
	for range connections {
		all.Go(func() {
			n, err := receive(os.Args[2], until)
			if time.Now().Before(until) {
				log.Fatal(err)
			}
			total.Add(n)
		})
	}
	all.Wait()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		log.Fatal(err)
	}
	err = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"messages": total.Load(), "cpu_ns": used.Utime.Nano() + used.Stime.Nano(),
	})
	if err != nil {
		log.Fatal(err)
	}
}
