package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// LoadSchemaID names the form of a [LoadTest]. Within one version fields may be
// added; none is removed, renamed or given another meaning.
const LoadSchemaID = "showdown.load/2"

// LoadTest is the outcome of one load test: the output of showdown load --json.
type LoadTest struct {
	Schema     string          `json:"schema"`
	Showdown   string          `json:"showdown"` // version of the program
	Protocol   string          `json:"protocol"`
	Requests   []LoadRequest   `json:"requests"`
	Loop       Loop            `json:"loop"`
	Offered    showdown.Rate   `json:"offered,omitempty"` // 0 unless the loop is open
	Settings   LoadSettings    `json:"settings"`
	Start      int64           `json:"start"` // of the schedule, in nanoseconds since 1970
	Elapsed    time.Duration   `json:"elapsed_ns"`
	Ending     Ending          `json:"ending"`
	Rate       showdown.Rate   `json:"rate"` // good answers a second
	Load       LoadCounts      `json:"load"`
	Generator  Generator       `json:"generator"`
	Warnings   []LoadWarning   `json:"warnings,omitempty"`
	Thresholds []LoadThreshold `json:"thresholds,omitempty"`
	Seconds    []LoadSecond    `json:"seconds,omitempty"`
}

// Loop is what decides when a request is sent.
type Loop string

// The loops.
const (
	OpenLoop   Loop = "open"      // a schedule
	ClosedLoop Loop = "closed"    // the answer before
	Listening  Loop = "listening" // nothing is sent; what arrives is counted
)

// Ending is why a load test ended.
type Ending string

// The endings.
const (
	Complete  Ending = "complete"
	Cancelled Ending = "interrupted" // by the user
	GivenUp   Ending = "given-up"    // answers piled up
)

// LoadRequest is one of the requests that are sent.
type LoadRequest struct {
	Method string  `json:"method"`
	URL    string  `json:"url"`
	Share  float64 `json:"share"` // of all requests
}

// LoadSettings is what was asked for. Headers and bodies are not kept: they may be secret.
type LoadSettings struct {
	Connections    int            `json:"connections"`
	MaxConnections int            `json:"max_connections"`
	Length         time.Duration  `json:"length_ns,omitempty"`
	Count          uint64         `json:"count,omitempty"`
	Arrivals       string         `json:"arrivals,omitempty"` // "even" or "random"
	Ramp           string         `json:"ramp,omitempty"`
	Timeout        time.Duration  `json:"timeout_ns"`
	GiveUp         time.Duration  `json:"give_up_ns,omitempty"`
	Slot           time.Duration  `json:"slot_ns,omitempty"`
	Eager          bool           `json:"no_coalesce,omitempty"`
	ReadRate       showdown.Bytes `json:"read_rate,omitempty"` // bytes a second on each connection
	Expect         string         `json:"expect,omitempty"`
	Sample         float64        `json:"sample,omitempty"`
	Seed           uint64         `json:"seed"`
}

// LoadCounts is what became of the requests.
type LoadCounts struct {
	Due      uint64                      `json:"due"`
	Sent     uint64                      `json:"sent"`
	OK       uint64                      `json:"ok"`
	Failed   uint64                      `json:"failed"`
	Failures map[showdown.Failure]uint64 `json:"failures,omitempty"`
	Example  string                      `json:"example,omitempty"` // the first failure in words
	Verified uint64                      `json:"verified"`
	Bytes    uint64                      `json:"bytes"`
	Opened   int                         `json:"connections_opened"`
	Latency  Distribution                `json:"latency"`
	Service  Distribution                `json:"service"`
	Lag      Distribution                `json:"lag"`
}

// ErrorRate is the share of due requests that did not get a good answer. Of a
// listening test it is the share of connections that failed.
func (c *LoadCounts) ErrorRate() float64 {
	if c.Due == 0 {
		return 0
	}
	return min(1, float64(c.Failed)/float64(c.Due))
}

