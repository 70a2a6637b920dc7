package contender

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

const (
	readyInterval = 10 * time.Millisecond
	readyAttempt  = 2 * time.Second // one request
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
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	last := "no answer"
	for {
		asked := time.Now()
		answered, what := p.attempt(limit, client)
		took := time.Since(p.guarded.began)
		if answered || limit.Err() != nil {
			// Somebody else's answer, of whatever kind, explains more than ours missing.
			if err := p.checkListener(); err != nil {
				return took, err
			}
		}
		if answered {
			return took, nil
		}
		if limit.Err() == nil || time.Since(asked) > 10*readyInterval {
			last = what // and not that of an attempt that had no time
		}
		select {
		case <-p.failed:
			return took, p.err
		case <-ctx.Done():
			return took, showdown.Errorf(showdown.Interrupted, "", "wait for %s: %w", p.name, context.Cause(ctx))
		case <-limit.Done():
			return took, p.unready(last)
		case <-tick.C:
		}
	}
}

// attempt asks once; what is the reason where the answer was not 200.
func (p *Process) attempt(ctx context.Context, client *http.Client) (ready bool, what string) {
	ctx, cancel := context.WithTimeout(ctx, readyAttempt)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL()+p.ready.Path, nil)
	if err != nil {
		return false, err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return false, failure(err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 4096)
	return response.StatusCode == http.StatusOK, fmt.Sprintf("it answered %d", response.StatusCode)
}

func failure(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "it accepted the connection and did not answer"
	default:
		return err.Error()
	}
}

func (p *Process) unready(last string) error {
	hint := "its log: " + p.options.Log
	if ports := p.otherPorts(); len(ports) > 0 {
		hint = fmt.Sprintf("it listens on %s instead of %d: does it honour HOST and PORT?", strings.Join(ports, ", "), p.options.Port)
	}
	return showdown.Errorf(showdown.BadContender, hint, "%s did not answer GET %s with 200 within %v of its start: %s",
		p.name, p.ready.Path, p.ready.Timeout, last)
}
