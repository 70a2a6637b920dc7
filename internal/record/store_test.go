package record

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backend-showdown/showdown/internal/showdown"
)

func open(t *testing.T, file string) *Store {
	t.Helper()
	s, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRun(id string, started time.Time) showdown.Run {
	return showdown.Run{ID: id, Status: showdown.Running, Started: started}
}

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// sampleRun has something in every field.
func sampleRun() showdown.Run {
	return showdown.Run{
		ID: "20261103-120000", Status: showdown.Running, Started: noon.Add(123456789), Finished: noon.Add(time.Hour), Command: []string{"showdown", "run", `--note="ü"`},
		Plan: showdown.Plan{
			Preset: "quick", Scenario: "json", Title: "JSON over HTTP", Objective: showdown.Objective{Quantile: 0.99, Latency: 50 * time.Millisecond, ErrorRate: 0.001},
			Contenders: []string{"gin", "express"}, Blocks: 5, Seed: 1<<64 - 1, Timing: showdown.Timing{Warmup: 1, Probe: 2, Measure: 3},
			Cores: showdown.CPUPlan{Contender: []int{0}, Generator: []int{1}, Shared: true}, Connection: showdown.Connections{Open: 64, Max: 512},
		},
		Machine:    showdown.Machine{OS: "Linux", Kernel: "6.18", Arch: "amd64", CPU: "x", CPUs: 2, Memory: 1 << 33, Virtual: true, Showdown: "v0"},
		Contenders: []showdown.Contender{{Name: "gin", Title: "Gin", Versions: []showdown.Version{{Role: "runtime", Name: "Go", Version: "1.26"}}, Notes: []showdown.Note{{Text: "n", Link: "l"}}}},
		Skipped:    []showdown.Skipped{{Name: "express", Reason: "no node", Remedy: "install it"}},
	}
}

// sampleBout is the k-th bout of a run, with histograms that k decides.
func sampleBout(k int) showdown.Bout {
	rng := rand.New(rand.NewPCG(1, uint64(k)))
	b := showdown.Bout{
		Contender: fmt.Sprintf("contender-%d", k%3), Scenario: "json", Phase: showdown.Block, Block: 1 + k/3, Slot: k % 3,
		Started: noon.Add(time.Duration(k) * time.Minute), Took: time.Minute + time.Duration(k), Ready: 12345678, Capacity: showdown.Rate(1234.5678901234567 + float64(k)),
		Warnings: []showdown.Warning{{Kind: showdown.WarnSteal, Text: "the hypervisor took 3%"}},
	}
	for i, kind := range []showdown.WindowKind{showdown.Warmup, showdown.Probe, showdown.AtCapacity, showdown.AtCommon} {
		w := showdown.Window{
			Kind: kind, Offered: showdown.Rate(0.1 + float64(i)), Length: time.Second, Met: i%2 == 0, GeneratorBusy: 1.0 / 3,
			Load: showdown.Load{
				Due: 1<<63 + uint64(k), Sent: 9, OK: 8, Failures: map[showdown.Failure]uint64{showdown.FailReset: 1, showdown.FailBody: 2}, Verified: 7, Bytes: 1 << 40,
				Latency: showdown.Latency{P50: 1, P90: 2, P95: 3, P99: 4, P999: 5, Max: 6, Mean: 7}, LagP99: 8, Aborted: i == 1,
			},
			Cost:    showdown.Cost{CPU: 1, MemoryMean: 2, MemoryPeak: 3, MemoryKind: "PSS", Processes: 4},
			Climate: showdown.Climate{Steal: 0.1, Pressure: 0.2, Foreign: 0.3},
		}
		if i != 1 { // a window without a histogram must not shift the others
			w.Histo = make([]byte, 4000)
			for j := range w.Histo {
				w.Histo[j] = byte(rng.Uint32())
			}
		}
		b.Windows = append(b.Windows, w)
	}
	return b
}

func TestARunReadsBackAsItWasStored(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new folder", "showdown.db")
	s, run := open(t, file), sampleRun()
	check(t, s.Create(t.Context(), run))
	failed := showdown.Bout{Contender: "express", Phase: showdown.Scout, Failure: &showdown.BoutFailure{Reason: "exited", Hint: "h", Tail: "a\nb\x00c", Log: "/tmp/x"}}
	run.Bouts = []showdown.Bout{failed, sampleBout(5), sampleBout(1), sampleBout(2)}
	for _, b := range run.Bouts {
		check(t, s.Add(t.Context(), run.ID, b))
	}
	want := func(s *Store) {
		t.Helper()
		got, err := s.Run(t.Context(), run.ID)
		check(t, err)
		if diff := cmp.Diff(run, got); diff != "" {
			t.Errorf("run (-stored +read):\n%s", diff)
		}
	}
	want(s)
	run.Status, run.Skipped = showdown.Over, nil
	check(t, s.Update(t.Context(), run))
	want(s)
	check(t, s.Close())
	want(open(t, file))
}

func TestAFreshRunHasNoBouts(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "r.db"))
	check(t, s.Create(t.Context(), newRun("a", noon)))
	if run, err := s.Run(t.Context(), "a"); err != nil || len(run.Bouts) != 0 {
		t.Errorf("%+v, %v", run, err)
	}
}

