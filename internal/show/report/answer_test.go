package report

import (
	"strings"
	"testing"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// answers are what the edges come to, in the words that matter.
func TestAnswer(t *testing.T) {
	runs := edges()
	twins := invented(models[3:5], 5, false)
	twin := models[3]
	twin.name = "twin"
	drawn := invented([]model{models[3], twin, models[2]}, 5, false)
	for _, c := range []struct {
		name               string
		run                showdown.Run
		headline, runnerUp string
		reason             string
		reasons            int
	}{
		{"a winner", runs["whole"], "axum has the most capacity: 29.9k/s at p99 ≤ 50 ms", "go-nethttp and gin follow, tied (rank 2–3).", "axum serves 1.38–1.43× as much as go-nethttp (95% interval over 5 blocks).", 3},
		{"two tied", twins, "First place is undecided between go-nethttp and gin", "go-nethttp measured the most, 21.1k/s, but 5 blocks do not prove it.", "are not separated", 3},
		{"two tied and a third", drawn, "First place is undecided between", "fastapi comes next with", "are not separated", 3},
		{"one", runs["one contender"], "axum serves", "", "only one ranked", 2},
		{"one block", runs["one block"], "First place is undecided among 6 contenders", "axum measured the most, 29.4k/s, but 1 block does not prove it.", "one block tells nothing about chance", 3},
		{"all failed", runs["all failed"], "No contender could be ranked", "", "stopped 1.2 s after its start", 1},
		{"no capacity", runs["no capacity"], "No contender could be ranked", "", "no rate met the objective", 2},
		{"empty", runs["empty"], "No contender could be ranked", "", "", 0},
	} {
		a := document(t, c.run).Answer()
		if !strings.Contains(a.Headline, c.headline) {
			t.Errorf("%s: headline %q, want %q", c.name, a.Headline, c.headline)
		}
		if !strings.Contains(a.RunnerUp, c.runnerUp) || a.Change == "" {
			t.Errorf("%s: runner-up %q, want %q", c.name, a.RunnerUp, c.runnerUp)
		}
		if len(a.Reasons) != c.reasons || !strings.Contains(strings.Join(a.Reasons, "\n"), c.reason) {
			t.Errorf("%s: reasons %q, want %d with %q", c.name, a.Reasons, c.reasons, c.reason)
		}
	}
}
