package showdown

import (
	"time"
)

// Contender is what a record keeps of one backend: who it is, not how it is run.
type Contender struct {
	Name      string    `json:"name"`
	Title     string    `json:"title"`
	Language  string    `json:"language"`
	Framework string    `json:"framework"`
	Homepage  string    `json:"homepage,omitempty"`
	Versions  []Version `json:"versions,omitempty"`
	Workers   string    `json:"workers,omitempty"`
	Notes     []Note    `json:"notes,omitempty"`
	Hash      string    `json:"hash,omitempty"` // of its prepared source
}

// Version is one part of a contender's stack: role is "runtime", "framework" or "server".
type Version struct {
	Role    string `json:"role"`
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Note is a production choice of a contender and the documentation behind it.
type Note struct {
	Text string `json:"text" yaml:"text"`
	Link string `json:"link,omitempty" yaml:"link"`
}

// Skipped is a contender that a run left out, and why.
type Skipped struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	Remedy string `json:"remedy,omitempty"`
}

// Objective is the service level that capacity is measured against.
type Objective struct {
	Quantile  float64       `json:"quantile"`   // such as 0.99
	Latency   time.Duration `json:"latency_ns"` // that quantile's limit
	ErrorRate float64       `json:"error_rate"` // highest share of failed requests
}

// Plan is everything that decides what a run does. It is stored, so that a run
// can be resumed and its order recomputed.
type Plan struct {
	Preset     string      `json:"preset"`
	Scenario   string      `json:"scenario"`
	Title      string      `json:"title"` // of the scenario
	Objective  Objective   `json:"objective"`
	Contenders []string    `json:"contenders"` // names or paths, in the order given
	Blocks     int         `json:"blocks"`
	Seed       uint64      `json:"seed"`
	Timing     Timing      `json:"timing"`
	Cores      CPUPlan     `json:"cores"`
	Connection Connections `json:"connections"`
}

// Timing holds the lengths of a bout's parts.
type Timing struct {
	Warmup  time.Duration `json:"warmup_ns"`
	Probe   time.Duration `json:"probe_ns"`   // one step of the capacity search
	Measure time.Duration `json:"measure_ns"` // each measured window
}

// CPUPlan says which processors the contender and the generator may use.
type CPUPlan struct {
	Contender []int `json:"contender"`
	Generator []int `json:"generator"`
	Shared    bool  `json:"shared"` // true where there are too few to keep them apart
}

// Connections bounds what the generator opens.
type Connections struct {
	Open int `json:"open"` // opened before the load starts
	Max  int `json:"max"`  // the most it opens when answers are slow
}

// Phase tells bouts apart: a scout finds the neighbourhood of a contender's
// capacity and is never ranked; a block bout is.
type Phase string

// The phases of a run.
const (
	Scout Phase = "scout"
	Block Phase = "block"
)

// Bout is one invocation: one contender, one scenario, one fresh process.
type Bout struct {
	Contender string        `json:"contender"`
	Scenario  string        `json:"scenario"`
	Phase     Phase         `json:"phase"`
	Block     int           `json:"block"` // 0 for scouts, else from 1
	Slot      int           `json:"slot"`  // place within the block's random order
	Started   time.Time     `json:"started"`
	Took      time.Duration `json:"took_ns"`
	Ready     time.Duration `json:"ready_ns"`           // process start to first good health answer
	Capacity  Rate          `json:"capacity,omitempty"` // highest rate that met the objective; 0 if none did
	Windows   []Window      `json:"windows"`
	Warnings  []Warning     `json:"warnings,omitempty"`
	Failure   *BoutFailure  `json:"failure,omitempty"`
}

// Window finds the bout's window of that kind; the last one where there are several.
func (b *Bout) Window(kind WindowKind) *Window {
	for i := len(b.Windows) - 1; i >= 0; i-- {
		if b.Windows[i].Kind == kind {
			return &b.Windows[i]
		}
	}
	return nil
}

// BoutFailure says why a bout could not be played to its end.
type BoutFailure struct {
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
	Tail   string `json:"tail,omitempty"` // the end of the contender's log
	Log    string `json:"log,omitempty"`  // where the log is
}

// WindowKind says what a window was measured for.
type WindowKind string

// The kinds of window.
const (
	Warmup     WindowKind = "warmup"
	Probe      WindowKind = "probe"       // one step of the capacity search
	AtCapacity WindowKind = "at_capacity" // at the capacity that the search found
	AtCommon   WindowKind = "at_common"   // at the rate that every contender gets
)

// Window is one stretch of load at one rate, and what it cost.
type Window struct {
	Kind          WindowKind    `json:"kind"`
	Offered       Rate          `json:"offered"`
	Length        time.Duration `json:"length_ns"`
	Met           bool          `json:"met"` // whether it met the objective
	Load          Load          `json:"load"`
	Cost          Cost          `json:"cost"`
	Climate       Climate       `json:"climate"`
	Histo         []byte        `json:"-"` // latency from the intended send, HDR compressed V2, in nanoseconds
	GeneratorBusy float64       `json:"generator_busy"`
}