func TestABoutIsStoredOnce(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "r.db"))
	check(t, s.Create(t.Context(), newRun("a", noon)))
	check(t, s.Create(t.Context(), newRun("b", noon)))
	first, again := sampleBout(0), sampleBout(0)
	again.Capacity, again.Slot = 1, 2
	check(t, s.Add(t.Context(), "a", first))
	if err := s.Add(t.Context(), "a", again); err == nil || !strings.Contains(err.Error(), first.Contender) {
		t.Errorf("the same bout twice: error %v, want one that names %s", err, first.Contender)
	}
	other := first
	other.Phase = showdown.Scout
	check(t, s.Add(t.Context(), "a", other))
	check(t, s.Add(t.Context(), "b", first))
	run, err := s.Run(t.Context(), "a")
	check(t, err)
	if diff := cmp.Diff([]showdown.Bout{first, other}, run.Bouts); diff != "" {
		t.Errorf("bouts (-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeStored(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "r.db"))
	check(t, s.Create(t.Context(), newRun("a", noon)))
	if err := s.Create(t.Context(), newRun("a", noon)); err == nil || !strings.Contains(err.Error(), "store run a") {
		t.Errorf("a second run of the same name: %v", err)
	}
	if err := s.Add(t.Context(), "nobody's", sampleBout(0)); err == nil {
		t.Error("a bout of no run was stored")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Add(ended, "a", sampleBout(0)); err == nil {
		t.Error("a bout was stored after the end")
	}
	if run, err := s.Run(t.Context(), "a"); err != nil || len(run.Bouts) != 0 {
		t.Errorf("left %d bouts, %v", len(run.Bouts), err)
	}
}

func ids(t *testing.T, s *Store) (ids string) {
	t.Helper()
	runs, err := s.Runs(t.Context())
	check(t, err)
	for _, r := range runs {
		ids += r.Run.ID
	}
	return ids
}

func TestRunsAreListedNewestFirst(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "r.db"))
	if got := ids(t, s); got != "" {
		t.Errorf("runs %q in a new record", got)
	}
	for id, after := range map[string]time.Duration{"b": time.Hour, "a": 3 * time.Hour, "c": 2 * time.Hour, "d": 2 * time.Hour} {
		check(t, s.Create(t.Context(), newRun(id, noon.Add(after))))
	}
	check(t, s.Add(t.Context(), "c", sampleBout(0)))
	check(t, s.Add(t.Context(), "c", sampleBout(1)))
	if got := ids(t, s); got != "adcb" {
		t.Errorf("runs in the order %q, want a d c b", got)
	}
	runs, err := s.Runs(t.Context())
	check(t, err)
	for _, r := range runs {
		if want := map[string]int{"c": 2}[r.Run.ID]; r.Bouts != want || r.Run.Bouts != nil {
			t.Errorf("run %s has %d bouts, want %d and none of them read", r.Run.ID, r.Bouts, want)
		}
	}
}

