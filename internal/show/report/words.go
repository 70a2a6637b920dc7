package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/backend-showdown/showdown/internal/decide/rank"
	"github.com/backend-showdown/showdown/internal/decide/stats"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// none stands where a figure was not measured.
const none = "–"

// scenario writes "REST API (json)".
func scenario(p *showdown.Plan) string {
	if p.Title == "" {
		return p.Scenario
	}
	return fmt.Sprintf("%s (%s)", p.Title, p.Scenario)
}

// objective writes "p99 ≤ 50 ms".
func objective(o showdown.Objective) string {
	return fmt.Sprintf("%s ≤ %s ms", quantile(o.Quantile), trim(o.Latency.Seconds()*1e3))
}

// quantile writes 0.999 as "p99.9".
func quantile(q float64) string { return "p" + trim(100*q) }

// trim writes a number with no more digits than it needs, six at most.
func trim(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// millis writes seconds as "0.812 ms".
func millis(seconds float64) string { return bareMillis(seconds) + " ms" }

// bareMillis writes seconds as "0.812".
func bareMillis(seconds float64) string {
	return showdown.Millis(time.Duration(seconds * 1e9))
}

// percent writes 0.0021 as "0.2%".
func percent(share float64) string {
	if share >= 0.0995 {
		return fmt.Sprintf("%.0f%%", 100*share)
	}
	return fmt.Sprintf("%.1f%%", 100*share)
}

// plusMinus writes an interval's half width, "±2.1%".
func plusMinus(i stats.Interval) string {
	if !i.Known() {
		return none
	}
	return "±" + percent(i.HalfWidth())
}

// figure writes an interval's estimate, or a dash if there is none.
func figure(i stats.Interval, write func(float64) string) string {
	if i.N == 0 {
		return none
	}
	return write(i.Mid)
}

// bounds writes an interval's limits, "1.20–1.31 ms" with the caller's unit.
func bounds(i stats.Interval, write func(float64) string) string {
	if !i.Known() {
		return none
	}
	return write(i.Lo) + "–" + write(i.Hi)
}

func rate(v float64) string { return showdown.Rate(v).String() }

func memory(v float64) string { return showdown.Bytes(v).String() }

// meanPeak writes "12/14 MB".
func meanPeak(c *rank.Costs) string {
	if c.MemoryMean.N == 0 {
		return none
	}
	mean, unit, _ := strings.Cut(memory(c.MemoryMean.Mid), " ")
	peak := c.MemoryPeak.String()
	if !strings.HasSuffix(peak, " "+unit) {
		mean += " " + unit
	}
	return mean + "/" + peak
}

// ranks writes the ranks that the evidence allows: "1", "2–3", or a dash.
func ranks(s *rank.Standing) string {
	switch {
	case !s.Ranked():
		return none
	case s.First == s.Last:
		return strconv.Itoa(s.First)
	default:
		return fmt.Sprintf("%d–%d", s.First, s.Last)
	}
}

// count writes 1234567 as "1,234,567".
func count[N int | uint64](n N) string {
	digits := strconv.FormatUint(uint64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// versions writes "Go 1.26.1, gin 1.11.0".
func versions(c *showdown.Contender) string {
	parts := make([]string, len(c.Versions))
	for i, v := range c.Versions {
		parts[i] = v.Name + " " + v.Version
	}
	return strings.Join(parts, ", ")
}
