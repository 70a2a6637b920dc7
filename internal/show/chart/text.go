package chart

import (
	"strings"
	"unicode"
)

// Sizes of type in the drawing's units, as chart.css sets them.
const (
	textSize = 13.0
	tickSize = 12.0
)

// widthOf guesses how wide s is drawn, from above.
func widthOf(s string, size float64) float64 {
	w := 0.0
	for _, r := range s {
		switch {
		case r >= 0x1100:
			w += 1.1
		case strings.ContainsRune("mwMW@%—…", r):
			w += 1
		case strings.ContainsRune("ijlfrtI.,:;|!'-()[]/ ", r):
			w += .42
		case unicode.IsUpper(r) || strings.ContainsRune("≤≥×+<>=~", r):
			w += .84
		default:
			w += .65
		}
	}
	return w * size
}

// fit shortens s until it is at most wide, with an ellipsis for what is missing.
func fit(s string, size, wide float64) string {
	s = printable(s)
	if widthOf(s, size) <= wide {
		return s
	}
	runes := []rune(s)
	for len(runes) > 1 && widthOf(string(runes)+"…", size) > wide {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ") + "…"
}

// printable replaces what XML forbids or what would turn the text's direction.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
