package showdown

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rate is a number of events per second.
type Rate float64

// String gives three significant digits and a unit: "41.2k/s", "950/s".
func (r Rate) String() string { return Significant(float64(r)) + "/s" }

// ParseRate reads "2000", "2000/s", "2k", "1.5M/s" or "120/m" as events per second.
func ParseRate(s string) (Rate, error) {
	text, per := strings.TrimSpace(s), 1.0
	for suffix, seconds := range map[string]float64{"/s": 1, "/m": 60, "/h": 3600} {
		if t, ok := strings.CutSuffix(text, suffix); ok {
			text, per = t, seconds
			break
		}
	}
	scale := 1.0
	switch {
	case strings.HasSuffix(text, "k"):
		text, scale = text[:len(text)-1], 1e3
	case strings.HasSuffix(text, "M"):
		text, scale = text[:len(text)-1], 1e6
	}
	v, err := strconv.ParseFloat(text, 64)
	r := v * scale / per
	if err != nil || math.IsNaN(r) || r <= 0 || r > 1e9 {
		return 0, Usage("give a rate such as 2000, 2k/s or 90/m", "rate %q is not a positive number of requests", s)
	}
	return Rate(r), nil
}

// Bytes is an amount of memory or data.
type Bytes int64

// String gives the amount in binary steps with two to three digits: "31 MB".
func (b Bytes) String() string {
	v, units := float64(b), []string{"B", "kB", "MB", "GB", "TB"}
	i := 0
	for math.Abs(v) >= 999.5 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if i == 0 || math.Abs(v) >= 9.95 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// Significant writes a count with three significant digits and k or M: 950, 41.2k, 1.20M.
func Significant(v float64) string {
	unit := ""
	switch a := math.Abs(v); {
	case a >= 999_500:
		v, unit = v/1e6, "M"
	case a >= 999.5:
		v, unit = v/1e3, "k"
	}
	return threeDigits(v) + unit
}

// Millis writes a duration in milliseconds with three significant digits: "0.812", "61.2".
func Millis(d time.Duration) string { return threeDigits(float64(d) / 1e6) }

func threeDigits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95 || a == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
}

// Clock writes a duration for people waiting: "48 s", "6 min", "1 h 20 min".
func Clock(d time.Duration) string {
	switch {
	case d < 95*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 10*time.Minute:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	}
}

// Plural writes "1 bout", "3 bouts".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "s") {
		return strconv.Itoa(n) + " " + noun + "es"
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
