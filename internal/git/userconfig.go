package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// userConfig is what configuration files of the user say, as data: a list of
// values in the order in which git would read them, of which the last one counts.
// Nothing in it reaches a git command but what this package copies by name.
type userConfig []configValue

type configValue struct {
	setting
	own bool // said by the repository's own files, which its maker controls
}

const (
	maxConfigFile  = 4 << 20
	maxConfigDepth = 10 // as git's own limit for includes
)

// last gives the value that counts, and whether the repository itself said it.
func (c userConfig) last(key string) (value string, own, ok bool) {
	for i := len(c) - 1; i >= 0; i-- {
		if c[i].key == key {
			return c[i].value, c[i].own, true
		}
	}
	return "", false, false
}

// flag reads a boolean by git's rules (git-config(1), VALUES).
func (c userConfig) flag(key string, unset bool) bool {
	value, _, ok := c.last(key)
	if !ok {
		return unset
	}
	switch strings.ToLower(value) {
	case "true", "yes", "on":
		return true
	case "false", "no", "off", "":
		return false
	}
	n, err := strconv.Atoi(value)
	return err == nil && n != 0
}

// configReader reads configuration files and what they include.
type configReader struct {
	git    *Git
	gitDir string // of the repository that conditions of includes are about
	branch string
	values userConfig
}

// outerConfig reads the files that hold for all of the user's repositories: the
// system's and the user's (git-config(1), FILES).
func (g *Git) outerConfig(ctx context.Context, f found, branch string) (userConfig, error) {
	r := &configReader{git: g, gitDir: f.gitDir, branch: branch}
	for _, name := range g.outerConfigFiles() {
		if err := r.read(ctx, name, false, 0); err != nil {
			return nil, err
		}
	}
	return r.values, nil
}

func (g *Git) outerConfigFiles() []string {
	var files []string
	if name, ok := os.LookupEnv("GIT_CONFIG_SYSTEM"); ok {
		files = append(files, name)
	} else if prefix := filepath.Dir(filepath.Dir(g.Path)); prefix != "/usr" && prefix != "/" {
		files = append(files, filepath.Join(prefix, "etc", "gitconfig"))
	} else {
		files = append(files, "/etc/gitconfig")
	}
	if no, _ := strconv.ParseBool(os.Getenv("GIT_CONFIG_NOSYSTEM")); no {
		files = nil
	}
	if name, ok := os.LookupEnv("GIT_CONFIG_GLOBAL"); ok {
		return append(files, name)
	}
	if dir := xdgConfigHome(); dir != "" {
		files = append(files, filepath.Join(dir, "git", "config"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		files = append(files, filepath.Join(home, ".gitconfig"))
	}
	return files
}

func xdgConfigHome() string {
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return dir
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".config")
	}
	return ""
}

// read adds the values of a file, and of those it includes, in place. A file that
// is not there has none.
func (r *configReader) read(ctx context.Context, name string, own bool, depth int) error {
	if depth > maxConfigDepth {
		return fmt.Errorf("read git configuration %s: includes are nested too deep", name)
	}
	content, err := readSmall(name, maxConfigFile)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) || name == os.DevNull {
		return nil // git passes over them, too
	}
	if err != nil {
		return fmt.Errorf("read git configuration: %w", err)
	}
	values, err := r.git.parseConfig(ctx, content)
	if err != nil {
		return fmt.Errorf("read git configuration %s: %w", name, err)
	}
	for _, v := range values {
		r.values = append(r.values, configValue{v, own})
		path, ok := r.included(name, v)
		if !ok {
			continue
		}
		if err := r.read(ctx, path, own, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// parseConfig lets git take a file apart. It gets the text, not the name, so that
// messages name no private folder and the file is read once.
func (g *Git) parseConfig(ctx context.Context, content []byte) ([]setting, error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	err := g.run(ctx, place{gitDir: os.DevNull, workDir: string(filepath.Separator)}, Cmd{
		Args:  []string{"config", "--file", "-", "--no-includes", "-z", "--list"},
		Stdin: bytes.NewReader(content), Stdout: &out,
	})
	if err != nil {
		return nil, err
	}
	var values []setting
	for record := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\x00"), "\x00") {
		key, value, ok := strings.Cut(record, "\n")
		if !ok {
			value = "true" // "key" alone on its line
		}
		values = append(values, setting{key, value})
	}
	return values, nil
}

// included tells which file a value includes here. Conditions on remotes
// (hasconfig) are taken as not met: none of the values that are read here is
// about remotes.
func (r *configReader) included(from string, v setting) (string, bool) {
	condition, ok := strings.CutSuffix(v.key, ".path")
	if !ok {
		return "", false
	}
	if condition != "include" {
		condition, ok = strings.CutPrefix(condition, "includeif.")
		if !ok || !r.met(from, condition) {
			return "", false
		}
	}
	path, ok := expandHome(v.value)
	if !ok {
		return "", false
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(from), path)
	}
	return path, true
}

// met decides a condition of includeIf (git-config(1), Conditional includes).
func (r *configReader) met(from, condition string) bool {
	kind, pattern, _ := strings.Cut(condition, ":")
	switch kind {
	case "gitdir", "gitdir/i":
		pattern, ok := expandHome(pattern)
		if !ok {
			return false
		}
		if rest, ok := strings.CutPrefix(pattern, "./"); ok {
			pattern = filepath.Join(filepath.Dir(from), rest)
			if strings.HasSuffix(rest, "/") {
				pattern += "/"
			}
		}
		if !filepath.IsAbs(pattern) {
			pattern = "**/" + pattern
		}
		if strings.HasSuffix(pattern, "/") {
			pattern += "**"
		}
		real, err := filepath.EvalSymlinks(r.gitDir)
		if err != nil {
			real = r.gitDir
		}
		return matchGlob(pattern, r.gitDir, kind == "gitdir/i") || matchGlob(pattern, real, kind == "gitdir/i")
	case "onbranch":
		if strings.HasSuffix(pattern, "/") {
			pattern += "**"
		}
		return r.branch != "" && matchGlob(pattern, r.branch, false)
	}
	return false
}

// expandHome resolves "~/" and "~name/" as git's path values do.
func expandHome(path string) (string, bool) {
	if !strings.HasPrefix(path, "~") {
		return path, path != ""
	}
	name, rest, _ := strings.Cut(path[1:], "/")
	if name == "" {
		home, err := os.UserHomeDir()
		return filepath.Join(home, rest) + slashAtEnd(rest), err == nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return "", false
	}
	return filepath.Join(u.HomeDir, rest) + slashAtEnd(rest), true
}

func slashAtEnd(rest string) string {
	if rest == "" || strings.HasSuffix(rest, "/") {
		return "/"
	}
	return ""
}
