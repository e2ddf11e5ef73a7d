//go:build linux || darwin

package tree

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// Write puts content at path if the path still holds expect (Same); otherwise a
// *ChangedError. By temporary name and rename; makes parents; keeps the permission
// bits of a file it replaces except the executable bit, which mode decides, and lets
// the umask decide those of a new file. An empty folder at path gives way to it.
//
// Nothing that somebody else puts at path meanwhile is lost: a new file appears only
// where there is none, and a file that is replaced is looked at once more after it
// was swapped out, and put back if it is not what was expected. (Where the file
// system cannot swap, just before it is replaced.)
func (r *Root) Write(path string, expect Entry, mode Mode, content io.Reader, f Format) error {
	if err := f.check(); err != nil {
		return err
	}
	if mode != Regular && mode != Executable && mode != Symlink {
		return fmt.Errorf("write %s: %o is not a mode of a file", show(path), mode)
	}
	if err := CheckPath(path); err != nil {
		return err
	}
	root, err := r.hold()
	if err != nil {
		return err
	}
	defer r.mu.RUnlock()

	parent, name := splitPath(path)
	if expect.Exists() {
		// A file that should be there needs no new folders.
		if err := r.checkParent(root, path, parent); err != nil {
			return err
		}
	}
	made, err := r.writeIn(root, parent, writing{path: path, name: name, format: f, token: r.tempToken()}, expect, mode, content)
	if err != nil {
		r.prune(root, made)
		return err
	}
	r.wrote(path, parent, made)
	return nil
}

// writeIn writes in the folder parent, which it makes; made tells what was missing
// of it, also with an error.
func (r *Root) writeIn(root int, parent string, w writing, expect Entry, mode Mode, content io.Reader) (made []string, err error) {
	r.foldersMu.RLock()
	defer r.foldersMu.RUnlock()
	w.dir, made, err = openOrMake(root, w.path, parent)
	if err != nil {
		return made, err
	}
	defer unix.Close(w.dir) //nolint:errcheck // a handle of a folder
	return made, w.write(expect, mode, content)
}

// checkParent reports a missing parent as the change that it is.
func (r *Root) checkParent(root int, path, parent string) error {
	if parent == "" {
		return nil
	}
	dir, err := openBeneath(root, parent)
	switch {
	case err == nil:
		return unix.Close(dir)
	case errors.Is(err, unix.ENOENT):
		return &ChangedError{Path: path, Found: Entry{Path: path}}
	}
	return explainParent(root, path, err)
}

// openOrMake opens the folder parent and makes what is missing of it. made is the
// first folder that was missing, with those below it on the way to parent; it is
// told also with an error.
func openOrMake(root int, path, parent string) (dir int, made []string, err error) {
	c := cursor{root: root}
	defer c.close()
	for at := 0; at <= len(parent) && parent != ""; at++ {
		if at < len(parent) && parent[at] != '/' {
			continue
		}
		above, name := splitPath(parent[:at])
		dir, err := c.enter(above)
		if err != nil {
			return -1, made, explainParent(root, path, err)
		}
		switch err := unix.Mkdirat(dir, name, 0o777); {
		case err == nil:
			made = append(made, parent[:at])
		case !errors.Is(err, unix.EEXIST):
			return -1, made, writeError(path, err)
		}
	}
	if parent == "" {
		dir, err = openFolder(root, ".")
	} else {
		dir, err = openBeneath(root, parent)
	}
	if err != nil {
		return -1, made, explainParent(root, path, err)
	}
	return dir, made, nil
}

// writing is the replacement of one name in one folder.
type writing struct {
	dir    int
	path   string // for messages
	name   string
	format Format
	token  string // see Root.UseToken
}

func (w writing) write(expect Entry, mode Mode, content io.Reader) error {
	now, st, err := current(w.dir, w.name, w.path, w.format)
	if err != nil {
		return err
	}
	if !now.Same(expect) {
		return &ChangedError{Path: w.path, Found: now}
	}
	temp, err := w.create(mode, content, st)
	if err != nil {
		return err
	}
	if now.Exists() {
		err = w.replace(temp, expect)
	} else {
		err = w.appear(temp, st.isDir())
	}
	if err != nil {
		// The temporary file is gone already if it was moved.
		if undo := unix.Unlinkat(w.dir, temp, 0); undo != nil && !errors.Is(undo, unix.ENOENT) {
			err = errors.Join(err, writeError(w.path, undo))
		}
	}
	return err
}

// unfinishedPerm are the permissions of what is to replace a file, until it is whole.
const unfinishedPerm = 0o600

// create writes content under a temporary name. replaced has the stat data of what is
// to be replaced, if there is something.
func (w writing) create(mode Mode, content io.Reader, replaced stat) (temp string, err error) {
	if mode == Symlink {
		return w.createLink(content)
	}
	perm := uint32(0o666)
	if mode == Executable {
		perm = 0o777
	}
	if replaced.isFile() {
		perm = unfinishedPerm
	}
	temp = w.temporary()
	fd, err := openAt(w.dir, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, perm)
	if err != nil {
		return "", writeError(w.path, err)
	}
	_, err = io.Copy(fdWriter(fd), content)
	if err == nil && replaced.isFile() {
		err = unix.Fchmod(fd, permFor(mode, replaced.perm()))
	}
	if closeErr := unix.Close(fd); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = unix.Unlinkat(w.dir, temp, 0)
		return "", writeError(w.path, err)
	}
	return temp, nil
}

