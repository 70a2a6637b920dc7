package main

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"

	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/show/report"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// outputs is where a load test is told: what of it to the standard output, and the files.
type outputs struct {
	seconds   seconds
	text      io.Writer // nil with --json
	style     report.Style
	document  io.Writer // for --json, or nil
	lines     io.Writer // for --ndjson, or nil
	file      *os.File  // behind lines, or nil
	failed    error     // the first failure to write lines
	hdr, html string
}

// openOutputs looks for everything that could not be written when the test is over.
func (a *app) openOutputs(f *loadFlags) (outputs, error) {
	o := outputs{text: a.stdout, style: a.textStyle(), hdr: f.hdr, html: f.html}
	for _, path := range []string{f.hdr, f.html} {
		if path == "" {
			continue
		}
		if err := writable(path); err != nil {
			return o, err
		}
	}
	switch f.ndjson {
	case "":
	case "-":
		o.lines, o.text = a.stdout, a.stderr
	default:
		file, err := os.Create(f.ndjson)
		if err != nil {
			return o, showdown.Errorf(showdown.Environment, "", "write the seconds: %w", err)
		}
		o.lines, o.file = file, file
	}
	if f.asJSON {
		o.text, o.document = nil, a.stdout
	}
	return o, nil
}

// writable tries whether writeFile will work.
func writable(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return showdown.Usage("name a file in it", "%s is a folder", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return showdown.Errorf(showdown.Environment, "", "write %s: %w", path, err)
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// second takes a second of the load as it ends. Each line is written whole and at
// once, so that others can follow the file.
func (o *outputs) second(s load.Second) {
	row := report.LoadSecond{
		At: s.At, Length: s.Length, Due: s.Due, Sent: s.Sent, OK: s.OK, Failures: s.Failures, Bytes: s.Bytes,
		InFlight: s.InFlight, Connections: s.Connections, CPU: s.CPU,
	}
	latency, lag := distribution(s.Latency, 0), distribution(s.Lag, 0)
	row.P50, row.P99, row.Max, row.LagP99 = latency.P50, latency.P99, latency.Max, lag.P99
	if o.lines != nil && o.failed == nil {
		line, err := json.Marshal(row)
		if err == nil {
			_, err = o.lines.Write(append(line, '\n'))
		}
		o.failed = err
	}
	o.seconds.add(row)
}

// write tells the result.
func (o *outputs) write(t *report.LoadTest, r *load.Result) error {
	if o.document != nil {
		if err := t.WriteJSON(o.document); err != nil {
			return err
		}
	}
	if o.text != nil {
		if err := t.WriteText(o.text, o.style); err != nil {
			return err
		}
	}
	if o.hdr != "" {
		err := writeFile(o.hdr, func(w io.Writer) error {
			const ticks, inMillis = 5, 1e6 // as HdrHistogram's own examples and plotters
			_, err := r.Latency.PercentilesPrint(w, ticks, inMillis)
			return err
		})
		if err != nil {
			return err
		}
	}
	if o.html != "" {
		if err := writeFile(o.html, t.WriteHTML); err != nil {
			return err
		}
	}
	if o.failed != nil {
		return showdown.Errorf(showdown.Environment, "", "write the seconds: %w", o.failed)
	}
	return nil
}

func (o *outputs) close() {
	if o.file != nil {
		_ = o.file.Close()
	}
}

// secondsMost bounds what is kept of a long test.
const secondsMost = 600

// seconds keeps what each second brought. When there are too many, neighbours are
// merged, so that memory stays bounded however long the test is.
type seconds struct {
	list []report.LoadSecond
	per  int // seconds in each entry but the last
	last int // seconds in the last entry
}

func (s *seconds) add(row report.LoadSecond) {
	if s.last > 0 && s.last < s.per {
		merge(&s.list[len(s.list)-1], &row)
		s.last++
		return
	}
	if len(s.list) == secondsMost {
		for i := range secondsMost / 2 {
			merge(&s.list[2*i], &s.list[2*i+1])
			s.list[i] = s.list[2*i]
		}
		s.list, s.per = s.list[:secondsMost/2], 2*s.per
	}
	s.list, s.last, s.per = append(s.list, row), 1, max(1, s.per)
}

// merge adds what follows to a: counts are summed, times are the worst.
func merge(a, b *report.LoadSecond) {
	a.Length = b.At + b.Length - a.At
	a.Due, a.Sent, a.OK, a.Bytes, a.CPU = a.Due+b.Due, a.Sent+b.Sent, a.OK+b.OK, a.Bytes+b.Bytes, a.CPU+b.CPU
	a.InFlight, a.Connections = b.InFlight, b.Connections
	a.P50, a.P99, a.Max, a.LagP99 = max(a.P50, b.P50), max(a.P99, b.P99), max(a.Max, b.Max), max(a.LagP99, b.LagP99)
	if len(b.Failures) > 0 {
		sum := maps.Clone(b.Failures)
		for kind, n := range a.Failures {
			sum[kind] += n
		}
		a.Failures = sum
	}
}
