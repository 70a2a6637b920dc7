package report

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// edges are the runs that a report must survive.
func edges() map[string]showdown.Run {
	lonely := invented(models[5:], 3, false)
	single := invented(models, 1, false)

	doomed := invented(models[:2], 1, true)
	doomed.Contenders, doomed.Bouts = doomed.Contenders[2:], doomed.Bouts[2:]

	flat := invented(models, 2, false)
	for i := range flat.Bouts {
		for j := range flat.Bouts[i].Windows {
			flat.Bouts[i].Windows[j].Histo = nil
		}
	}

	hopeless := invented(models[4:], 2, false)
	for i := range hopeless.Bouts {
		hopeless.Bouts[i].Capacity = 0
	}

	unfinished := invented(models, 2, false)
	unfinished.Status, unfinished.Finished, unfinished.Bouts = showdown.Running, time.Time{}, unfinished.Bouts[:3]

	strangers := invented(models[4:], 2, false) // who never met in a block
	kept := strangers.Bouts[:0]
	for _, b := range strangers.Bouts {
		if (b.Block == 1) == (b.Contender == models[4].name) {
			kept = append(kept, b)
		}
	}
	strangers.Bouts = kept

	return map[string]showdown.Run{
		"whole": invented(models, 5, true), "twelve": invented(many(12), 2, true),
		"one contender": lonely, "one block": single, "all failed": doomed, "no curves": flat,
		"no capacity": hopeless, "unfinished": unfinished, "strangers": strangers, "empty": {Status: showdown.Running},
	}
}

// Every view of every edge is written, and the same run gives the same bytes.
func TestEdges(t *testing.T) {
	for name, run := range edges() {
		first, second := document(t, run), document(t, run)
		for view, write := range map[string]func(*Document, io.Writer) error{
			"html": (*Document).WriteHTML, "markdown": (*Document).WriteMarkdown,
			"json": (*Document).WriteJSON, "csv": (*Document).WriteCSV,
			"text": func(d *Document, w io.Writer) error { return d.WriteText(w, Style{}) },
		} {
			one := written(t, func(w io.Writer) error { return write(first, w) })
			two := written(t, func(w io.Writer) error { return write(second, w) })
			if string(one) != string(two) {
				t.Errorf("%s: %s differs from one time to the next", name, view)
			}
			for _, nonsense := range []string{"NaN", "%!", "Inf", "<nil>"} {
				if bytes.Contains(one, []byte(nonsense)) {
					t.Errorf("%s: %s holds %s", name, view, nonsense)
				}
			}
		}
	}
}
