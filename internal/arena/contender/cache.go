package contender

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

const (
	markerName   = ".showdown-prepared.json"
	keptBuilds   = 2
	lockInterval = 100 * time.Millisecond
)

// marker makes a folder of the cache ours. It is written twice: first to claim the
// folder, so that an unfinished build can be removed, and last, with the time when
// it was built, to commit it. It remembers the folder's path, because virtual
// environments of Python and others do not survive a move.
type marker struct {
	Dir      string             `json:"dir"`
	Hash     string             `json:"hash"`
	Built    time.Time          `json:"built,omitzero"` // zero in an unfinished build
	Versions []showdown.Version `json:"versions,omitempty"`
}

// CacheDir is where contenders are built: $SHOWDOWN_CACHE/contenders, or below
// the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("SHOWDOWN_CACHE"); dir != "" {
		return filepath.Abs(filepath.Join(dir, "contenders"))
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", showdown.Errorf(showdown.Environment, "set SHOWDOWN_CACHE to a folder", "find the cache folder: %w", err)
	}
	return filepath.Join(dir, "showdown", "contenders"), nil
}

func (m marker) finished() bool { return !m.Built.IsZero() }

// readMarker gives the marker of one of our folders.
func readMarker(dir string) (marker, bool) {
	var m marker
	data, err := os.ReadFile(filepath.Join(dir, markerName))
	if err != nil || json.Unmarshal(data, &m) != nil {
		return marker{}, false
	}
	return m, m.Dir == dir
}

// writeMarker writes a marker whole or not at all.
func writeMarker(dir string, m marker) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	unfinished := filepath.Join(dir, markerName+".new")
	if err := os.WriteFile(unfinished, data, 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, filepath.Join(dir, markerName))
}

// lock waits until no other Showdown builds the contender of that name, and calls
// waiting if it has to. Closing the file, also by dying, unlocks it.
func lock(ctx context.Context, cache, name string, waiting func()) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(cache, name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for first := true; !tryLock(f, exclusive); first = false {
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(lockInterval):
		}
	}
	return f, nil
}

// hold keeps a prepared folder from being pruned by another Showdown, for as long
// as the file is open.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(filepath.Join(dir, markerName))
	if err != nil {
		return nil, err
	}
	tryLock(f, shared) // where files cannot be locked, nothing is pruned either
	return f, nil
}

// prune removes builds of the contender of that name, but the newest ones and
// those in use. The caller holds the name's lock, so that nobody else is at an
// unfinished one.
func prune(cache, name string) {
	var builds []marker
	entries, _ := os.ReadDir(cache)
	for _, e := range entries {
		folder, isLog := strings.CutSuffix(e.Name(), ".log")
		if !isBuildOf(folder, name) {
			continue
		}
		dir := filepath.Join(cache, folder)
		if m, ok := readMarker(dir); ok && !isLog {
			builds = append(builds, m)
		} else if _, err := os.Lstat(dir); isLog && errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(dir + ".log") // of a build that failed
		}
	}
	slices.SortFunc(builds, func(a, b marker) int { return b.Built.Compare(a.Built) })
	for i, m := range builds {
		if i >= keptBuilds || !m.finished() {
			removeUnused(m.Dir)
		}
	}
}

func removeUnused(dir string) {
	f, err := os.Open(filepath.Join(dir, markerName))
	if err != nil {
		return
	}
	defer f.Close()
	if tryLock(f, exclusive) && removeTree(dir) == nil {
		_ = os.Remove(dir + ".log")
	}
}

// isBuildOf reports whether folder is name, a dash and a short hash.
func isBuildOf(folder, name string) bool {
	short, ok := strings.CutPrefix(folder, name+"-")
	return ok && len(short) == shortHash && strings.Trim(short, "0123456789abcdef") == ""
}

// removeTree removes dir, including folders that are read-only, as in Go's
// module cache.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_ = os.Chmod(path, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
