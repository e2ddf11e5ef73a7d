package local

import (
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

// defaultGoProxy is go's own, see "go help environment".
const defaultGoProxy = "https://proxy.golang.org,direct"

// goVariables are the variables that make go use it. The module cache must be
// removable, which go's default of read-only folders is not.
func goVariables(environ []string, mods bool) []string {
	flags := strings.TrimSpace(envOf(environ, "GOFLAGS") + " -modcacherw")
	out := []string{"GOFLAGS=" + flags}
	if !mods {
		return out
	}
	proxy := envOf(environ, "GOPROXY")
	if proxy == "" || userinfo.MatchString(proxy) {
		proxy = defaultGoProxy
	}
	return append(out, "GOPROXY=file://"+insideMods+","+proxy)
}
