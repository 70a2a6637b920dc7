package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// screen is where progress goes: on a terminal one line that is rewritten in
// place, elsewhere only what is said for good. It is safe for concurrent use.
type screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	width    int
	colour   bool
	shown    bool // a status line stands
	drawn    time.Time
}

func (a *app) newScreen() *screen {
	s := &screen{out: a.stderr, width: 80}
	if fd, ok := terminalOf(a.stderr); ok && os.Getenv("TERM") != "dumb" {
		s.terminal, s.colour = true, !a.noColour
		if w, _, err := term.GetSize(fd); err == nil && w > 0 {
			s.width = w
		}
	}
	return s
}

// terminalOf finds the descriptor of a stream that is a terminal.
func terminalOf(stream any) (int, bool) {
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}

// say prints a line for good.
func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// status rewrites the line in place, at most ten times a second. Off a terminal
// it does nothing.
func (s *screen) status(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal || s.shown && time.Since(s.drawn) < 100*time.Millisecond {
		return
	}
	s.wipe()
	fmt.Fprint(s.out, cut(printable(fmt.Sprintf(format, args...)), s.width-1))
	s.shown, s.drawn = true, time.Now()
}

// clear removes the status line.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
}

func (s *screen) wipe() {
	if s.shown {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.shown = false
	}
}

// dim greys text out where there are colours.
func (s *screen) dim(text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[2m" + text + "\x1b[0m"
}

// printable drops control characters: build tools and contenders are untrusted.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, text)
}

// cut shortens text to at most width characters.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	runes := []rune(text)
	return string(runes[:max(0, width-1)]) + "…"
}
