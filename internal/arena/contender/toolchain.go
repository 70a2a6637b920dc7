package contender

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
)

// Toolchain is a program that contenders may require, and how to get it.
type Toolchain struct {
	Name     string
	Version  []string // prints its version
	Packages []string // of Debian and Ubuntu
	Remedy   string   // where to get a newer one than the distribution has
}

var toolchains = map[string]Toolchain{
	"go":     {"go", []string{"go", "version"}, []string{"golang-go"}, "install Go from https://go.dev/dl/"},
	"node":   {"node", []string{"node", "--version"}, []string{"nodejs"}, "install Node.js from https://nodejs.org/en/download"},
	"npm":    {"npm", []string{"npm", "--version"}, []string{"npm"}, "install Node.js, which brings npm, from https://nodejs.org/en/download"},
	"python": {"python", []string{"python3", "--version"}, []string{"python3", "python3-venv"}, "install Python from https://www.python.org/downloads/"},
	"cargo":  {"cargo", []string{"cargo", "--version"}, []string{"cargo", "build-essential"}, "install Rust with rustup from https://rustup.rs"},
	"rustc":  {"rustc", []string{"rustc", "--version"}, []string{"rustc", "build-essential"}, "install Rust with rustup from https://rustup.rs"},
	"java":   {"java", []string{"javac", "-version"}, []string{"default-jdk-headless"}, "install a JDK from https://adoptium.net"},
	"mvn":    {"mvn", []string{"mvn", "--version"}, []string{"maven"}, "install Maven from https://maven.apache.org/download.cgi"},
	"ruby":   {"ruby", []string{"ruby", "--version"}, []string{"ruby-full", "ruby-bundler", "build-essential"}, "install Ruby as https://www.ruby-lang.org/en/documentation/installation/ says"},
	"php":    {"php", []string{"php", "--version"}, []string{"php-cli", "php-mbstring", "php-xml", "php-curl"}, "install PHP as https://www.php.net/manual/en/install.php says"},
}

// companions are packages of programs that builds call but that are no toolchain
// of their own.
var companions = map[string][]string{
	"composer": {"composer", "unzip"},
	"bundle":   {"ruby-bundler"},
	"gem":      {"ruby-full"},
	"make":     {"build-essential"},
	"cc":       {"build-essential"},
}

// Toolchains lists the known toolchains by name.
func Toolchains() []Toolchain {
	list := make([]Toolchain, 0, len(toolchains))
	for _, name := range slices.Sorted(maps.Keys(toolchains)) {
		list = append(list, toolchains[name])
	}
	return list
}

// Missing is a program that a contender needs and that the machine lacks or has
// in a wrong version.
type Missing struct {
	Tool     string   `json:"tool"`
	Want     string   `json:"want,omitempty"`     // version range, or empty where any will do
	Have     string   `json:"have,omitempty"`     // version found, or empty
	Reason   string   `json:"reason"`             // "not installed", or what is wrong with the version
	Remedy   string   `json:"remedy"`             // for people
	Packages []string `json:"packages,omitempty"` // of Debian and Ubuntu that would bring it; none where they are known to be too old
}

// Missing lists what the contender needs and the machine lacks, by name. Each
// toolchain is asked for its version once per process.
func (m *Manifest) Missing(ctx context.Context) []Missing {
	var list []Missing
	for _, tool := range slices.Sorted(maps.Keys(m.Requires)) {
		if missing, ok := toolchains[tool].missing(ctx, m.Requires[tool]); ok {
			list = append(list, missing)
		}
	}
	return append(list, m.missingCommands()...)
}

