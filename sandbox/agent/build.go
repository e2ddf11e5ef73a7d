package agent

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// Build names the build that this program comes from, for people.
func Build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	rev := ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			rev = s.Value
		}
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	if rev != "" && !strings.Contains(v, rev[:min(12, len(rev))]) {
		v += "-" + rev[:min(12, len(rev))]
	}
	return v
}

// envValue is the last value of a variable in an environment.
func envValue(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(env[i], "="); ok && k == name {
			return v
		}
	}
	return ""
}

// hasProgram reports whether a program is on the PATH of an environment.
func hasProgram(name string, env []string) bool {
	_, err := lookProgram(name, envValue(env, "PATH"), "/")
	return err == nil
}

// lookProgram finds a program the way execvp(3) does: a name with a slash is a path
// from dir, another one is looked for along PATH.
func lookProgram(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		p := name
		if !filepath.IsAbs(p) {
			p = filepath.Join(dir, p)
		}
		return p, executable(p)
	}
	var denied error
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d) // an empty entry is the current folder
		}
		p := filepath.Join(d, name)
		err := executable(p)
		if err == nil {
			return p, nil
		}
		if os.IsPermission(err) {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", os.ErrNotExist
}

func executable(p string) error {
	info, err := os.Stat(p)
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return &os.PathError{Op: "exec", Path: p, Err: os.ErrPermission}
	}
	return nil
}
