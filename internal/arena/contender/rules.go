package contender

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/backend-showdown/showdown/internal/showdown"
)

const (
	namePattern     = `^[a-z][a-z0-9-]*$`
	variablePattern = `^[A-Za-z_][A-Za-z0-9_]*$`
	maxReadyTimeout = 10 * time.Minute
)

var (
	nameRule     = regexp.MustCompile(namePattern)
	variableRule = regexp.MustCompile(variablePattern)
	replacement  = regexp.MustCompile(`\$\{[^}]*\}`)
)

// given are the variables that every contender gets, and that start and env may
// use as ${NAME}.
var given = []string{"HOST", "PORT", "WORKERS", "DATA_DIR"}

// check holds a manifest of the right shape against the rules of its values.
func (m *Manifest) check(d *document) error {
	for _, rule := range []func(*document) error{
		m.checkIdentity, m.checkRequires, m.checkCommands, m.checkEnv, m.checkReady, m.checkVersions, m.checkScenarios, m.checkNotes,
	} {
		if err := rule(d); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkIdentity(d *document) error {
	if !nameRule.MatchString(m.Name) || len(m.Name) > 40 {
		return d.errorf("name", "use up to 40 lower-case letters, digits and dashes, beginning with a letter", "name %q is not a contender's name", m.Name)
	}
	for _, f := range []struct{ key, value string }{
		{"title", m.Title}, {"language", m.Language}, {"framework", m.Framework}, {"workers", m.Workers},
	} {
		if strings.TrimSpace(f.value) == "" {
			return d.errorf(f.key, "", "%s is empty", f.key)
		}
	}
	return checkLink(d, "homepage", m.Homepage)
}

func (m *Manifest) checkRequires(d *document) error {
	for _, tool := range slices.Sorted(maps.Keys(m.Requires)) {
		path := "requires." + tool
		if _, known := toolchains[tool]; !known {
			return d.unknown(d.places["key:"+path], "toolchain", tool, slices.Sorted(maps.Keys(toolchains)))
		}
		if _, err := semver.NewConstraint(m.Requires[tool]); err != nil {
			return d.errorf(path, `write a range such as ">=1.25", "^22" or ">=3.12, <4"`, "%s: %q is not a version range", path, m.Requires[tool])
		}
	}
	return nil
}

func (m *Manifest) checkCommands(d *document) error {
	for i, argv := range m.Build {
		if err := checkCommand(d, fmt.Sprintf("build[%d]", i), argv); err != nil {
			return err
		}
	}
	if err := checkCommand(d, "start", m.Start); err != nil {
		return err
	}
	for i, arg := range m.Start {
		if err := checkReplacements(d, fmt.Sprintf("start[%d]", i), arg); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkEnv(d *document) error {
	for _, name := range slices.Sorted(maps.Keys(m.Env)) {
		path := "env." + name
		switch {
		case !variableRule.MatchString(name):
			return d.errorf("key:"+path, "", "%q is not the name of an environment variable", name)
		case slices.Contains(given, name) || strings.HasPrefix(name, "SHOWDOWN_"):
			return d.errorf("key:"+path, "Showdown sets it for every contender", "%s cannot be set", path)
		}
		if err := checkReplacements(d, path, m.Env[name]); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkReady(d *document) error {
	u, err := url.ParseRequestURI(m.Ready.Path)
	if err != nil || u.Host != "" || !strings.HasPrefix(m.Ready.Path, "/") {
		return d.errorf("ready.path", "write a path such as /healthz", "ready.path %q is not a path", m.Ready.Path)
	}
	if m.Ready.Timeout <= 0 || m.Ready.Timeout > maxReadyTimeout {
		return d.errorf("ready.timeout", "write a duration such as 30s", "ready.timeout %v is not between 0 and %v", m.Ready.Timeout, maxReadyTimeout)
	}
	return nil
}

func (m *Manifest) checkVersions(d *document) error {
	for _, r := range m.Versions.roles() {
		path := "versions." + r.name
		if strings.TrimSpace(r.probe.Name) == "" {
			return d.errorf(path+".name", "", "%s.name is empty", path)
		}
		if (r.probe.SameAs == "") == (len(r.probe.Command) == 0) {
			return d.errorf(path, "the command prints the version; same_as names the role that has it", "%s needs either command or same_as", path)
		}
		if r.probe.SameAs != "" {
			if err := m.checkSameAs(d, r.name, r.probe.SameAs); err != nil {
				return err
			}
		} else if err := checkCommand(d, path+".command", r.probe.Command); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) checkSameAs(d *document, role, same string) error {
	for _, r := range m.Versions.roles() {
		if r.name == same && r.name != role && r.probe.SameAs == "" {
			return nil
		}
	}
	return d.errorf("versions."+role+".same_as", "name a role that has a command, such as runtime", "versions.%s.same_as: %q has no command", role, same)
}

func (m *Manifest) checkScenarios(d *document) error {
	for i, name := range m.Implements {
		path := fmt.Sprintf("implements[%d]", i)
		switch {
		case !slices.Contains(showdown.Scenarios, name):
			return d.unknown(d.places[path], "scenario", name, showdown.Scenarios)
		case slices.Contains(m.Implements[:i], name):
			return d.errorf(path, "", "scenario %q is listed twice", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Omits)) {
		path := "omits." + name
		switch {
		case !slices.Contains(showdown.Scenarios, name):
			return d.unknown(d.places["key:"+path], "scenario", name, showdown.Scenarios)
		case slices.Contains(m.Implements, name):
			return d.errorf("key:"+path, "", "scenario %q is both implemented and omitted", name)
		case strings.TrimSpace(m.Omits[name]) == "":
			return d.errorf(path, "readers want to know why", "%s needs a reason", path)
		}
	}
	return nil
}

func (m *Manifest) checkNotes(d *document) error {
	for i, note := range m.Notes {
		path := fmt.Sprintf("notes[%d]", i)
		if strings.TrimSpace(note.Text) == "" {
			return d.errorf(path+".text", "", "%s.text is empty", path)
		}
		if err := checkLink(d, path+".link", note.Link); err != nil {
			return err
		}
	}
	return nil
}

// checkCommand wants a program that is found on the PATH, or one inside the folder.
func checkCommand(d *document, path string, argv []string) error {
	switch {
	case len(argv) == 0 || argv[0] == "":
		return d.errorf(path, "", "%s is empty: it must begin with a program", path)
	case !strings.ContainsAny(argv[0], `/\`):
		return nil
	case !filepath.IsLocal(argv[0]):
		return d.errorf(path+"[0]", "a program with a slash is relative to the contender's folder", "%s: %q is outside of the folder", path, argv[0])
	}
	return nil
}

func checkReplacements(d *document, path, text string) error {
	for _, r := range replacement.FindAllString(text, -1) {
		if name := r[2 : len(r)-1]; !slices.Contains(given, name) {
			return d.unknown(d.places[path], "variable", name, given)
		}
	}
	return nil
}

func checkLink(d *document, path, link string) error {
	if _, written := d.places[path]; !written {
		return nil
	}
	u, err := url.Parse(link)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return d.errorf(path, "begin it with https://", "%s: %q is not a link", path, link)
	}
	return nil
}
