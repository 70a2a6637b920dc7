package contender

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/backend-showdown/showdown/internal/showdown"
)

const (
	maxSourceFiles = 20_000
	maxSourceBytes = 256 << 20
)

// Results of builds are not source. The first ones are known by their name alone,
// the others only at the top, where no source of a library of that name can be.
var (
	builtAnywhere = []string{"node_modules", "__pycache__"}
	builtAtTop    = []string{"bin", "dist", "target", "venv"}
)

// Hidden files are editors', version control's or secrets, except for these, which
// choose versions and configure package managers.
var keptHidden = []string{
	".npmrc", ".node-version", ".nvmrc", ".yarnrc.yml", ".python-version", ".ruby-version", ".php-version",
	".java-version", ".tool-versions", ".mvn", ".cargo", ".bundle",
}

// source is what a contender's folder holds that a build needs.
type source struct {
	root  *os.Root
	paths []string // with slashes, parents before children
}

// openSource lists the source in dir. It refuses links that leave the folder, and
// what is no file, folder or link. The caller closes root.
func openSource(name, dir string) (*source, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, showdown.Errorf(showdown.Environment, "", "read source of %s: %w", name, err)
	}
	s := &source{root: root}
	if err := s.list(); err != nil {
		root.Close()
		if _, known := errors.AsType[*showdown.Error](err); known {
			return nil, err
		}
		return nil, showdown.Errorf(showdown.Environment, "", "read source of %s: %w", name, err)
	}
	return s, nil
}

func (s *source) list() error {
	var total int64
	return fs.WalkDir(s.root.FS(), ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if file == "." {
			return nil
		}
		if leftOut(file, entry.IsDir()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		size, err := s.inspect(file, entry)
		if err != nil {
			return err
		}
		s.paths = append(s.paths, file)
		if total += size; total > maxSourceBytes || len(s.paths) > maxSourceFiles {
			return showdown.Usage("is this a contender's folder? Move data and build results out of it",
				"%s holds more than %d files or %s", s.root.Name(), maxSourceFiles, showdown.Bytes(maxSourceBytes))
		}
		return nil
	})
}

// inspect gives the size of a file that may be copied.
func (s *source) inspect(file string, entry fs.DirEntry) (int64, error) {
	info, err := entry.Info()
	if err != nil {
		return 0, err
	}
	switch kind := info.Mode().Type(); kind {
	case 0:
		return info.Size(), nil
	case fs.ModeDir:
		return 0, nil
	case fs.ModeSymlink:
		// A root follows links only inside of it.
		if _, err := s.root.Stat(file); err != nil {
			return 0, showdown.Usage("copy what it points to", "%s: the symbolic link leaves the contender's folder or leads nowhere",
				filepath.Join(s.root.Name(), file))
		}
		return 0, nil
	default:
		return 0, showdown.Usage("remove it", "%s is neither a file, a folder nor a link", filepath.Join(s.root.Name(), file))
	}
}

func leftOut(file string, folder bool) bool {
	name := path.Base(file)
	if folder && (slices.Contains(builtAnywhere, name) || slices.Contains(builtAtTop, file)) {
		return true
	}
	return strings.HasPrefix(name, ".") && !slices.Contains(keptHidden, name)
}

// hash is a fingerprint of paths, modes and bytes, and of the words given.
func (s *source) hash(words []string) (string, error) {
	h := sha256.New()
	for _, word := range words {
		fmt.Fprintf(h, "%q\n", word)
	}
	for _, file := range s.paths {
		if err := s.hashFile(h, file); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (s *source) hashFile(h hash.Hash, file string) error {
	info, err := s.root.Lstat(file)
	if err != nil {
		return err
	}
	fmt.Fprintf(h, "%q %v %v ", file, info.Mode().Type(), info.Mode()&0o100)
	switch info.Mode().Type() {
	case fs.ModeSymlink:
		target, err := s.root.Readlink(file)
		fmt.Fprintf(h, "%q\n", target)
		return err
	case fs.ModeDir:
		fmt.Fprintln(h)
		return nil
	}
	f, err := s.root.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Fprintln(h, info.Size())
	_, err = io.Copy(h, f)
	return err
}

// copyTo writes the source into the empty folder dir.
func (s *source) copyTo(dir string) error {
	to, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer to.Close()
	for _, file := range s.paths {
		if err := s.copyFile(to, file); err != nil {
			return fmt.Errorf("copy %s: %w", path.Base(file), err)
		}
	}
	return nil
}

func (s *source) copyFile(to *os.Root, file string) error {
	info, err := s.root.Lstat(file)
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		return to.Mkdir(file, 0o755)
	case fs.ModeSymlink:
		target, err := s.root.Readlink(file)
		if err != nil {
			return err
		}
		return to.Symlink(target, file)
	}
	from, err := s.root.Open(file)
	if err != nil {
		return err
	}
	defer from.Close()
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	f, err := to.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
