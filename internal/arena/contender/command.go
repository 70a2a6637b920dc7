package contender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const maxAnswer = 64 << 10

// capture runs a short command and gives its whole output, standard error last.
// The error is short and for people; it wraps exec.ErrNotFound where it fits.
func capture(ctx context.Context, dir string, argv []string) (string, error) {
	cmd, err := command(ctx, dir, argv)
	if err != nil {
		return "", err
	}
	var out, complaints limited
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	text := out.String() + complaints.String()
	switch {
	case ctx.Err() != nil:
		return text, fmt.Errorf("%s did not end in time", display(argv))
	case err != nil:
		return text, fmt.Errorf("%s failed: %w%s", display(argv), err, firstLine(": ", text))
	}
	return text, nil
}

// command prepares argv to run in dir with a build's environment, in a process
// group that is killed as one when ctx ends.
func command(ctx context.Context, dir string, argv []string) (*exec.Cmd, error) {
	program, err := programPath(dir, argv[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	cmd.Dir, cmd.Env = dir, buildEnviron()
	cmd.WaitDelay = time.Second
	ownGroup(cmd)
	return cmd, nil
}

// programPath finds what argv[0] means: a program of the folder where it has a
// slash, else one on the PATH that contenders get.
func programPath(dir, name string) (string, error) {
	if strings.ContainsAny(name, `/\`) {
		return exec.LookPath(filepath.Join(dir, name))
	}
	return lookPath(name)
}

func lookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(searchPath()) {
		if !filepath.IsAbs(dir) {
			continue
		}
		found, err := exec.LookPath(filepath.Join(dir, name))
		if err == nil {
			return found, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrPermission) {
			return "", err
		}
	}
	return "", fmt.Errorf("%q: %w on the PATH", name, errNotFound)
}

var errNotFound = errors.New("not found")

// neutralDir is a folder without go.mod, .python-version and the like.
func neutralDir() string { return filepath.VolumeName(os.TempDir()) + string(filepath.Separator) }

// limited keeps the first maxAnswer bytes and swallows the rest.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxAnswer - l.Len(); room > 0 {
		l.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// readFull reads until p is full or r ends.
func readFull(r io.Reader, p []byte) (int, error) {
	n, err := io.ReadFull(r, p)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func firstLine(before, text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(printable(line)); line != "" {
			return before + line
		}
	}
	return ""
}
