package git

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// The oldest git that will do: 2.38 is the first with `merge-tree --write-tree`.
const (
	minMajor = 2
	minMinor = 38
)

// Git is a git program that was found good enough (2.38 or later).
type Git struct {
	Path    string // absolute
	Version string // as git says it, e.g. "2.39.5"

	started func(pid int) // told to tests, before a command has read any input; nil
}

// Find looks for git on PATH and asks it for its version. The error is a
// *MissingError or a *VersionError, or what went wrong when git was started.
func Find(ctx context.Context) (*Git, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, &MissingError{}
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	g := &Git{Path: path}
	out, err := g.output(ctx, place{gitDir: os.DevNull, workDir: string(filepath.Separator)}, "version")
	if err != nil {
		var missing *exec.Error
		if errors.As(err, &missing) {
			return nil, &MissingError{}
		}
		return nil, err
	}
	version, ok := parseVersion(string(out))
	if !ok {
		return nil, &VersionError{Found: version}
	}
	g.Version = version
	return g, nil
}

var versionLine = regexp.MustCompile(`^git version (([0-9]+)\.([0-9]+)[0-9A-Za-z.+-]*)`)

// parseVersion reads what `git version` prints and says whether it will do.
// Vendors add words after the number: "git version 2.39.5 (Apple Git-154)".
func parseVersion(out string) (version string, good bool) {
	m := versionLine.FindStringSubmatch(out)
	if m == nil {
		return "of an unknown version", false
	}
	major, err1 := strconv.Atoi(m[2])
	minor, err2 := strconv.Atoi(m[3])
	if err1 != nil || err2 != nil {
		return m[1], false
	}
	return m[1], major > minMajor || major == minMajor && minor >= minMinor
}

// MissingError says that there is no git on PATH.
type MissingError struct{}

func (*MissingError) Error() string {
	return "git is not installed (looked on PATH)"
}

// VersionError says that the git on PATH is too old.
type VersionError struct{ Found string }

func (e *VersionError) Error() string {
	return "git " + e.Found + " is too old; 2.38 or later is needed"
}
