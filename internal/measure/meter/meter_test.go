package meter

import (
	"math"
	"testing"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

func TestClimateBetweenTwoMoments(t *testing.T) {
	begin := time.Now()
	before := machine{at: begin, busy: 100 * time.Second, steal: time.Second, total: 1000 * time.Second, pressure: 5 * time.Second}
	after := func(wall, busy, steal, total, pressure time.Duration) machine {
		return machine{at: begin.Add(wall), busy: before.busy + busy, steal: before.steal + steal, total: before.total + total, pressure: before.pressure + pressure}
	}
	for _, c := range []struct {
		name  string
		after machine
		known time.Duration
		want  showdown.Climate
	}{
		{"quiet", after(10*time.Second, 8*time.Second, 0, 20*time.Second, 0), 8 * time.Second, showdown.Climate{}},
		{"steal is a share of all processors' time", after(10*time.Second, 0, 2*time.Second, 20*time.Second, 0), 0, showdown.Climate{Steal: 0.1}},
		{"pressure is a share of wall time", after(10*time.Second, 0, 0, 20*time.Second, 4*time.Second), 0, showdown.Climate{Pressure: 0.4}},
		{"foreign work is in processors", after(10*time.Second, 15*time.Second, 0, 20*time.Second, 0), 3 * time.Second, showdown.Climate{Foreign: 1.2}},
		{"counters that tick apart are no work of others", after(10*time.Second, 3*time.Second, 0, 20*time.Second, 0), 4 * time.Second, showdown.Climate{}},
		{"no time has passed", after(0, time.Second, time.Second, time.Second, time.Second), 0, showdown.Climate{}},
		{"counters stand still", after(10*time.Second, 0, 0, 0, 0), 0, showdown.Climate{}},
	} {
		got := c.after.since(before, c.known)
		for _, v := range [][2]float64{{got.Steal, c.want.Steal}, {got.Pressure, c.want.Pressure}, {got.Foreign, c.want.Foreign}} {
			if math.IsNaN(v[0]) || math.Abs(v[0]-v[1]) > 1e-9 {
				t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
				break
			}
		}
	}
}

func TestMachineSaysWhatAReaderNeeds(t *testing.T) {
	if m := Machine(); m.OS == "" || m.Arch == "" || m.CPUs < 1 || m.Memory < 0 {
		t.Errorf("got %+v", m)
	}
}