// Distribution describes a histogram of times.
type Distribution struct {
	Count    uint64        `json:"count"`
	Mean     time.Duration `json:"mean_ns"`
	P50      time.Duration `json:"p50_ns"`
	P75      time.Duration `json:"p75_ns"`
	P90      time.Duration `json:"p90_ns"`
	P95      time.Duration `json:"p95_ns"`
	P99      time.Duration `json:"p99_ns"`
	P999     time.Duration `json:"p999_ns"`
	P9999    time.Duration `json:"p9999_ns"`
	Max      time.Duration `json:"max_ns"`
	Resolved float64       `json:"resolved"` // the highest quantile that so many values support; 0 if none
	Curve    []CurvePoint  `json:"curve,omitempty"`
}

// CurvePoint is a time at a quantile.
type CurvePoint struct {
	Quantile float64       `json:"quantile"`
	Value    time.Duration `json:"value_ns"`
}

// Generator is what the load generator itself did.
type Generator struct {
	Engine  string        `json:"engine"`
	Threads int           `json:"threads"`
	CPU     time.Duration `json:"cpu_ns"`  // of the whole process
	Busiest float64       `json:"busiest"` // share of its CPU that the busiest event loop used; of all CPUs where there is no loop
}

// LoadWarning is a doubt about a load test.
type LoadWarning struct {
	Kind          showdown.WarningKind `json:"kind"`
	Text          string               `json:"text"`
	Untrustworthy bool                 `json:"untrustworthy"` // whether the figures may not be what they seem
}

// The doubts about a load test, beside showdown.WarnGenerator and showdown.WarnLag.
const (
	WarnUnsent     showdown.WarningKind = "unsent"      // requests for which no connection became free in time
	WarnGivenUp    showdown.WarningKind = "given-up"    // answers piled up and the test ended early
	WarnRate       showdown.WarningKind = "rate-missed" // less was sent than offered
	WarnFewAnswers showdown.WarningKind = "few-answers" // too few for a percentile that a threshold is about
	WarnSlots      showdown.WarningKind = "slots"       // requests were sent in small bursts, as asked
)

var loadWarnings = []showdown.WarningKind{
	showdown.WarnGenerator, showdown.WarnLag, WarnUnsent, WarnGivenUp, WarnRate, WarnFewAnswers, WarnSlots,
}

// LoadThreshold is how one condition of --fail-if came out.
type LoadThreshold struct {
	Condition string `json:"condition"`
	Value     string `json:"value"`
	Failed    bool   `json:"failed"`
}

// LoadSecond is what one second of a load test brought, or several that were
// merged so that long tests stay small; then times are those of the worst second.
type LoadSecond struct {
	At          time.Duration               `json:"at_ns"`
	Length      time.Duration               `json:"length_ns"`
	Due         uint64                      `json:"due"`
	Sent        uint64                      `json:"sent"`
	OK          uint64                      `json:"ok"`
	Failures    map[showdown.Failure]uint64 `json:"failures,omitempty"`
	Bytes       uint64                      `json:"bytes"`
	InFlight    int                         `json:"in_flight"`
	Connections int                         `json:"connections"`
	P50         time.Duration               `json:"p50_ns"`
	P99         time.Duration               `json:"p99_ns"`
	Max         time.Duration               `json:"max_ns"`
	LagP99      time.Duration               `json:"lag_p99_ns"`
	CPU         time.Duration               `json:"cpu_ns"`
}

// Rate is the good answers a second.
func (s *LoadSecond) Rate() showdown.Rate {
	return showdown.Rate(float64(s.OK) / max(s.Length, 1).Seconds())
}

// Failed is the number of requests that did not get a good answer.
func (s *LoadSecond) Failed() (n uint64) {
	for _, c := range s.Failures {
		n += c
	}
	return n
}

// Untrustworthy reports whether a warning says that the figures may not be what they seem.
func (t *LoadTest) Untrustworthy() bool {
	for i := range t.Warnings {
		if t.Warnings[i].Untrustworthy {
			return true
		}
	}
	return false
}

// WriteJSON writes the test as indented JSON that keeps to [LoadSchema].
func (t *LoadTest) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(t)
}
