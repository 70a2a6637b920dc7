package load

import (
	"context"
	"net"
	"time"
)

const (
	slowReceiveBuffer = 64 << 10              // small, so that the server feels how slowly is read
	slowChunk         = 16 << 10              // the most that is read at once
	slowBreath        = 50 * time.Millisecond // the longest pause between two reads
	slowCredit        = time.Second           // the most lateness that is made up for
)

// slowConn reads at most a number of bytes a second.
type slowConn struct {
	net.Conn
	rate float64
	next time.Time // when the next read is allowed
}

func slowly(c net.Conn, rate float64) *slowConn {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(slowReceiveBuffer)
	}
	return &slowConn{Conn: c, rate: rate, next: time.Now()}
}

// Read is not safe for concurrent use.
func (c *slowConn) Read(b []byte) (int, error) {
	time.Sleep(time.Until(c.next))
	most := max(1, int(min(slowChunk, c.rate*slowBreath.Seconds())))
	begun := time.Now()
	n, err := c.Conn.Read(b[:min(len(b), most)])
	// Our own lateness is made up for; waiting for the server earns nothing.
	if earliest := begun.Add(-slowCredit); c.next.Before(earliest) {
		c.next = earliest
	}
	c.next = c.next.Add(time.Since(begun) + time.Duration(float64(n)/c.rate*float64(time.Second)))
	return n, err
}

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
