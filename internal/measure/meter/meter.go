package meter

import (
	"sync"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// samplePeriod is how often memory is looked at. Reading the smaps of a large
// process takes milliseconds of its own time on its memory map, so not often.
const samplePeriod = 250 * time.Millisecond

// Watch follows one process tree over a stretch of time.
type Watch struct {
	root    int
	begun   time.Time
	cpu     time.Duration
	machine machine
	own     time.Duration
	stop    chan struct{}
	done    sync.WaitGroup

	mu      sync.Mutex
	sum     showdown.Bytes
	samples int
	cost    showdown.Cost
}

// Start begins to watch the tree below and including process root.
func Start(root int) *Watch {
	w := &Watch{root: root, stop: make(chan struct{})}
	w.sample()
	w.begun, w.cpu, w.machine, w.own = time.Now(), treeCPU(root), readMachine(), ownCPU()
	w.done.Go(func() {
		tick := time.NewTicker(samplePeriod)
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-tick.C:
				w.sample()
			}
		}
	})
	return w
}

// Memory is the tree's last sampled memory, and CPU the processors that it has
// used on average since Start.
func (w *Watch) Memory() (memory showdown.Bytes, cpus float64) {
	used := treeCPU(w.root) - w.cpu
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.samples == 0 {
		return 0, 0
	}
	return w.cost.MemoryPeak, used.Seconds() / time.Since(w.begun).Seconds()
}

// Stop ends the watch and says what the tree cost and what the machine did.
func (w *Watch) Stop() (showdown.Cost, showdown.Climate) {
	used := treeCPU(w.root) - w.cpu
	now, own := readMachine(), ownCPU()-w.own
	close(w.stop)
	w.done.Wait()
	w.sample()
	w.cost.CPU = max(0, used)
	if w.samples > 0 {
		w.cost.MemoryMean = w.sum / showdown.Bytes(w.samples)
	}
	return w.cost, now.since(w.machine, used+own)
}

func (w *Watch) sample() {
	memory, kind, processes := treeMemory(w.root)
	if memory == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples++
	w.sum += memory
	w.cost.MemoryPeak = max(w.cost.MemoryPeak, memory)
	w.cost.MemoryKind = kind
	w.cost.Processes = max(w.cost.Processes, processes)
}

// machine is the state of the machine's counters at one moment.
type machine struct {
	at              time.Time
	busy, steal     time.Duration // over all processors
	total           time.Duration
	pressure        time.Duration // some task waited for a processor
	pressureUnknown bool
}

// since says what happened between two states, given the CPU time that the
// contender and Showdown used.
func (m machine) since(before machine, known time.Duration) showdown.Climate {
	var c showdown.Climate
	wall := m.at.Sub(before.at)
	if wall <= 0 {
		return c
	}
	if total := m.total - before.total; total > 0 {
		c.Steal = float64(m.steal-before.steal) / float64(total)
	}
	c.Pressure = float64(m.pressure-before.pressure) / float64(wall)
	// Counters of the machine and of processes tick apart, so small differences are noise.
	c.Foreign = max(0, float64(m.busy-before.busy-known)/float64(wall))
	return c
}
