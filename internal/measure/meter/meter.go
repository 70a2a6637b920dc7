package meter

import (
	"sync"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// Memory is looked at every samplePeriod: reading the maps of a large process
// takes a millisecond or more, on the generator's processor and on the process's
// own memory lock. The tree's members are looked up anew every lookups samples.
const (
	samplePeriod = 500 * time.Millisecond
	lookups      = 2
)

// Watch follows one process tree over a stretch of time.
type Watch struct {
	root    int
	begun   time.Time
	cpu     time.Duration
	machine machine
	own     time.Duration
	stop    chan struct{}
	done    sync.WaitGroup
	pids    []int // the tree's members at the last look-up

	mu      sync.Mutex
	sum     showdown.Bytes
	samples int
	memory  showdown.Bytes // at the last sample
	cpus    float64        // since Start, at the last sample
	cost    showdown.Cost
}

// Start begins to watch the tree below and including process root.
func Start(root int) *Watch {
	w := &Watch{root: root, stop: make(chan struct{}), pids: tree(root)}
	w.begun, w.cpu, w.machine, w.own = time.Now(), cpuOf(w.pids), readMachine(), ownCPU()
	w.sample()
	w.done.Go(func() {
		tick := time.NewTicker(samplePeriod)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-w.stop:
				return
			case <-tick.C:
				if n%lookups == 0 {
					w.pids = tree(root)
				}
				w.sample()
			}
		}
	})
	return w
}

// Now is what the tree used at the last sample: memory, and processors on
// average since Start. It reads nothing itself, so that it may be called while
// load runs.
func (w *Watch) Now() (memory showdown.Bytes, cpus float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.memory, w.cpus
}

// Stop ends the watch and says what the tree cost and what the machine did.
func (w *Watch) Stop() (showdown.Cost, showdown.Climate) {
	members := tree(w.root)
	used := max(0, cpuOf(members)-w.cpu)
	now, own := readMachine(), ownCPU()-w.own
	close(w.stop)
	w.done.Wait()
	w.pids = members
	w.sample()
	w.cost.CPU = max(0, used)
	if w.samples > 0 {
		w.cost.MemoryMean = w.sum / showdown.Bytes(w.samples)
	}
	return w.cost, now.since(w.machine, used+own)
}

func (w *Watch) sample() {
	memory, kind := memoryOf(w.pids)
	if memory == 0 {
		return
	}
	cpus := (cpuOf(w.pids) - w.cpu).Seconds() / max(time.Since(w.begun).Seconds(), 1e-3)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples++
	w.sum += memory
	w.memory, w.cpus = memory, cpus
	w.cost.MemoryPeak = max(w.cost.MemoryPeak, memory)
	w.cost.MemoryKind = kind
	w.cost.Processes = max(w.cost.Processes, len(w.pids))
}

// machine is the state of the machine's counters at one moment.
type machine struct {
	at          time.Time
	busy, steal time.Duration // over all processors
	total       time.Duration
	pressure    time.Duration // some task waited for a processor
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