// permFor keeps the bits of the replaced file but lets mode decide who may execute:
// whoever may read.
func permFor(mode Mode, old uint32) uint32 {
	perm := old &^ 0o111
	if mode == Executable {
		perm |= perm>>2&0o111 | 0o100
	}
	return perm
}

func (w writing) createLink(content io.Reader) (temp string, err error) {
	target, err := io.ReadAll(io.LimitReader(content, maxPath+1))
	switch {
	case err != nil:
		return "", writeError(w.path, err)
	case len(target) == 0, len(target) > maxPath, bytes.IndexByte(target, 0) >= 0:
		return "", &PathError{Path: w.path, Why: "the link's target is empty, too long or holds a NUL byte"}
	}
	temp = w.temporary()
	if err := unix.Symlinkat(string(target), w.dir, temp); err != nil {
		return "", writeError(w.path, err)
	}
	return temp, nil
}

// appear gives the temporary file its name, where there is nothing or an empty folder.
func (w writing) appear(temp string, overFolder bool) error {
	if overFolder {
		switch err := unix.Unlinkat(w.dir, w.name, unix.AT_REMOVEDIR); {
		case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST):
			return &PathError{Path: w.path, Why: "it is a folder that is not empty"}
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		case err != nil:
			return writeError(w.path, err)
		}
	}
	err := renameNew(w.dir, temp, w.name)
	if errors.Is(err, unix.EEXIST) {
		return w.changed()
	}
	if err != nil {
		return writeError(w.path, err)
	}
	return nil
}

// replace swaps the temporary file in for one that holds expect.
func (w writing) replace(temp string, expect Entry) error {
	mine, err := lstatAt(w.dir, temp)
	if err != nil {
		return writeError(w.path, err)
	}
	err = exchange(w.dir, w.name, temp)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return w.replaceInTwoSteps(temp, expect)
	case errors.Is(err, unix.ENOENT):
		return w.changed()
	case err != nil:
		return writeError(w.path, err)
	}
	was, st, err := current(w.dir, temp, w.path, w.format)
	if err == nil && was.Same(expect) && !st.isDir() {
		return writeErrorIf(w.path, unix.Unlinkat(w.dir, temp, 0))
	}
	if err := w.putBack(temp, mine); err != nil {
		return err
	}
	return w.changed()
}

// putBack undoes a swap: what is under the temporary name gets its name back, unless
// somebody has replaced our file in between; then theirs, being newer, stays.
func (w writing) putBack(temp string, mine stat) error {
	if err := exchange(w.dir, w.name, temp); err != nil {
		// Somebody removed our file: theirs takes the free name.
		return writeErrorIf(w.path, renameNew(w.dir, temp, w.name))
	}
	st, err := lstatAt(w.dir, temp)
	if err != nil {
		return writeError(w.path, err)
	}
	if st.ino == mine.ino && st.dev == mine.dev {
		return nil
	}
	return writeErrorIf(w.path, unix.Renameat(w.dir, temp, w.dir, w.name))
}

// replaceInTwoSteps is replace without a swap: the last look comes just before.
func (w writing) replaceInTwoSteps(temp string, expect Entry) error {
	now, st, err := current(w.dir, w.name, w.path, w.format)
	if err != nil {
		return err
	}
	if !now.Same(expect) || st.isDir() {
		return &ChangedError{Path: w.path, Found: now}
	}
	return writeErrorIf(w.path, unix.Renameat(w.dir, temp, w.dir, w.name))
}

// changed says what is at the path now.
func (w writing) changed() error {
	now, _, err := current(w.dir, w.name, w.path, w.format)
	if err != nil {
		return err
	}
	return &ChangedError{Path: w.path, Found: now}
}

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".glue-tmp-"

// tempName gives a name that nobody can guess and prepare something at.
func tempName() string { return tempPrefix + rand.Text() }

// IsTemporary reports whether a path is one that [Root] writes to for a moment
// before it gets its name. One that stays was left by a process that was killed.
func IsTemporary(path string) bool {
	_, name := splitPath(path)
	random, ok := strings.CutPrefix(name, tempPrefix)
	return ok && len(random) >= tempRandom && strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// tempRandom is the least length of what rand.Text gives, in RFC 4648 base32.
const tempRandom = 26

func writeError(path string, err error) error {
	return fmt.Errorf("write %s: %w", show(path), err)
}

func writeErrorIf(path string, err error) error {
	if err == nil {
		return nil
	}
	return writeError(path, err)
}

// fdWriter writes to a file descriptor.
type fdWriter int

func (fd fdWriter) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		n := 0
		err := again(func() (err error) {
			n, err = unix.Write(int(fd), b[done:])
			return err
		})
		if err != nil {
			return done, err
		}
		if n <= 0 {
			return done, io.ErrShortWrite
		}
		done += n
	}
	return done, nil
}
