package meter

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// The stub is this test program. It does what it is told, one line at a time, and
// ends when there are no more lines.
const stubVariable = "METER_STUB"

const (
	ownBurn   = 500 * time.Millisecond
	childBurn = 250 * time.Millisecond
	allotment = 64 << 20
)

func TestMain(m *testing.M) {
	if os.Getenv(stubVariable) == "" {
		os.Exit(m.Run())
	}
	runStub()
}

func runStub() {
	var kept []byte
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case "burn":
			before := used(unix.RUSAGE_SELF)
			burn(ownBurn)
			fmt.Println(int64(used(unix.RUSAGE_SELF) - before))
		case "burn as a child":
			burn(childBurn)
			fmt.Println(int64(used(unix.RUSAGE_SELF)))
		case "burn with children":
			fmt.Println(int64(burnWithChildren()))
		case "allocate":
			kept = mapped(-1)
			fmt.Println(len(kept))
		case "free":
			check(unix.Munmap(kept))
			fmt.Println("freed")
		case "map the shared file":
			kept = mapped(3)
			fmt.Println(len(kept))
		case "share with a child":
			kept = shareWithChild()
			fmt.Println(len(kept))
		}
	}
	runtime.KeepAlive(kept)
	os.Exit(0)
}

// burnWithChildren burns in this process, in a child that has ended and in one
// that goes on, and says how much all three used.
func burnWithChildren() time.Duration {
	ended, alive := newStub(), newStub()
	before := used(unix.RUSAGE_SELF)
	ended.send("burn as a child")
	alive.send("burn as a child")
	burn(ownBurn)
	ended.number()
	ofAlive := time.Duration(alive.number())
	ended.end()
	return used(unix.RUSAGE_SELF) - before + used(unix.RUSAGE_CHILDREN) + ofAlive
}

func shareWithChild() []byte {
	fd, err := unix.MemfdCreate("meter", 0)
	check(err)
	check(unix.Ftruncate(fd, allotment))
	s := newStub(os.NewFile(uintptr(fd), "meter"))
	s.send("map the shared file")
	s.number()
	return mapped(fd)
}

// mapped is memory of a shared file, or private where fd is negative, with every page written to.
func mapped(fd int) []byte {
	flags := unix.MAP_SHARED
	if fd < 0 {
		flags = unix.MAP_PRIVATE | unix.MAP_ANON
	}
	b, err := unix.Mmap(fd, 0, allotment, unix.PROT_READ|unix.PROT_WRITE, flags)
	check(err)
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	return b
}

