package showdown

import (
	"errors"
	"fmt"
)

// Code says what kind of thing went wrong. It is also the exit status.
type Code int

// The exit statuses, as documented in the README.
const (
	Done          Code = 0   // it worked
	Internal      Code = 1   // a fault of Showdown's own
	BadUsage      Code = 2   // flags, names or configuration
	Environment   Code = 3   // a toolchain, a port, the disk
	BadContender  Code = 4   // a contender failed its build, health or contract
	Threshold     Code = 5   // a threshold or claim failed
	Regression    Code = 6   // slower than the baseline
	Untrustworthy Code = 7   // noise, or the generator was the limit
	Interrupted   Code = 130 // stopped by the user, everything finished is saved
)

// Error is broken work: what was being done, why it failed and what may help.
// A failed request is not an Error but a [Failure]; a doubt is a [Warning].
type Error struct {
	Code    Code
	Message string // whole, lower case, verb and object first: `start contender "gin": port 8080 in use`
	Hint    string // what the reader may do next, or empty
	Err     error  // for errors.Is and errors.As, or nil; Message already tells it
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error. What a %w in format wraps stays reachable.
func Errorf(code Code, hint, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Hint: hint, Err: err}
}

// Usage is an Error about flags, names or configuration.
func Usage(hint, format string, args ...any) *Error {
	return Errorf(BadUsage, hint, format, args...)
}

// CodeOf finds the exit status that err asks for.
func CodeOf(err error) Code {
	if err == nil {
		return Done
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// HintOf finds the nearest hint in err's chain, or "".
func HintOf(err error) string {
	if e, ok := err.(*Error); ok && e.Hint != "" {
		return e.Hint
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return HintOf(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, joined := range e.Unwrap() {
			if h := HintOf(joined); h != "" {
				return h
			}
		}
	}
	return ""
}

// Nearest finds the candidate that s was most likely meant to be: the one at the
// smallest edit distance, when that is at most a third of its length and at
// least one; else "".
func Nearest(s string, candidates []string) string {
	best, bestDistance := "", -1
	for _, c := range candidates {
		d := editDistance(s, c)
		if d <= max(1, len(c)/3) && (bestDistance < 0 || d < bestDistance) {
			best, bestDistance = c, d
		}
	}
	return best
}

// Suggest is a hint for an unknown word: the nearest known one, if there is one,
// and then all, which says what the known ones are.
func Suggest(word string, known []string, all string) string {
	if near := Nearest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?   %s", near, all)
	}
	return all
}

// editDistance is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours each cost one.
func editDistance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
