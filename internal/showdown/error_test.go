package showdown

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestErrorfKeepsItsCause(t *testing.T) {
	err := Errorf(Environment, "look there", "open %s: %w", "record", fs.ErrNotExist)
	if err.Error() != "open record: file does not exist" || err.Code != Environment || err.Hint != "look there" {
		t.Errorf("got %+v", err)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
}

func TestErrorfKeepsTwoCauses(t *testing.T) {
	err := Errorf(Environment, "", "copy: %w, then %w", fs.ErrNotExist, fs.ErrPermission)
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%q has lost a cause", err)
	}
}

func TestUsageIsBadUsage(t *testing.T) {
	if err := Usage("hint", "no such thing"); err.Code != BadUsage || err.Hint != "hint" || err.Message != "no such thing" {
		t.Errorf("got %+v", err)
	}
}

func TestCodeOf(t *testing.T) {
	port := Errorf(Environment, "", "port in use")
	for _, c := range []struct {
		name string
		err  error
		want Code
	}{
		{"nil", nil, Done},
		{"foreign", errors.New("x"), Internal},
		{"own", port, Environment},
		{"wrapped", fmt.Errorf("start: %w", port), Environment},
		{"wrapped twice", fmt.Errorf("run: %w", fmt.Errorf("start: %w", port)), Environment},
		{"not wrapped", fmt.Errorf("start: %v", port), Internal},
		{"the outer one counts", Errorf(BadContender, "", "start: %w", port), BadContender},
		{"joined after a foreign one", errors.Join(errors.New("x"), port), Environment},
		{"the first of two joined", errors.Join(Errorf(Threshold, "", "slow"), port), Threshold},
		{"joined with nil", errors.Join(nil, port), Environment},
		{"nothing joined", errors.Join(nil, nil), Done},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%s: code %d, want %d", c.name, got, c.want)
		}
	}
}

func TestHintOf(t *testing.T) {
	inner := Errorf(Environment, "free the port", "port in use")
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"nil", nil, ""},
		{"foreign", errors.New("x"), ""},
		{"own", inner, "free the port"},
		{"none", Errorf(Internal, "", "x"), ""},
		{"wrapped", fmt.Errorf("start: %w", inner), "free the port"},
		{"below one without", Errorf(BadContender, "", "start: %w", inner), "free the port"},
		{"below two without", Errorf(BadContender, "", "run: %w", Errorf(BadContender, "", "start: %w", inner)), "free the port"},
		{"the nearest", Errorf(BadContender, "see the log", "start: %w", inner), "see the log"},
		{"below one without, then wrapped", Errorf(BadContender, "", "start: %w", fmt.Errorf("listen: %w", inner)), "free the port"},
		{"joined after a foreign one", errors.Join(errors.New("x"), inner), "free the port"},
		{"joined before a foreign one", errors.Join(inner, errors.New("x")), "free the port"},
		{"the first of two joined", errors.Join(Usage("a", "x"), Usage("b", "y")), "a"},
		{"joined below one without", Errorf(BadContender, "", "play: %w", errors.Join(errors.New("x"), inner)), "free the port"},
	} {
		if got := HintOf(c.err); got != c.want {
			t.Errorf("%s: hint %q, want %q", c.name, got, c.want)
		}
	}
}

// A bout joins what failed with what went wrong when it was stopped.
func TestHintOfLooksAtEveryJoinedError(t *testing.T) {
	if got := HintOf(errors.Join(Errorf(BadContender, "", "slow"), Usage("b", "y"))); got != "b" {
		t.Errorf("hint %q, want that of the second", got)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"gin", "express", "fastapi", "spring-boot", "go-nethttp"}
	for s, want := range map[string]string{
		"gin":                                  "gin",
		"gni":                                  "gin", // neighbours swapped
		"gn":                                   "gin",
		"ginn":                                 "gin",
		"go":                                   "",
		"node":                                 "",
		"":                                     "",
		"expres":                               "express",
		"epxress":                              "express",
		"expresso":                             "express",
		"exporess":                             "express",
		"fast-api":                             "fastapi",
		"fsatpai":                              "fastapi", // two swaps are two steps
		"fxxxapi":                              "",        // three of seven are more than a third
		"springboot":                           "spring-boot",
		"Spring-Boot":                          "spring-boot",
		"go-net-http":                          "go-nethttp",
		"a completely different and long name": "",
	} {
		if got := Nearest(s, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", s, got, want)
		}
	}
}

func TestNearestTakesTheCloserAndTheFirst(t *testing.T) {
	if got := Nearest("hono", []string{"honox2", "mono", "hona"}); got != "mono" {
		t.Errorf("of two at the same distance: %q, want the first", got)
	}
	if got := Nearest("express", []string{"expresso", "express"}); got != "express" {
		t.Errorf("%q is nearer than the same word", got)
	}
	if got := Nearest("gin", nil); got != "" {
		t.Errorf("%q out of nothing", got)
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "acb", 1},
		{"kitten", "sitting", 3},
		{"ca", "abc", 3}, // optimal string alignment; the unrestricted distance is 2
		{"abcd", "badc", 2},
	} {
		if got, back := editDistance(c.a, c.b), editDistance(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("%q to %q: %d, and back %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}