func used(who int) time.Duration {
	var u unix.Rusage
	check(unix.Getrusage(who, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func burn(d time.Duration) {
	sum := 1.0
	for end := used(unix.RUSAGE_SELF) + d; used(unix.RUSAGE_SELF) < end; {
		for range 100_000 {
			sum = math.Sqrt(sum + 1)
		}
	}
	runtime.KeepAlive(sum)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "stub:", err)
		os.Exit(1)
	}
}

// stub is a running stub, as its parent sees it.
type stub struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func newStub(files ...*os.File) *stub {
	program, err := os.Executable()
	check(err)
	s := &stub{Cmd: exec.Command(program)}
	s.Env = append(os.Environ(), stubVariable+"=1", "GORACE=atexit_sleep_ms=0")
	s.Stderr, s.ExtraFiles = os.Stderr, files
	s.in, err = s.StdinPipe()
	check(err)
	out, err := s.StdoutPipe()
	check(err)
	s.out = bufio.NewReader(out)
	check(s.Start())
	s.line()
	return s
}

func (s *stub) send(line string) { fmt.Fprintln(s.in, line) }

func (s *stub) line() string {
	line, err := s.out.ReadString('\n')
	check(err)
	return strings.TrimSpace(line)
}

func (s *stub) number() (n int64) {
	_, err := fmt.Sscan(s.line(), &n)
	check(err)
	return n
}

func (s *stub) end() {
	s.in.Close()
	_ = s.Wait()
}

func testStub(t *testing.T) *stub {
	s := newStub()
	t.Cleanup(s.end)
	return s
}

func TestCPUOfATree(t *testing.T) {
	s := testStub(t)
	s.send("burn") // before the watch begins, so not part of it
	s.number()

	w := Start(s.Process.Pid)
	s.send("burn with children")
	want := time.Duration(s.number())
	cost, climate := w.Stop()
	wall := time.Since(w.begun)
	_, cpus := w.Now()

	if want < ownBurn+2*childBurn {
		t.Fatalf("the stub burnt %v, want at least %v", want, ownBurn+2*childBurn)
	}
	// Of the child that has ended, /proc tells whole ticks of 10 ms, user and system apart.
	if off := cost.CPU - want; off < -want*5/100 || off > want*5/100 {
		t.Errorf("the meter says %v, the stub %v: off by %v", cost.CPU, want, off)
	}
	if low := want.Seconds() * 0.95 / wall.Seconds(); cpus < low || cpus > 3 {
		t.Errorf("%.2f processors in use, want at least %.2f", cpus, low)
	}
	if cost.Processes < 2 || cost.Processes > 3 {
		t.Errorf("%d processes, want the stub and its one or two children", cost.Processes)
	}
	for what, v := range map[string]float64{
		"steal": climate.Steal, "pressure": climate.Pressure,
		"foreign work per processor": climate.Foreign / float64(runtime.NumCPU()),
	} {
		if math.IsNaN(v) || v < 0 || v > 1.1 {
			t.Errorf("%s is %v, want a share", what, v)
		}
	}
}

func bareMemory(t *testing.T) showdown.Bytes {
	s := newStub()
	defer s.end()
	cost, _ := Start(s.Process.Pid).Stop()
	if cost.MemoryPeak <= 0 || cost.MemoryPeak > allotment || cost.Processes != 1 {
		t.Fatalf("a bare stub costs %+v", cost)
	}
	return cost.MemoryPeak
}

func TestMemoryOfAProcess(t *testing.T) {
	bare := bareMemory(t)
	s := testStub(t)
	w := Start(s.Process.Pid)
	s.send("allocate")
	s.number()
	cost, _ := w.Stop()
	if limit := (allotment + bare) * 110 / 100; cost.MemoryPeak < allotment || cost.MemoryPeak > limit {
		t.Errorf("peak %d, want from %d to %d", cost.MemoryPeak, allotment, limit)
	}
	if cost.MemoryMean <= 0 || cost.MemoryMean >= cost.MemoryPeak {
		t.Errorf("mean %d of a first sample without and a last with %d, peak %d", cost.MemoryMean, allotment, cost.MemoryPeak)
	}
	if cost.MemoryKind != "PSS" && cost.MemoryKind != "RSS" {
		t.Errorf("memory of kind %q", cost.MemoryKind)
	}
}

func TestSharedMemoryCountsOnce(t *testing.T) {
	bare := bareMemory(t)
	s := testStub(t)
	w := Start(s.Process.Pid)
	s.send("share with a child")
	s.number()
	cost, _ := w.Stop()
	if cost.MemoryKind != "PSS" {
		t.Skip("this system does not tell PSS")
	}
	if limit := (allotment + 2*bare) * 110 / 100; cost.MemoryPeak < allotment || cost.MemoryPeak > limit {
		t.Errorf("two processes that share %d have a peak of %d, want at most %d", allotment, cost.MemoryPeak, limit)
	}
	if cost.Processes != 2 {
		t.Errorf("%d processes, want 2", cost.Processes)
	}
}

func TestNowIsTheLastSample(t *testing.T) {
	s := testStub(t)
	w := &Watch{root: s.Process.Pid, pids: tree(s.Process.Pid), begun: time.Now()} // samples only when told to
	s.send("allocate")
	s.number()
	if memory, cpus := w.Now(); memory != 0 || cpus != 0 {
		t.Errorf("%d bytes and %v processors before the first sample", memory, cpus)
	}
	w.sample()
	if memory, _ := w.Now(); memory < allotment {
		t.Errorf("%d after %d were touched", memory, allotment)
	}
	s.send("free")
	s.line()
	w.sample()
	if memory, _ := w.Now(); memory >= allotment {
		t.Errorf("still %d after all was given back", memory)
	}
	if w.cost.MemoryPeak < allotment {
		t.Errorf("the peak of %d is forgotten", w.cost.MemoryPeak)
	}
}

func TestAProcessThatIsGoneCostsNothing(t *testing.T) {
	s := newStub()
	s.end()
	w := Start(s.Process.Pid)
	if memory, cpus := w.Now(); memory != 0 || cpus != 0 {
		t.Errorf("%d bytes and %v processors", memory, cpus)
	}
	if cost, _ := w.Stop(); cost != (showdown.Cost{}) {
		t.Errorf("it costs %+v", cost)
	}
}

// What a contender used before the watch must not turn into the work of others
// when it ends meanwhile.
func TestAProcessThatEndsIsNotForeignWork(t *testing.T) {
	s := newStub()
	s.send("burn")
	s.number()
	begun := time.Now()
	w := Start(s.Process.Pid)
	s.end()
	cost, climate := w.Stop()
	if cost.CPU != 0 {
		t.Errorf("used %v, which nobody can know any more", cost.CPU)
	}
	wall := time.Since(begun)
	most := time.Duration(runtime.NumCPU())*wall + 250*time.Millisecond // ticks are coarse
	if foreign := time.Duration(climate.Foreign * float64(wall)); foreign > most {
		t.Errorf("others used %v, but in %v %d processors have no more than %v", foreign, wall, runtime.NumCPU(), most)
	}
}
