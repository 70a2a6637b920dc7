package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backend-showdown/showdown/internal/arena/contender"
	"github.com/backend-showdown/showdown/internal/show/report"
)

// requireAll is set where nothing may be missing.
var requireAll = os.Getenv("SHOWDOWN_REQUIRE_ALL") == "1"

// buildable are the names of the repository's contenders that this machine can build.
func buildable(t *testing.T) []string {
	t.Helper()
	root, err := contender.Find(".")
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := contender.List(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range manifests {
		missing := m.Missing(t.Context())
		switch {
		case len(missing) == 0:
			names = append(names, m.Name)
		case requireAll:
			t.Errorf("%s cannot be built: %+v", m.Name, missing)
		default:
			t.Logf("skipping %s: %s %s; showdown doctor says how to get it", m.Name, missing[0].Tool, missing[0].Reason)
		}
	}
	return names
}

// The real contenders keep the contract, and the main job works with them from
// the build to the report. Builds are cached as for a user.
func TestRealContenders(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs real backends")
	}
	names := buildable(t)
	if len(names) == 0 {
		t.Skip("no contender can be built here; showdown doctor says what is missing")
	}
	for _, name := range names {
		status, out, problems := invoke("verify", name)
		if status != 0 || !strings.Contains(out, "✓ "+name) {
			t.Errorf("verify %s: status %d\n%s%s", name, status, out, problems)
		}
	}
	if t.Failed() {
		return
	}

	dir := filepath.Join(t.TempDir(), "out")
	args := append([]string{"run", "--out", dir, "--blocks=2", "--warmup=300ms", "--probe=250ms", "--measure=400ms"}, names...)
	cmd, out := program(t, ".", args...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("run: %v\n%s", err, out)
	}
	status, text, problems := invoke("report", "--out", dir, "--format", "json")
	var d report.Document
	if err := json.Unmarshal([]byte(text), &d); status != 0 || err != nil {
		t.Fatalf("report: status %d, %v\n%s", status, err, problems)
	}
	if len(d.Ranking.Standings) != len(names) || len(d.Run.Bouts) != 3*len(names) {
		t.Errorf("%d standings and %d bouts of %d contenders", len(d.Ranking.Standings), len(d.Run.Bouts), len(names))
	}
	for i := range d.Ranking.Standings {
		s := &d.Ranking.Standings[i]
		if !s.Ranked() || s.Capacity.Mid < 10 || s.Common.CPUPerRequest.Mid <= 0 || s.Loaded.MemoryPeak < 1<<20 || s.Common.P99.Mid <= 0 {
			t.Errorf("%s: %+v", s.Contender, *s)
		}
	}
	if d.Conditions.Verified == 0 || d.Conditions.Wrong != 0 {
		t.Errorf("verified %d answers, %d wrong", d.Conditions.Verified, d.Conditions.Wrong)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*", "report.html")); len(found) != 1 {
		t.Errorf("reports: %v", found)
	}
}
