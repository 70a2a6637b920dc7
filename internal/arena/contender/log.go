package contender

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"unicode"
)

const (
	logHead  = 1 << 20
	logTail  = 64 << 10
	logFlood = 16 << 20
)

// boundedLog is a log file that keeps the first logHead and the last logTail
// bytes of what is written to it. The end is written by Close.
type boundedLog struct {
	mu    sync.Mutex
	file  *os.File
	total int64
	tail  []byte // what came after the head, at most twice logTail
}

func newBoundedLog(path string) (*boundedLog, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	return &boundedLog{file: f}, nil
}

// Write never fails: a full disk must not stop the contender.
func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	head := p[:max(0, min(int64(len(p)), logHead-l.total))]
	_, _ = l.file.Write(head)
	l.total += int64(len(p))
	l.tail = append(l.tail, p[len(head):]...)
	if len(l.tail) > 2*logTail {
		l.tail = append(l.tail[:0], l.tail[len(l.tail)-logTail:]...)
	}
	return len(p), nil
}

// Total is the number of bytes written so far.
func (l *boundedLog) Total() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// Close writes the tail, after a line that says how much is left out.
func (l *boundedLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	tail := l.tail[max(0, len(l.tail)-logTail):]
	if out := l.total - logHead - int64(len(tail)); out > 0 {
		fmt.Fprintf(l.file, "\n[showdown: %d bytes left out]\n", out)
	}
	_, _ = l.file.Write(tail)
	return l.file.Close()
}

// tailOf gives the last n lines of a log, safe to print.
func tailOf(path string, n int) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	data := make([]byte, min(info.Size(), logTail))
	read, _ := f.ReadAt(data, info.Size()-int64(len(data)))
	lines := strings.Split(strings.TrimRight(printable(string(data[:read])), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// printable removes what could do something to a terminal: colours, control
// characters, broken UTF-8.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(plain(text), "�"))
}
