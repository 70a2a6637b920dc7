//go:build linux

package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// memory runs a short and a long load at once; how long one lasts must not
// decide how much memory it takes.
func memory(ctx context.Context, b *bench) error {
	lengths := [2]time.Duration{10 * time.Second, time.Minute}
	if b.long {
		lengths = [2]time.Duration{time.Minute, 10 * time.Minute}
	}
	s, err := b.serve(ctx, serving{ports: 2})
	if err != nil {
		return err
	}
	defer s.kill()
	var running [2]*process
	for i, length := range lengths {
		j := job{url: url(s.port + i), clients: clients, rate: 2000, length: length}
		if running[i], err = start(ctx, generatorCore, b.ours(j)...); err != nil {
			return err
		}
		defer running[i].kill()
	}
	t := b.begin("Peak memory of the generator, 2,000 requests/s", "", "MB")
	var peaks [2]float64
	for i, p := range running {
		if _, err := p.wait(); err != nil {
			return err
		}
		peaks[i] = float64(p.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024
		t.row(lengths[i].String(), fmt.Sprintf("%.1f", peaks[i]))
	}
	b.target(fmt.Sprintf("memory of %s against %s differs by", lengths[1], lengths[0]), 2, max(peaks[1]-peaks[0], peaks[0]-peaks[1]), " MB")
	return nil
}
