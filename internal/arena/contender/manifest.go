package contender

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/backend-showdown/showdown/internal/showdown"
)

// ManifestName is the file that makes a folder a contender.
const ManifestName = "showdown.yaml"

// Manifest is what a contender says about itself. Its JSON tags also make the
// JSON Schema: a field without "omitempty" or "omitzero" is required.
type Manifest struct {
	Name       string            `yaml:"name" json:"name" jsonschema:"Short name, the same as the folder's: lower-case letters, digits and dashes, beginning with a letter."`
	Title      string            `yaml:"title" json:"title" jsonschema:"Name for people, such as Spring Boot."`
	Language   string            `yaml:"language" json:"language" jsonschema:"Programming language."`
	Framework  string            `yaml:"framework" json:"framework" jsonschema:"Framework, or the standard library's server where there is none."`
	Homepage   string            `yaml:"homepage" json:"homepage,omitempty" jsonschema:"Home page of the framework."`
	Requires   map[string]string `yaml:"requires" json:"requires" jsonschema:"Toolchains that build and run the contender, each with a version range, such as ^22 or ~3.12."`
	Build      [][]string        `yaml:"build" json:"build,omitempty" jsonschema:"Commands, each a list of arguments, run one after another in a copy of the folder. There is no shell."`
	Start      []string          `yaml:"start" json:"start" jsonschema:"Command that starts the server, as a list of arguments. ${HOST}, ${PORT}, ${WORKERS} and ${DATA_DIR} are replaced. A program with a slash is relative to the folder."`
	Env        map[string]string `yaml:"env" json:"env,omitempty" jsonschema:"Added to the server's environment, with the same replacements as in start."`
	Ready      Ready             `yaml:"ready" json:"ready,omitzero" jsonschema:"How to see that the server can serve."`
	Workers    string            `yaml:"workers" json:"workers" jsonschema:"How WORKERS is honoured, in prose."`
	Versions   Versions          `yaml:"versions" json:"versions" jsonschema:"How to find the versions of the stack's parts after the build."`
	Implements []string          `yaml:"implements" json:"implements" jsonschema:"Scenarios that the contender implements."`
	Omits      map[string]string `yaml:"omits" json:"omits,omitempty" jsonschema:"Scenarios that it leaves out on purpose, each with the reason."`
	Notes      []showdown.Note   `yaml:"notes" json:"notes,omitempty" jsonschema:"What is the production default, what was chosen, and the documentation that recommends it."`

	Dir string `yaml:"-" json:"-"` // the contender's folder, absolute; set by Load
}

// Ready says when a contender can serve: once GET Path answers 200, at most
// Timeout after its start.
type Ready struct {
	Path    string        `yaml:"path" json:"path,omitempty" jsonschema:"Path that answers 200 once the server can serve."`
	Timeout time.Duration `yaml:"timeout" json:"timeout,omitempty" jsonschema:"How long the server may take to be ready, such as 30s; at most 10m."`
}

// Versions says how to find the versions of a stack's parts.
type Versions struct {
	Runtime   Probe `yaml:"runtime" json:"runtime" jsonschema:"The language's runtime or compiler."`
	Framework Probe `yaml:"framework" json:"framework" jsonschema:"The framework."`
	Server    Probe `yaml:"server" json:"server,omitzero" jsonschema:"The HTTP server below the framework, if it is a part of its own."`
}

// Probe finds one version: the first one in the output of Command, or that of
// the role SameAs.
type Probe struct {
	Name    string   `yaml:"name" json:"name" jsonschema:"Name of the part, such as Node.js."`
	Command []string `yaml:"command" json:"command,omitempty" jsonschema:"Command that prints the version, as a list of arguments, run in the built folder."`
	SameAs  string   `yaml:"same_as" json:"same_as,omitempty" jsonschema:"Role that has the same version, instead of a command."`
}

// Parse reads a manifest. It is strict: an unknown key, a wrong type or a bad
// value is an error that points at its place in file, which is only named, never
// read. At most 64 kB of data are accepted.
func Parse(file string, data []byte) (*Manifest, error) {
	m := &Manifest{Ready: Ready{Path: "/healthz", Timeout: 30 * time.Second}}
	doc, err := readDocument(file, data, m)
	if err != nil {
		return nil, err
	}
	if err := m.check(doc); err != nil {
		return nil, err
	}
	return m, nil
}

// Load reads the manifest of the contender in dir.
func Load(dir string) (*Manifest, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, showdown.Errorf(showdown.Environment, "", "find the contender's folder: %w", err)
	}
	file := filepath.Join(dir, ManifestName)
	data, err := readBounded(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, showdown.Usage("a contender is a folder with a "+ManifestName+"; CONTRIBUTING.md shows how to write one",
			"no contender in %s: there is no %s", dir, ManifestName)
	}
	if err != nil {
		return nil, showdown.Errorf(showdown.Environment, "", "read manifest: %w", err)
	}
	shown := shortPath(file)
	m, err := Parse(shown, data)
	if err != nil {
		return nil, err
	}
	m.Dir = dir
	if base := filepath.Base(dir); m.Name != base {
		return nil, showdown.Usage("rename one of them: a contender is called by its folder's name",
			"%s: name is %q but the folder is %q", shown, m.Name, base)
	}
	return m, nil
}

// Identity is what a record keeps of the contender, without what only a build
// tells: its versions and hash.
func (m *Manifest) Identity() showdown.Contender {
	return showdown.Contender{
		Name: m.Name, Title: m.Title, Language: m.Language, Framework: m.Framework,
		Homepage: m.Homepage, Workers: m.Workers, Notes: m.Notes,
	}
}

// roles gives the probes by role, in the order in which they are reported.
func (v *Versions) roles() []role {
	all := []role{{"runtime", &v.Runtime}, {"framework", &v.Framework}}
	if v.Server.Name != "" || v.Server.SameAs != "" || len(v.Server.Command) > 0 {
		all = append(all, role{"server", &v.Server})
	}
	return all
}

type role struct {
	name  string
	probe *Probe
}

// readBounded reads a little more than a manifest may hold, so that Parse can
// say that it is too large, whatever the file is.
func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, maxManifest+1)
	n, err := readFull(f, data)
	return data[:n], err
}

// shortPath writes a path relative to the working folder where that is shorter.
func shortPath(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// display writes an argv for people.
func display(argv []string) string {
	text := ""
	for i, arg := range argv {
		if i > 0 {
			text += " "
		}
		if arg == "" || strings.ContainsAny(arg, " \t\n\"'") {
			arg = fmt.Sprintf("%q", arg)
		}
		text += arg
	}
	return text
}