func TestRunsOfOneSecondAndOfTwoTimeZonesAreInOrder(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "r.db"))
	east := time.FixedZone("east", 5*3600)
	for id, at := range map[string]time.Time{"a": noon, "b": noon.Add(500 * time.Millisecond), "c": noon.Add(520 * time.Millisecond), "d": noon.Add(time.Second), "0": noon.Add(-time.Second).In(east)} {
		check(t, s.Create(t.Context(), newRun(id, at)))
	}
	if got := ids(t, s); got != "dcba0" {
		t.Errorf("runs in the order %q, want d c b a 0", got)
	}
}

func TestLatest(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "r.db"))
	for i, id := range []string{"old", "middle", "new"} {
		run := newRun(id, noon.Add(time.Duration(i)*time.Hour))
		if id == "new" {
			run.Status = showdown.Over
		}
		check(t, s.Create(t.Context(), run))
	}
	for _, c := range []struct {
		name, want string
		keep       func(showdown.Run) bool
	}{
		{"any", "new", func(showdown.Run) bool { return true }},
		{"unfinished", "middle", func(r showdown.Run) bool { return r.Status == showdown.Running }},
		{"none", "", func(showdown.Run) bool { return false }},
	} {
		if id, ok, err := s.Latest(t.Context(), c.keep); id != c.want || ok != (c.want != "") || err != nil {
			t.Errorf("%s: %q, %v, %v, want %q", c.name, id, ok, err, c.want)
		}
	}
}

func TestAnUnknownRunIsAUsageError(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "r.db"))
	_, err := s.Run(t.Context(), "nonsense")
	if showdown.CodeOf(err) != showdown.BadUsage || !strings.Contains(err.Error(), `"nonsense"`) || !strings.Contains(showdown.HintOf(err), "showdown runs") {
		t.Errorf("error %v of code %d with hint %q", err, showdown.CodeOf(err), showdown.HintOf(err))
	}
}

// raw runs SQL past the store.
func raw(t *testing.T, file, text string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file)
	check(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), text)
	check(t, err)
}

func wantEnvironment(t *testing.T, what, file string, words ...string) {
	t.Helper()
	s, err := Open(t.Context(), file)
	if err == nil {
		s.Close()
		t.Errorf("%s: opened", what)
		return
	}
	if showdown.CodeOf(err) != showdown.Environment || showdown.HintOf(err) == "" {
		t.Errorf("%s: error %q of code %d with hint %q, want code %d and some hint", what, err, showdown.CodeOf(err), showdown.HintOf(err), showdown.Environment)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %q lacks %q", what, err, w)
		}
	}
}

func TestARecordOfANewerVersionIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.db")
	s := open(t, file)
	check(t, s.Create(t.Context(), newRun("a", noon)))
	check(t, s.Close())
	raw(t, file, "PRAGMA user_version = 1000")
	wantEnvironment(t, "newer", file, file, "newer Showdown", "1000")
	raw(t, file, "PRAGMA user_version = 1")
	if got := ids(t, open(t, file)); got != "a" {
		t.Errorf("the refusal left runs %q, want a", got)
	}
}

func TestWhatIsNoRecordIsRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		check(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	letter := file("letter.db", strings.Repeat("Dear reader, this is no record. ", 1000))
	wantEnvironment(t, "a letter", letter, letter, "not a database")
	wantEnvironment(t, "a short letter", file("short.db", "hello"), "short.db")
	wantEnvironment(t, "a folder", dir, dir)
	wantEnvironment(t, "a folder that is a file", filepath.Join(letter, "showdown.db"), "letter.db")
	foreign := filepath.Join(dir, "foreign.db")
	raw(t, foreign, "CREATE TABLE runs (miles REAL)")
	wantEnvironment(t, "someone else's database", foreign, foreign, "runs")
}

