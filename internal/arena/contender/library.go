package contender

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// Find gives the folder that holds the contenders: $SHOWDOWN_CONTENDERS, else
// the nearest folder called contenders in start or above that holds one.
func Find(start string) (string, error) {
	if root := os.Getenv("SHOWDOWN_CONTENDERS"); root != "" {
		if names := namesIn(root); len(names) == 0 {
			return "", showdown.Usage("it must name a folder of folders with a "+ManifestName+" each",
				"$SHOWDOWN_CONTENDERS: no contenders in %s", root)
		}
		return filepath.Abs(root)
	}
	dir, err := filepath.Abs(start)
	if err != nil {
		return "", showdown.Errorf(showdown.Environment, "", "find the contenders: %w", err)
	}
	for {
		root := filepath.Join(dir, "contenders")
		if len(namesIn(root)) > 0 {
			return root, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", showdown.Usage("run showdown in a checkout of its repository, or set SHOWDOWN_CONTENDERS to its folder contenders",
				"no folder contenders in %s or above", start)
		}
		dir = parent
	}
}

// List loads all contenders of the folder root, by name.
func List(root string) ([]*Manifest, error) {
	var list []*Manifest
	for _, name := range namesIn(root) {
		m, err := Load(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// Resolve loads the contenders that args name, in their order: names in the
// folder root, or paths (with a slash, or ".") to contenders elsewhere. Without
// args it loads all of root.
func Resolve(root string, args []string) ([]*Manifest, error) {
	if len(args) == 0 {
		return List(root)
	}
	var list []*Manifest
	for _, arg := range args {
		m, err := resolve(root, arg)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(other *Manifest) bool { return other.Name == m.Name }) {
			return nil, showdown.Usage("two contenders of one name could not be told apart", "contender %q is named twice", m.Name)
		}
		list = append(list, m)
	}
	return list, nil
}

func resolve(root, arg string) (*Manifest, error) {
	if strings.ContainsAny(arg, `/\`) || arg == "." || arg == ".." {
		return Load(arg)
	}
	names := namesIn(root)
	if slices.Contains(names, arg) {
		return Load(filepath.Join(root, arg))
	}
	hint := "known: " + strings.Join(names, ", ")
	if near := showdown.Nearest(arg, names); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return nil, showdown.Usage(hint+"; a path to a contender's folder has a slash in it", "unknown contender %q", arg)
}

// namesIn lists the folders of root that hold a manifest, sorted.
func namesIn(root string) []string {
	entries, _ := os.ReadDir(root)
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(root, e.Name(), ManifestName)); err == nil && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}