// Load counts what happened to the requests of a window.
type Load struct {
	Due      uint64             `json:"due"`  // arrivals that the schedule held
	Sent     uint64             `json:"sent"` // of these, written to a connection
	OK       uint64             `json:"ok"`
	Failures map[Failure]uint64 `json:"failures,omitempty"`
	Verified uint64             `json:"verified"` // answers recomputed
	Bytes    uint64             `json:"bytes"`    // received
	Latency  Latency            `json:"latency"`  // of the good answers, from the intended send
	LagP99   time.Duration      `json:"lag_p99_ns"`
	Aborted  bool               `json:"aborted,omitempty"` // given up because answers piled up
}

// Failed is the number of requests that did not get a good answer.
func (l *Load) Failed() uint64 {
	var n uint64
	for _, c := range l.Failures {
		n += c
	}
	return n
}

// ErrorRate is the share of due requests that did not get a good answer.
func (l *Load) ErrorRate() float64 {
	if l.Due == 0 {
		return 0
	}
	return float64(l.Failed()) / float64(l.Due)
}

// Latency is a summary of one histogram.
type Latency struct {
	P50  time.Duration `json:"p50_ns"`
	P90  time.Duration `json:"p90_ns"`
	P95  time.Duration `json:"p95_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"` // exact
	Mean time.Duration `json:"mean_ns"`
}

// Failure is why a request got no good answer. The set is closed.
type Failure string

// The failures.
const (
	FailConnect  Failure = "connect"  // no connection, for a reason other than refusal
	FailRefused  Failure = "refused"  // the connection was refused
	FailReset    Failure = "reset"    // the connection broke before the answer was whole
	FailTimeout  Failure = "timeout"  // no whole answer in time
	FailProtocol Failure = "protocol" // the answer breaks its protocol
	FailClient   Failure = "4xx"      // status 400 to 499 where another was wanted
	FailServer   Failure = "5xx"      // status 500 to 599 where another was wanted
	FailStatus   Failure = "status"   // any other status than the one wanted
	FailBody     Failure = "body"     // a wrong answer
	FailUnsent   Failure = "unsent"   // due, but no connection became free in time
)

// Failures lists every Failure in the order of printing.
var Failures = []Failure{FailConnect, FailRefused, FailReset, FailTimeout, FailProtocol, FailClient, FailServer, FailStatus, FailBody, FailUnsent}

// Cost is what the contender's whole process tree used during a window.
type Cost struct {
	CPU        time.Duration `json:"cpu_ns"`
	MemoryMean Bytes         `json:"memory_mean_bytes"`
	MemoryPeak Bytes         `json:"memory_peak_bytes"`
	MemoryKind string        `json:"memory_kind"` // "PSS" or "RSS"
	Processes  int           `json:"processes"`
}

// Climate is what the machine did meanwhile, outside the contender.
type Climate struct {
	Steal    float64 `json:"steal"`        // share of CPU time that the hypervisor took
	Pressure float64 `json:"cpu_pressure"` // share of time in which some task waited for a CPU
	Foreign  float64 `json:"foreign_cpu"`  // CPUs used by neither contender nor Showdown
}

// WarningKind is a closed set, so that readers can be given advice that fits.
type WarningKind string

// The doubts that Showdown may have about a result.
const (
	WarnGenerator   WarningKind = "generator-busy"     // the generator was near its own limit
	WarnLag         WarningKind = "generator-late"     // requests were sent late
	WarnSteal       WarningKind = "steal"              // the hypervisor took CPU time
	WarnForeign     WarningKind = "foreign-cpu"        // something else ran meanwhile
	WarnUnconfirmed WarningKind = "capacity-not-held"  // the window at capacity missed the objective
	WarnNoCapacity  WarningKind = "no-capacity"        // no rate met the objective
	WarnWildcard    WarningKind = "listens-everywhere" // bound to all addresses
)

// Warning is a doubt about a result, stored beside it.
type Warning struct {
	Kind WarningKind `json:"kind"`
	Text string      `json:"text"`
}

// Machine is what a reader must know of where a run took place.
type Machine struct {
	OS       string `json:"os"`
	Kernel   string `json:"kernel"`
	Arch     string `json:"arch"`
	CPU      string `json:"cpu"`
	CPUs     int    `json:"cpus"`
	Memory   Bytes  `json:"memory_bytes"`
	Virtual  bool   `json:"virtual"`
	Showdown string `json:"showdown"` // version of the program
}

// Status says how a run ended so far.
type Status string

// The states of a run.
const (
	Running Status = "unfinished" // in flight, interrupted or killed: can be resumed
	Over    Status = "finished"
)

// Run is a whole record: the plan, where it was played, and every bout so far.
type Run struct {
	ID         string      `json:"id"`
	Status     Status      `json:"status"`
	Started    time.Time   `json:"started"`
	Finished   time.Time   `json:"finished,omitzero"`
	Command    []string    `json:"command"`
	Plan       Plan        `json:"plan"`
	Machine    Machine     `json:"machine"`
	Contenders []Contender `json:"contenders"`
	Skipped    []Skipped   `json:"skipped,omitempty"`
	Bouts      []Bout      `json:"bouts"`
}

// Scenarios names the workloads that this version knows, in the order of the
// documentation.
var Scenarios = []string{"json"}
