package agent

import (
	"path"
	"strings"

	"glue-lsp/sandbox"
)

// files does the file operations, inside, with the privileges of the agent. It is
// not confined to the workspace: any path of the sandbox is fair.
type files struct {
	root string // the workspace's root, which is never removed or renamed
	cwd  string // where relative paths start
	// temp begins the names of files that are being written; it is the agent's own,
	// so that a capture can tell them from the user's.
	temp string
	// asides are where large contents arrive.
	asides asides
}

// abs normalises p by its text alone: relative to cwd, ".." stops at "/", "" is cwd,
// "~" is a name like any other.
func (f *files) abs(op, p string) (string, error) {
	if strings.IndexByte(p, 0) >= 0 {
		return "", refuse(sandbox.InvalidParams, op, strings.ReplaceAll(p, "\x00", "\\0"), "the path holds a NUL byte, which no file name can")
	}
	if !strings.HasPrefix(p, "/") {
		p = f.cwd + "/" + p
	}
	return path.Clean(p), nil
}

// both normalises the two paths of a rename or copy.
func (f *files) both(op, from, to string) (string, string, error) {
	from, err := f.abs(op, from)
	if err != nil {
		return "", "", err
	}
	to, err = f.abs(op, to)
	return from, to, err
}

// guard refuses to take away what the sandbox stands on: "/", the workspace's root,
// the folder where commands start, and whatever holds one of these.
func (f *files) guard(op, p string) error {
	for _, keep := range []string{f.root, f.cwd} {
		if within(p, keep) {
			return refuse(sandbox.Unsupported, op, p, "this would take the workspace itself away")
		}
	}
	if p == "/" {
		return refuse(sandbox.Unsupported, op, p, "this would take the whole file system away")
	}
	return nil
}

// within reports whether p is dir or lies below it; both are clean and absolute.
func within(dir, p string) bool {
	return dir == p || dir == "/" || strings.HasPrefix(p, dir+"/")
}
