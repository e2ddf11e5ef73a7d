package local

import (
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Go modules that the machine has are offered to a sandbox as a proxy of files, see
// "Module cache" in https://go.dev/ref/mod: the sandbox's own module cache stays
// private and writable, and what is missing is downloaded as usual. Private modules are
// asked of no proxy: the sandbox's module cache has them, see linkPrivateModules.

// insideMods is where a confined sandbox has that proxy.
const insideMods = "/run/glue/gomod"

// goModules is the machine's download cache of modules, "" if there is none that a
// sandbox may read.
func (p *plan) goModules() string {
	if !p.spec.LendCaches {
		return ""
	}
	env := goSettings(p.environ)
	cache := env("GOMODCACHE")
	if cache == "" {
		gopath, _, _ := strings.Cut(env("GOPATH"), string(filepath.ListSeparator))
		if gopath == "" {
			gopath = filepath.Join(envOf(p.environ, "HOME"), "go")
		}
		cache = filepath.Join(gopath, "pkg", "mod")
	}
	dir := filepath.Join(cache, "cache", "download")
	if info, err := os.Stat(dir); err != nil || !info.IsDir() || !filepath.IsAbs(dir) {
		return ""
	}
	return dir
}

// goSettings gives go's settings as the person has them: the variable, else what
// `go env -w` wrote. They are read as data, see "go help environment"; go itself is not
// run.
func goSettings(environ []string) func(name string) string {
	file := envOf(environ, "GOENV")
	if file == "" {
		file = filepath.Join(configFolder(environ), "go", "env")
	}
	written := readGoEnv(file)
	return func(name string) string {
		if v := envOf(environ, name); v != "" {
			return v
		}
		return written[name]
	}
}

// configFolder is where programs keep a person's settings, see os.UserConfigDir.
func configFolder(environ []string) string {
	home := envOf(environ, "HOME")
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support")
	}
	if dir := envOf(environ, "XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(home, ".config")
}

// readGoEnv reads a file of go's settings. One that is not there, as with GOENV=off, has
// none.
func readGoEnv(file string) map[string]string {
	out := map[string]string{}
	b, err := os.ReadFile(file)
	if err != nil || !filepath.IsAbs(file) {
		return out
	}
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if _, again := out[name]; ok && !again {
			out[name] = value
		}
	}
	return out
}

// goProxy is the proxy that go would use on the machine: the person's, or that of go's
// own settings.
func goProxy(environ []string) string {
	if v := goSettings(environ)("GOPROXY"); v != "" {
		return v
	}
	for _, dir := range filepath.SplitList(envOf(environ, "PATH")) {
		if program, err := filepath.EvalSymlinks(filepath.Join(dir, "go")); err == nil {
			if v := readGoEnv(filepath.Join(filepath.Dir(filepath.Dir(program)), "go.env"))["GOPROXY"]; v != "" {
				return v
			}
			break
		}
	}
	return "direct"
}

// goPassedOn are go's settings that count inside as outside, also where they stand in a
// file of HOME. Those of private modules keep their names from public servers.
var goPassedOn = []string{"GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB", "GOINSECURE", "GOTOOLCHAIN"}

// goVariables are the variables of go in a sandbox, which sees the machine's modules at
// `at`; "" is nowhere. The module cache must be removable, which go's default of
// read-only folders is not.
func goVariables(environ []string, at string) []string {
	env := goSettings(environ)
	var out []string
	for _, name := range goPassedOn {
		if v := env(name); v != "" && !userinfo.MatchString(v) {
			out = append(out, name+"="+v)
		}
	}
	flags := env("GOFLAGS")
	if userinfo.MatchString(flags) {
		flags = ""
	}
	out = append(out, "GOFLAGS="+strings.TrimSpace(flags+" -modcacherw"))
	if at == "" && env("GOPROXY") == "" {
		return out
	}
	proxy := goProxy(environ)
	if userinfo.MatchString(proxy) {
		proxy = "direct" // a token in a URL stays outside
	}
	if at != "" && !strings.Contains(at, ",") { // which separates proxies
		proxy = (&url.URL{Scheme: "file", Path: at}).String() + "," + proxy
	}
	return append(out, "GOPROXY="+proxy)
}
