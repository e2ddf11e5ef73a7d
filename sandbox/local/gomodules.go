package local

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Go modules that the machine has are offered to a sandbox as a proxy of files, see
// "Module cache" in https://go.dev/ref/mod: the sandbox's own module cache stays
// private and writable, and what is missing is downloaded as usual.

// insideMods is where a confined sandbox has that proxy.
const insideMods = "/run/glue/gomod"

// goModules is the machine's download cache of modules, "" if there is none.
func goModules(environ []string) string {
	cache := envOf(environ, "GOMODCACHE")
	if cache == "" {
		gopath, _, _ := strings.Cut(envOf(environ, "GOPATH"), string(filepath.ListSeparator))
		if gopath == "" {
			gopath = filepath.Join(envOf(environ, "HOME"), "go")
		}
		cache = filepath.Join(gopath, "pkg", "mod")
	}
	dir := filepath.Join(cache, "cache", "download")
	if info, err := os.Stat(dir); err != nil || !info.IsDir() || !filepath.IsAbs(dir) {
		return ""
	}
	return dir
}

// goProxy is the proxy that go would use on the machine: the variable, what `go env -w`
// wrote, what this go came with. They are read as data, see "go help environment"; go
// itself is not run.
func goProxy(environ []string) string {
	if v := envOf(environ, "GOPROXY"); v != "" {
		return v
	}
	files := []string{filepath.Join(envOf(environ, "HOME"), ".config", "go", "env")}
	for _, dir := range filepath.SplitList(envOf(environ, "PATH")) {
		if program, err := filepath.EvalSymlinks(filepath.Join(dir, "go")); err == nil {
			files = append(files, filepath.Join(filepath.Dir(filepath.Dir(program)), "go.env"))
			break
		}
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "GOPROXY="); ok && v != "" {
				return v
			}
		}
	}
	return "direct"
}

// goVariables are the variables that make go use it, which a sandbox sees at `at`; ""
// is nowhere. The module cache must be removable, which go's default of read-only
// folders is not.
func goVariables(environ []string, at string) []string {
	flags := strings.TrimSpace(envOf(environ, "GOFLAGS") + " -modcacherw")
	out := []string{"GOFLAGS=" + flags}
	if at == "" || strings.Contains(at, ",") { // which separates proxies
		return out
	}
	proxy := goProxy(environ)
	if userinfo.MatchString(proxy) {
		proxy = "direct" // a token in a URL stays outside
	}
	return append(out, "GOPROXY="+(&url.URL{Scheme: "file", Path: at}).String()+","+proxy)
}