// missingCommands finds what the contender calls besides its toolchains, such as
// composer.
func (m *Manifest) missingCommands() []Missing {
	var list []Missing
	var seen []string
	for _, argv := range append(slices.Clone(m.Build), m.Start) {
		name := argv[0]
		if strings.ContainsAny(name, `/\`) || slices.Contains(seen, name) || m.requiresCommand(name) {
			continue
		}
		seen = append(seen, name)
		if _, err := lookPath(name); err != nil {
			list = append(list, Missing{
				Tool: name, Reason: "not installed", Packages: companions[name],
				Remedy: fmt.Sprintf("install %q so that it is on the PATH", name),
			})
		}
	}
	return list
}

func (m *Manifest) requiresCommand(name string) bool {
	for tool := range m.Requires {
		if tool == name || toolchains[tool].Version[0] == name {
			return true
		}
	}
	return false
}

func (t Toolchain) missing(ctx context.Context, want string) (Missing, bool) {
	have, err := t.probe(ctx)
	lacks := Missing{Tool: t.Name, Want: want, Have: have, Remedy: t.Remedy}
	switch {
	case err != nil:
		lacks.Reason, lacks.Packages = t.absent(ctx, want, err)
	case !within(have, want):
		lacks.Reason = fmt.Sprintf("version %s is not %s", have, want)
	case t.Name == "python" && !hasEnsurepip(ctx):
		lacks.Reason, lacks.Packages = "it cannot make virtual environments (no module ensurepip)", []string{"python3-venv"}
	default:
		return Missing{}, false
	}
	return lacks, true
}

// absent says why a toolchain gives no version, and which packages would help.
func (t Toolchain) absent(ctx context.Context, want string, err error) (reason string, packages []string) {
	program := t.Version[0]
	if _, e := lookPath(program); e == nil {
		return err.Error(), nil
	}
	reason = "not installed"
	if program != t.Name {
		reason += ": no " + program + " on the PATH"
	}
	if offered := candidate(ctx, t); offered != "" && !within(offered, want) {
		return reason + ", and the distribution's package has version " + offered, nil
	}
	return reason, t.Packages
}

const probeLimit = 30 * time.Second // a cold JVM on a busy machine takes seconds

// probes remembers what the toolchains answered, since asking again costs
// seconds for some of them.
var probes = struct {
	sync.Mutex
	answers map[string]func() (string, error)
}{answers: map[string]func() (string, error){}}

// probe asks the toolchain for its version, once per process.
func (t Toolchain) probe(ctx context.Context) (string, error) {
	out, err := ask(ctx, t.Version)
	if err != nil {
		return "", err
	}
	version := anyVersion.FindString(plain(out))
	if version == "" {
		return "", fmt.Errorf("%s printed no version", display(t.Version))
	}
	return version, nil
}

// hasEnsurepip is false on a Debian without python3-venv.
func hasEnsurepip(ctx context.Context) bool {
	_, err := ask(ctx, []string{"python3", "-c", "import ensurepip"})
	return err == nil
}

// ask runs a command where no project's files can change its answer, once per
// process, and gives what it printed.
func ask(ctx context.Context, argv []string) (string, error) {
	key := strings.Join(argv, "\x00")
	probes.Lock()
	answer, asked := probes.answers[key]
	if !asked {
		answer = sync.OnceValues(func() (string, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeLimit)
			defer cancel()
			return capture(ctx, neutralDir(), argv)
		})
		probes.answers[key] = answer
	}
	probes.Unlock()
	return answer()
}

// forgetProbes makes the next call of Missing look anew.
func forgetProbes() {
	probes.Lock()
	defer probes.Unlock()
	clear(probes.answers)
}

var (
	dottedVersion = regexp.MustCompile(`\d+\.\d+(?:\.\d+)?[\w.+~-]*`)
	anyVersion    = regexp.MustCompile(`\d+(?:\.\d+)*`)
	numbers       = regexp.MustCompile(`^\d+(?:\.\d+){0,2}`)
	escapes       = regexp.MustCompile(`\x1b\[[0-9;?]*[a-zA-Z]`)
)

// within says whether a version lies in a range. Only its first three numbers
// count: a release candidate is taken for its release.
func within(version, want string) bool {
	constraint, err := semver.NewConstraint(want)
	if err != nil {
		return false
	}
	v, err := semver.NewVersion(numbers.FindString(version))
	return err == nil && constraint.Check(v)
}

// findVersion finds the first thing that looks like a version in a command's
// output, preferring one with a dot.
func findVersion(out string) string {
	out = plain(out)
	if v := dottedVersion.FindString(out); v != "" {
		return strings.TrimRight(v, ".-+~_")
	}
	return anyVersion.FindString(out)
}

// plain removes terminal colours.
func plain(out string) string { return escapes.ReplaceAllString(out, "") }
