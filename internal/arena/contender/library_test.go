package contender

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// library writes contenders of the given names.
func library(t *testing.T, names ...string) (root string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "contenders")
	for _, name := range names {
		writeFiles(t, filepath.Join(root, name), map[string]string{
			ManifestName: strings.Replace(good, "name: gin", "name: "+name, 1),
		})
	}
	return root
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func namesOf(list []*Manifest) string {
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

func TestFind(t *testing.T) {
	root := library(t, "gin")
	deep := filepath.Join(filepath.Dir(root), "a", "contenders", "b") // a folder contenders without any is passed by
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SHOWDOWN_CONTENDERS", "")
	for _, start := range []string{filepath.Dir(root), deep, root} {
		if got, err := Find(start); got != root || err != nil {
			t.Errorf("Find(%s) = %s, %v", start, got, err)
		}
	}
	empty := t.TempDir()
	_, err := Find(empty)
	wantError(t, err, showdown.BadUsage, "no folder contenders in", "SHOWDOWN_CONTENDERS")

	t.Setenv("SHOWDOWN_CONTENDERS", root)
	if got, err := Find(empty); got != root || err != nil {
		t.Errorf("by variable: %s, %v", got, err)
	}
	t.Setenv("SHOWDOWN_CONTENDERS", empty)
	_, err = Find(root)
	wantError(t, err, showdown.BadUsage, "$SHOWDOWN_CONTENDERS: no contenders in")
}

func TestResolve(t *testing.T) {
	root := library(t, "gin", "express", "fastapi")
	writeFiles(t, root, map[string]string{"README.md": "", "half-done/main.go": "", ".hidden/" + ManifestName: ""})
	elsewhere := library(t, "mine")

	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "express fastapi gin"},
		{[]string{"gin", "express"}, "gin express"},
		{[]string{filepath.Join(elsewhere, "mine"), "gin"}, "mine gin"},
		{[]string{filepath.Join(elsewhere, "mine") + "/"}, "mine"},
	} {
		list, err := Resolve(root, c.args)
		if err != nil || namesOf(list) != c.want {
			t.Errorf("Resolve(%q) = %s, %v", c.args, namesOf(list), err)
		}
	}

	t.Chdir(filepath.Join(elsewhere, "mine"))
	for _, here := range []string{".", "./", "../mine"} {
		if list, err := Resolve(root, []string{here}); err != nil || namesOf(list) != "mine" || list[0].Dir != filepath.Join(elsewhere, "mine") {
			t.Errorf("Resolve(%q) = %s, %v", here, namesOf(list), err)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	root := library(t, "gin", "express")
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{"expres"}, []string{`unknown contender "expres"`, `did you mean "express"? known: express, gin`}},
		{[]string{"spring"}, []string{`unknown contender "spring"`, "known: express, gin"}},
		{[]string{"gin", "gin"}, []string{`contender "gin" is named twice`}},
		{[]string{"gin", filepath.Join(root, "gin")}, []string{`contender "gin" is named twice`}},
		{[]string{"./nowhere"}, []string{"no contender in", "there is no showdown.yaml"}},
	} {
		_, err := Resolve(root, c.args)
		wantError(t, err, showdown.BadUsage, c.words...)
	}
}

func TestLoadNameMustBeFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "other")
	writeFiles(t, dir, map[string]string{ManifestName: good})
	_, err := Load(dir)
	wantError(t, err, showdown.BadUsage, `name is "gin" but the folder is "other"`)
}

func TestLoadNeverReadsWithoutEnd(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/dev/zero", filepath.Join(dir, ManifestName)); err != nil {
		t.Skip(err)
	}
	_, err := Load(dir)
	wantError(t, err, showdown.BadUsage, "larger than 64 kB")
}
