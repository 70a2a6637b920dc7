package chart

import (
	"strings"
	"unicode"
	"unicode/utf8"
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
		w += advance(r)
	}
	return w * size
}

// advance is how far r moves on, in parts of the type's size.
func advance(r rune) float64 {
	switch {
	case r >= 0x1100:
		return 1.1
	case strings.ContainsRune("mwMW@%—…", r):
		return 1
	case strings.ContainsRune("ijlfrtI.,:;|!'-()[]/ ", r):
		return .42
	case unicode.IsUpper(r) || strings.ContainsRune("≤≥×+<>=~", r):
		return .84
	}
	return .65
}

// fit shortens s until it is at most wide, with an ellipsis for what is missing.
// At least one character stays.
func fit(s string, size, wide float64) string {
	s = printable(s)
	if widthOf(s, size) <= wide {
		return s
	}
	end, w := 0, 0.0
	for i, r := range s {
		w += advance(r)
		if i > 0 && (w+advance('…'))*size > wide {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	return strings.TrimRight(s[:end], " ") + "…"
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
