// Package internal_test keeps the house in order: it reads every file below
// internal and cmd and fails where one knows more than its floor allows. ARCHITECTURE.md
// says why the floors are as they are; when a room is added, its floor is added here.
package internal_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/backend-showdown/showdown/"

// floors says what of this module each package may import; a "*" stands for
// everything below a folder. Tests may import what they like.
var floors = map[string][]string{
	"internal/showdown": nil,

	"internal/measure/pace":  {"internal/showdown"},
	"internal/measure/wire":  {"internal/showdown"},
	"internal/measure/load":  {"internal/showdown", "internal/measure/pace", "internal/measure/wire"},
	"internal/measure/meter": {"internal/showdown"},

	"internal/arena/contender": {"internal/showdown"},
	"internal/arena/scenario":  {"internal/showdown", "internal/measure/load", "scenarios"},
	"internal/arena/bout":      {"internal/showdown", "internal/measure/*", "internal/arena/contender", "internal/arena/scenario"},
	"internal/arena/schedule":  {"internal/showdown", "internal/arena/*"},

	"internal/decide/stats": nil,
	"internal/decide/rank":  {"internal/showdown", "internal/decide/stats"},

	"internal/record": {"internal/showdown"},

	"internal/show/chart":  {"internal/showdown"},
	"internal/show/report": {"internal/showdown", "internal/decide/*", "internal/show/chart"},

	"internal/testkit/shop": {"internal/showdown"},
	"internal/testkit/stub": {"internal/showdown"},

	"cmd/showdown": {"internal/*", "scenarios"},
}

const (
	command = "cmd/showdown"
	testkit = "internal/testkit"
	decide  = "internal/decide"
)

// guardFile is where this program becomes a guard, prints events and exits.
const guardFile = "internal/arena/contender/guard.go"

// emptyNames say nothing of what a package is for.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers"}

// The names of a package that a rule forbids; none means all.
type forbidden map[string][]string

var (
	// Only the command reads flags.
	flags = []string{"flag", "github.com/spf13/cobra", "github.com/spf13/pflag"}

	// Only the command prints, logs and exits.
	speech = forbidden{
		"os": {"Exit", "Stdout"}, "fmt": {"Print", "Printf", "Println"}, "log": nil, "log/slog": nil, "builtin": {"print", "println"},
	}

	// What decides has no sockets, processes or clock.
	outside = []string{"net", "net/*", "os", "os/*", "syscall", "golang.org/x/sys/*"}
	clocks  = forbidden{"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}}
)

func TestFloors(t *testing.T) {
	found, breaches, err := inspect(os.DirFS(".."), floors)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range breaches {
		t.Error(b)
	}
	for _, p := range slices.Sorted(maps.Keys(floors)) {
		if !slices.Contains(found, p) {
			t.Errorf("%s has a floor but does not exist: take it out of the table", p)
		}
	}
}

// house is what has been read so far.
type house struct {
	floors     map[string][]string
	documented map[string]bool // by package: whether it has a doc comment
	breaches   []string
}

// inspect reads the repository's packages and tells what is wrong with them.
func inspect(repository fs.FS, floors map[string][]string) (packages, breaches []string, err error) {
	h := &house{floors: floors, documented: map[string]bool{}}
	for _, root := range []string{"internal", "cmd"} {
		err := fs.WalkDir(repository, root, func(file string, d fs.DirEntry, err error) error {
			switch name := path.Base(file); {
			case err != nil:
				return err
			case d.IsDir() && (name == "testdata" || name[0] == '.' || name[0] == '_'):
				return fs.SkipDir
			case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			text, err := fs.ReadFile(repository, file)
			if err != nil {
				return err
			}
			return h.read(file, text)
		})
		if err != nil {
			return nil, nil, err
		}
	}
	packages = slices.Sorted(maps.Keys(h.documented))
	for _, p := range packages {
		if !h.documented[p] {
			h.breach(p, "has no doc comment: say in doc.go what it is for and what it is not aware of")
		}
		if _, ok := floors[p]; !ok {
			h.breach(p, "has no floor: say in the table of internal/architecture_test.go what it may import")
		}
	}
	return packages, h.breaches, nil
}

func (h *house) breach(where, format string, args ...any) {
	h.breaches = append(h.breaches, where+" "+fmt.Sprintf(format, args...))
}

func (h *house) read(file string, text []byte) error {
	positions := token.NewFileSet()
	f, err := parser.ParseFile(positions, file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(file)
	h.documented[dir] = h.documented[dir] || f.Doc.Text() != ""
	for _, name := range append(strings.Split(dir, "/"), f.Name.Name) {
		if slices.Contains(emptyNames, name) {
			h.breach(file, "is in a package called %s, which tells nothing: name it after what it does", name)
			break
		}
	}

	names := map[string]string{} // of imported packages, by what the file calls them
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		h.checkImport(file, p)
		switch {
		case spec.Name == nil:
			names[path.Base(p)] = p
		case spec.Name.Name == ".":
			h.breach(file, "imports %s with a dot, which hides what it calls", p)
		default:
			names[spec.Name.Name] = p
		}
	}
	if !below(dir, command) && !below(dir, testkit) && file != guardFile {
		h.checkUse(positions, f, names, speech, "only %s prints, logs or exits; return it instead", command)
	}
	if below(dir, decide) {
		h.checkUse(positions, f, names, clocks, "what decides reads no clock; let the caller give the time")
	}
	return nil
}

func (h *house) checkImport(file, imported string) {
	dir := path.Dir(file)
	if slices.Contains(flags, imported) && !below(dir, command) {
		h.breach(file, "imports %s: only %s reads flags", imported, command)
	}
	if below(dir, decide) && matches(imported, outside) {
		h.breach(file, "imports %s: what decides touches no socket, process or file", imported)
	}
	own, ok := strings.CutPrefix(imported, module)
	switch {
	case !ok || own == dir:
	case below(own, testkit):
		h.breach(file, "imports %s, which is for tests", own)
	case !matches(own, h.floors[dir]):
		h.breach(file, "imports %s: %s may import of this module only %q", own, dir, h.floors[dir])
	}
}

// checkUse looks for forbidden names, called or not.
func (h *house) checkUse(positions *token.FileSet, f *ast.File, names map[string]string, not forbidden, why string, args ...any) {
	report := func(n ast.Node, what string) {
		h.breach(positions.Position(n.Pos()).String(), "uses %s: %s", what, fmt.Sprintf(why, args...))
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				break
			}
			if list, ok := not[names[x.Name]]; ok && (list == nil || slices.Contains(list, n.Sel.Name)) {
				report(n, x.Name+"."+n.Sel.Name)
			}
		case *ast.CallExpr:
			if x, ok := n.Fun.(*ast.Ident); ok && slices.Contains(not["builtin"], x.Name) {
				report(n, x.Name)
			}
		}
		return true
	})
}

