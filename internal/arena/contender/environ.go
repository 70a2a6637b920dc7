package contender

import (
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A contender gets next to nothing of the user's environment: it is somebody
// else's code, and the environment holds tokens and keys. It also makes two
// machines more alike. A build gets, in addition, what package managers were told
// by the user: where their caches are, which mirror, proxy and certificates to
// use, and which of several installed toolchains is the chosen one.
var (
	alwaysPassed = []string{
		"HOME", "USER", "TMPDIR",
		"SYSTEMROOT", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "LOCALAPPDATA", // Windows starts few programs without these
	}
	passedToBuilds = []string{
		"GOPROXY", "GOFLAGS", "GOPATH", "GOMODCACHE", "GOCACHE", "GOTOOLCHAIN",
		"GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE",
		"CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_HTTP_CAINFO", "CARGO_HTTP_PROXY",
		"PIP_*", "PYENV_*", "NPM_CONFIG_*", "npm_config_*",
		"JAVA_HOME", "MAVEN_OPTS", "MAVEN_ARGS",
		"GEM_HOME", "GEM_PATH", "COMPOSER_HOME", "COMPOSER_CACHE_DIR",
		"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
		"XDG_CACHE_HOME",
	}
)

// bareEnviron is what every process of a contender gets.
func bareEnviron() map[string]string {
	env := map[string]string{}
	pick(env, alwaysPassed)
	env["PATH"] = searchPath()
	env["LANG"] = "C.UTF-8"
	return env
}

// buildEnviron is what builds and version commands get.
func buildEnviron() []string {
	env := bareEnviron()
	pick(env, passedToBuilds)
	return pairs(env)
}

// startEnviron is what the contender itself gets.
func (m *Manifest) startEnviron(o StartOptions) []string {
	env := bareEnviron()
	values := o.variables()
	maps.Copy(env, values)
	for name, text := range m.Env {
		env[name] = expand(text, values)
	}
	maps.Copy(env, o.Env)
	return pairs(env)
}

// pick copies the variables that the user has set; a name may end in a star.
func pick(into map[string]string, names []string) {
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if slices.ContainsFunc(names, func(pattern string) bool {
			stem, star := strings.CutSuffix(pattern, "*")
			return name == pattern || star && strings.HasPrefix(name, stem)
		}) {
			into[name] = value
		}
	}
}

// searchPath is the user's PATH, with the JDK that JAVA_HOME names in front, so
// that the Java that builds is also the Java that runs.
func searchPath() string {
	path := os.Getenv("PATH")
	if home := os.Getenv("JAVA_HOME"); home != "" {
		path = filepath.Join(home, "bin") + string(filepath.ListSeparator) + path
	}
	if path == "" && runtime.GOOS != "windows" {
		path = "/usr/local/bin:/usr/bin:/bin"
	}
	return path
}

// expand replaces ${NAME} by its value; Parse has refused unknown names.
func expand(text string, values map[string]string) string {
	return replacement.ReplaceAllStringFunc(text, func(r string) string { return values[r[2:len(r)-1]] })
}

func pairs(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}
