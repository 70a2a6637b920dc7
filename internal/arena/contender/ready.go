package contender

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

const (
	readyInterval = 5 * time.Millisecond
	readyAttempt  = 2 * time.Second        // one request
	patience      = 300 * time.Millisecond // until no answer is taken for silence
)

// WaitReady asks for the manifest's ready path until it answers 200, and gives
// the time from the process's start to that. It fails early when the contender
// ends, and on Linux when the answer came from somebody else's socket.
func (p *Process) WaitReady(ctx context.Context) (time.Duration, error) {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	limit, cancel := context.WithDeadline(ctx, p.guarded.began.Add(p.ready.Timeout))
	defer cancel()
	go func() {
		select {
		case <-p.failed:
			cancel()
		case <-limit.Done():
		}
	}()
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for last := "no answer"; ; {
		ready, what := p.attempt(limit, client)
		took := time.Since(p.guarded.began)
		last = cmp.Or(what, last)
		if ready || limit.Err() != nil {
			return took, p.readiness(ctx, ready, last)
		}
		select {
		case <-tick.C:
		case <-limit.Done():
		}
	}
}

// readiness says what waiting came to.
func (p *Process) readiness(ctx context.Context, ready bool, last string) error {
	// That somebody else holds the port explains each of the others.
	if err := p.checkListener(); err != nil || ready {
		return err
	}
	if err := p.Err(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return showdown.Errorf(showdown.Interrupted, "", "wait for %s: %w", p.name, context.Cause(ctx))
	}
	return p.unready(last)
}

// attempt asks once; what is the reason where the answer was not 200, or empty where
// limit left it no time to find out.
func (p *Process) attempt(limit context.Context, client *http.Client) (ready bool, what string) {
	ctx, cancel := context.WithTimeout(limit, readyAttempt)
	defer cancel()
	var connected time.Time
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected = time.Now() },
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL()+p.ready.Path, nil)
	if err != nil {
		return false, err.Error()
	}
	response, err := client.Do(request)
	switch {
	case err == nil:
	case !connected.IsZero() && time.Since(connected) > patience:
		return false, "it accepted the connection and did not answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return false, "connection refused"
	case limit.Err() != nil:
		return false, ""
	default:
		return false, err.Error()
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 4096)
	return response.StatusCode == http.StatusOK, fmt.Sprintf("it answered %d", response.StatusCode)
}

func (p *Process) unready(last string) error {
	hint := "its log: " + p.options.Log
	if ports := p.otherPorts(); len(ports) > 0 {
		hint = fmt.Sprintf("it listens on %s instead of %d: does it honour HOST and PORT?", strings.Join(ports, ", "), p.options.Port)
	}
	return showdown.Errorf(showdown.BadContender, hint, "%s did not answer GET %s with 200 within %v of its start: %s",
		p.name, p.ready.Path, p.ready.Timeout, last)
}