// What cannot be read is an error, and never a run with fewer bouts.
func TestADamagedRecordIsNotReadHalf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.db")
	s := open(t, file)
	check(t, s.Create(t.Context(), newRun("a", noon)))
	for k := range 6 {
		check(t, s.Add(t.Context(), "a", sampleBout(k)))
	}
	check(t, s.Close()) // moves the log into the file
	whole, err := os.ReadFile(file)
	check(t, err)
	for name, damage := range map[string]func([]byte) []byte{
		"cut":         func(b []byte) []byte { return b[:len(b)/2] },
		"overwritten": func(b []byte) []byte { clear(b[4096:]); return b },
	} {
		damaged := filepath.Join(t.TempDir(), name+".db")
		check(t, os.WriteFile(damaged, damage([]byte(string(whole))), 0o644))
		s, err := Open(t.Context(), damaged)
		if err == nil {
			_, err = s.Run(t.Context(), "a")
			s.Close()
		}
		if err == nil {
			t.Errorf("%s: read as if it were whole", name)
		}
	}
	for name, text := range map[string]string{
		"a run":                   "UPDATE runs SET document = '{'",
		"a bout":                  "UPDATE bouts SET document = '' WHERE id = 2",
		"a histogram's window":    "UPDATE histograms SET position = 99 WHERE bout = 1 AND position = 0",
		"a histogram's window, 2": "UPDATE histograms SET position = -1 WHERE bout = 1 AND position = 0",
	} {
		damaged := filepath.Join(t.TempDir(), "r.db")
		check(t, os.WriteFile(damaged, whole, 0o644))
		raw(t, damaged, text)
		if _, err := open(t, damaged).Run(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "run a") {
			t.Errorf("%s: error %v, want one that names run a", name, err)
		}
	}
}

func TestAnyFileName(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, file := range []string{"plain.db", "with space.db", "a?b=c&d.db", "50%.db", "%41.db", "ü#1.db", "folder:x/r.db", filepath.Join(t.TempDir(), "ab?s%20.db")} {
		s := open(t, file)
		check(t, s.Create(t.Context(), newRun("a", noon)))
		check(t, s.Close())
		if _, err := os.Stat(file); err != nil {
			t.Errorf("the record is not where it should be: %v", err)
		}
		if got := ids(t, open(t, file)); got != "a" {
			t.Errorf("%s: runs %q, want a", file, got)
		}
	}
}

func TestTwoStoresOnOneFile(t *testing.T) {
	const each = 15
	file := filepath.Join(t.TempDir(), "r.db")
	stores := []*Store{open(t, file), open(t, file)}
	check(t, stores[0].Create(t.Context(), newRun("a", noon)))
	var together sync.WaitGroup
	for i, s := range stores {
		together.Go(func() {
			for k := range each {
				if err := s.Add(t.Context(), "a", sampleBout(2*k+i)); err != nil {
					t.Error(err)
				}
				if _, err := s.Run(t.Context(), "a"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	together.Wait()
	for i, s := range stores {
		run, err := s.Run(t.Context(), "a")
		check(t, err)
		wantWhole(t, run.Bouts)
		if len(run.Bouts) != 2*each {
			t.Errorf("store %d reads %d bouts, want %d", i, len(run.Bouts), 2*each)
		}
	}
}

func TestTwoStoresMakeOneFile(t *testing.T) {
	for range 20 {
		file := filepath.Join(t.TempDir(), "r.db")
		var together sync.WaitGroup
		for range 2 {
			together.Go(func() {
				s, err := Open(t.Context(), file)
				if err != nil {
					t.Error(err)
					return
				}
				s.Close()
			})
		}
		if together.Wait(); t.Failed() {
			return
		}
	}
}

// wantWhole wants bouts to be as sampleBout made them.
func wantWhole(t *testing.T, bouts []showdown.Bout) {
	t.Helper()
	for _, b := range bouts {
		k := 3*(b.Block-1) + b.Slot
		if diff := cmp.Diff(sampleBout(k), b); diff != "" {
			t.Errorf("bout %d (-stored +read):\n%s", k, diff)
		}
	}
}
