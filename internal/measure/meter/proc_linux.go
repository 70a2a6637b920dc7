package meter

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// clockTick is the unit of CPU times in /proc: USER_HZ, 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// stat is what /proc/PID/stat tells of one process.
type stat struct {
	parent   int
	used     time.Duration // user and system
	children time.Duration // of children that were waited for
}

// readStat reads one process; ok is false when it is gone.
func readStat(pid int) (s stat, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return s, false
	}
	return parseStat(b)
}

// parseStat reads proc(5) fields 4 and 14 to 17. The name in field 2 may hold
// anything, also spaces and parentheses, so fields count from its last ')'.
func parseStat(b []byte) (s stat, ok bool) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return s, false
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 15 {
		return s, false
	}
	ticks := func(field string) time.Duration {
		n, _ := strconv.ParseInt(field, 10, 64)
		return time.Duration(n) * clockTick
	}
	s.parent, _ = strconv.Atoi(f[1])
	s.used = ticks(f[11]) + ticks(f[12])
	s.children = ticks(f[13]) + ticks(f[14])
	return s, true
}

// tree lists root and all its descendants that are alive. It reads the whole of
// /proc, which takes milliseconds: the kernel's own lists of children are an
// option that many kernels are built without.
func tree(root int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, ok := readStat(pid); ok {
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// cpuOf is the CPU time of processes so far: of the living, to the nanosecond
// where the scheduler tells it, and of the dead that their parents waited for.
func cpuOf(pids []int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		if s, ok := readStat(pid); ok {
			sum += s.children + max(s.used, threadTime(pid))
		}
	}
	return sum
}

// threadTime adds up the scheduler's nanoseconds of a process's living threads.
// Threads that ended are missing, hence the maximum with the ticks above.
func threadTime(pid int) time.Duration {
	dir := "/proc/" + strconv.Itoa(pid) + "/task/"
	threads, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	var sum time.Duration
	for _, t := range threads {
		b, err := os.ReadFile(dir + t.Name() + "/schedstat")
		if err != nil {
			return 0
		}
		first, _, _ := strings.Cut(string(b), " ")
		n, _ := strconv.ParseInt(first, 10, 64)
		sum += time.Duration(n)
	}
	return sum
}

// memoryOf is the proportional set size of processes, which counts pages shared
// between them once; where that may not be read, the resident size.
func memoryOf(pids []int) (sum showdown.Bytes, kind string) {
	kind = "PSS"
	for _, pid := range pids {
		if pss, ok := fieldOf(pid, "smaps_rollup", "Pss:"); ok {
			sum += pss
		} else if rss, ok := fieldOf(pid, "status", "VmRSS:"); ok {
			sum, kind = sum+rss, "RSS"
		}
	}
	return sum, kind
}

// fieldOf reads a "Name:   123 kB" line of a file in /proc/PID.
func fieldOf(pid int, file, name string) (showdown.Bytes, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/" + file)
	if err != nil {
		return 0, false
	}
	return kilobytes(b, name)
}

func kilobytes(b []byte, name string) (showdown.Bytes, bool) {
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return showdown.Bytes(n) << 10, err == nil
		}
	}
	return 0, false
}

func ownCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func readMachine() machine {
	m := machine{at: time.Now()}
	if b, err := os.ReadFile("/proc/stat"); err == nil {
		m.busy, m.steal, m.total = parseCPULine(b)
	}
	if b, err := os.ReadFile("/proc/pressure/cpu"); err == nil {
		m.pressure, _ = parsePressure(b) // zero where it is unknown
	}
	return m
}

// parseCPULine reads the first line of /proc/stat: user nice system idle iowait irq softirq steal.
func parseCPULine(b []byte) (busy, steal, total time.Duration) {
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, 0, 0
	}
	var t [8]time.Duration
	for i := range t {
		n, _ := strconv.ParseInt(f[i+1], 10, 64)
		t[i] = time.Duration(n) * clockTick
		total += t[i]
	}
	// Interrupts belong to nobody; on a machine under network load they are the load's.
	return t[0] + t[1] + t[2], t[7], total
}

// parsePressure reads the total of the line "some avg10=… total=microseconds".
func parsePressure(b []byte) (total time.Duration, unknown bool) {
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "some ") {
			continue
		}
		if _, text, ok := strings.Cut(line, "total="); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			return time.Duration(n) * time.Microsecond, err != nil
		}
	}
	return 0, true
}

// Machine describes this machine for the record.
func Machine() showdown.Machine {
	m := showdown.Machine{OS: "Linux", Arch: runtime.GOARCH, CPUs: runtime.NumCPU()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		m.Memory, _ = kilobytes(b, "MemTotal:")
	}
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return m
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(name) {
		case "model name":
			m.CPU = strings.TrimSpace(value)
		case "flags":
			m.Virtual = strings.Contains(value, " hypervisor")
			return m // one processor tells enough
		}
	}
	return m
}