func below(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

func matches(p string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		if folder, ok := strings.CutSuffix(pattern, "*"); ok {
			return strings.HasPrefix(p, folder)
		}
		return p == pattern
	})
}

// Every rule must be able to fail.
func TestEachRuleFindsItsBreach(t *testing.T) {
	plain := func(name string) string { return "// Package x is x.\npackage " + name + "\n" }
	own := func(p string) string { return plain("x") + "import _ \"" + module + p + "\"\n" }
	uses := func(imported, body string) string {
		return plain("x") + "import " + imported + "\nfunc f() { " + body + " }\n"
	}
	for _, c := range []struct {
		name, file, text string
		want             []string // words of the only breach; nil for none
	}{
		{"nothing", "internal/showdown/x.go", plain("showdown"), nil},
		{"allowed by name", "internal/arena/scenario/x.go", own("scenarios"), nil},
		{"allowed by star", "internal/arena/bout/x.go", own("internal/measure/wire"), nil},
		{"the command may all", "cmd/showdown/x.go", plain("main") + "import (\n\"flag\"\n\"os\"\n\"fmt\"\n_ \"" + module + "internal/record\"\n)\nfunc f() { flag.Parse(); fmt.Println(); os.Exit(1) }", nil},
		{"testkit prints", "internal/testkit/stub/x.go", uses(`"fmt"`, `fmt.Println()`), nil},
		{"the guard exits", guardFile, uses(`"os"`, `os.Exit(0)`), nil},
		{"its neighbours do not", "internal/arena/contender/x.go", uses(`"os"`, `os.Exit(0)`), []string{"internal/arena/contender/x.go:4", "os.Exit"}},
		{"tests may all", "internal/showdown/x_test.go", "package showdown\nimport _ \"" + module + "internal/testkit/stub\"", nil},
		{"test data", "internal/showdown/testdata/x.go", "not Go", nil},

		{"upwards", "internal/measure/meter/x.go", own("internal/record"), []string{"internal/measure/meter/x.go", "internal/record", "only"}},
		{"sideways", "internal/measure/pace/x.go", own("internal/measure/wire"), []string{"measure/pace", "measure/wire"}},
		{"a name that begins alike", "internal/decide/rank/x.go", own("internal/decide/statsandmore"), []string{"statsandmore"}},
		{"anything in the words", "internal/showdown/x.go", own("scenarios"), []string{"internal/showdown/x.go", "scenarios"}},
		{"testkit", "internal/arena/bout/x.go", own("internal/testkit/stub"), []string{"for tests"}},
		{"testkit in the command", "cmd/showdown/x.go", own("internal/testkit/shop"), []string{"for tests"}},
		{"testkit's own imports", "internal/testkit/stub/x.go", own("internal/record"), []string{"internal/testkit/stub/x.go", "internal/record"}},
		{"no floor", "internal/fleet/x.go", plain("fleet"), []string{"internal/fleet", "no floor"}},
		{"no floor in cmd", "cmd/other/x.go", plain("main"), []string{"cmd/other", "no floor"}},
		{"no doc", "internal/showdown/x.go", "package showdown\n", []string{"internal/showdown", "no doc comment"}},
		{"a directive is no doc", "internal/showdown/x.go", "//go:build linux\n\npackage showdown\n", []string{"no doc comment"}},
		{"empty name", "internal/showdown/x.go", plain("helpers"), []string{"internal/showdown/x.go", "helpers"}},
		{"flags", "internal/record/x.go", plain("record") + `import _ "flag"`, []string{"flag", "only cmd/showdown"}},
		{"cobra", "internal/show/report/x.go", plain("report") + `import _ "github.com/spf13/cobra"`, []string{"cobra"}},
		{"prints", "internal/record/x.go", uses(`"fmt"`, `fmt.Printf("x")`), []string{"x.go:4:12", "fmt.Printf"}},
		{"prints under another name", "internal/record/x.go", uses(`say "fmt"`, `say.Println()`), []string{"say.Println"}},
		{"prints with a dot", "internal/record/x.go", uses(`. "fmt"`, `Println()`), []string{"dot"}},
		{"prints to stdout", "internal/record/x.go", uses(`"os"`, `g(os.Stdout)`), []string{"os.Stdout"}},
		{"prints with the language", "internal/record/x.go", plain("x") + `func f() { println(1) }`, []string{"println"}},
		{"logs", "internal/record/x.go", uses(`"log"`, `log.Fatal(1)`), []string{"log.Fatal"}},
		{"logs in a structure", "internal/record/x.go", uses(`"log/slog"`, `slog.Info("x")`), []string{"slog.Info"}},
		{"a variable called log", "internal/record/x.go", plain("x") + `func f(log interface{ Close() }) { log.Close() }`, nil},
		{"to a writer", "internal/record/x.go", uses(`"fmt"`, `fmt.Fprintln(nil)`), nil},
		{"a socket", "internal/decide/rank/x.go", plain("x") + `import _ "net/http"`, []string{"net/http", "decides"}},
		{"a process", "internal/decide/rank/x.go", plain("x") + `import _ "os/exec"`, []string{"os/exec"}},
		{"a file", "internal/decide/stats/x.go", plain("x") + `import _ "os"`, []string{"imports os:"}},
		{"a clock", "internal/decide/rank/x.go", uses(`"time"`, `time.Now()`), []string{"x.go:4:12", "time.Now", "clock"}},
		{"a clock that is passed on", "internal/decide/rank/x.go", uses(`"time"`, `g(time.Since)`), []string{"time.Since"}},
		{"a time", "internal/decide/rank/x.go", uses(`"time"`, `g(time.Second)`), nil},
		{"others read clocks", "internal/record/x.go", uses(`"time"`, `time.Now()`), nil},
	} {
		files := fstest.MapFS{
			"internal/showdown/testdata/y": {}, "cmd/showdown/testdata/y": {}, // so that both folders exist
			c.file: {Data: []byte(c.text)},
		}
		_, breaches, err := inspect(files, floors)
		switch {
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want == nil && len(breaches) > 0, c.want != nil && len(breaches) != 1:
			t.Errorf("%s: breaches %q, want one with %q", c.name, breaches, c.want)
		case c.want != nil:
			for _, word := range c.want {
				if !strings.Contains(breaches[0], word) {
					t.Errorf("%s: %q lacks %q", c.name, breaches[0], word)
				}
			}
		}
	}
}
