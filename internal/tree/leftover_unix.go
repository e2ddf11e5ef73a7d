//go:build linux || darwin

package tree

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// NewToken gives a secret for [Root.UseToken].
func NewToken() string { return rand.Text() }

// UseToken makes the temporary names of later writes and removals follow from the token
// and the path, so that whoever has recorded both can find what a process that was
// killed left, and be sure whose it is. Nobody else can guess the names. Paths that are
// written at the same time must differ.
func (r *Root) UseToken(token string) {
	r.tokenMu.Lock()
	r.token = token
	r.tokenMu.Unlock()
}

func (r *Root) tempToken() string {
	r.tokenMu.Lock()
	defer r.tokenMu.Unlock()
	return r.token
}

// temporary gives the name under which the writing's content stands until it has its own.
func (w writing) temporary() string {
	if w.token == "" {
		return tempName()
	}
	return tokenName(w.token, w.path)
}

func tokenName(token, path string) string {
	sum := sha256.Sum256([]byte(path))
	return tempPrefix + token + base32.StdEncoding.EncodeToString(sum[:10])
}

// Leftover settles what a process that was killed in the middle of writing (or removing)
// path under a token left there under a temporary name; was and will are what the path
// held before and was to hold. A file that was swapped out, or moved aside, gets its
// name back, if what has the name is our own. Everything else under that name is
// superfluous and is removed, once save has taken it where it is neither was nor will.
// Nothing there is no error.
func (r *Root) Leftover(path, token string, was, will Entry, f Format, save func(*Content) error) error {
	err := r.within(path, func(dir int, name string) error {
		w := writing{dir: dir, path: path, name: name, format: f, token: token}
		return w.settle(was, will, save)
	})
	var refused *PathError
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, &refused) {
		return nil // without its folder there is nothing of ours
	}
	if err == nil {
		parent, _ := splitPath(path)
		r.wrote(path, parent, nil)
	}
	return err
}

func (w writing) settle(was, will Entry, save func(*Content) error) error {
	temp := w.temporary()
	left, err := lstatAt(w.dir, temp)
	if err != nil {
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return readError(w.path, err)
	}
	held, _, err := current(w.dir, temp, w.path, w.format)
	if err != nil {
		return err
	}
	found, st, err := current(w.dir, w.name, w.path, w.format)
	if err != nil {
		return err
	}
	switch {
	case !will.Exists() && !found.Exists() && !st.isDir():
		// It was moved aside and not yet deleted.
		return writeErrorIf(w.path, renameNew(w.dir, temp, w.name))
	case was.Exists() && will.Exists() && found.Same(will):
		// It was swapped and the old one not yet deleted.
		if err := exchange(w.dir, w.name, temp); err != nil {
			return writeError(w.path, err)
		}
		return w.drop(temp, will, nil)
	}
	switch {
	case held.Same(was), held.Same(will): // both are known to whoever asks
		save = nil
	case !was.Exists(): // nothing was swapped, so that this is an unfinished will
		save = nil
	case found.Same(was) && left.perm() == unfinishedPerm && st.perm() != unfinishedPerm: // the same
		save = nil
	}
	return w.drop(temp, held, save)
}

// drop removes a temporary file that holds content, which save takes first.
func (w writing) drop(temp string, held Entry, save func(*Content) error) error {
	if save != nil {
		s := spool{}
		found, err := newReader(w.format, time.Now).look(context.Background(), w.dir, temp, nil, &s)
		if err = explain(w.path, found, err); err != nil {
			return errors.Join(err, s.discard())
		}
		content := s.content(Entry{Path: w.path, Mode: found.mode, Hash: found.hash, Size: found.size})
		defer content.Close()
		if err := save(content); err != nil {
			return fmt.Errorf("keep what a killed process left of %s: %w", show(w.path), err)
		}
		held = content.Entry()
	}
	now, _, err := current(w.dir, temp, w.path, w.format)
	if err != nil {
		return err
	}
	if !now.Same(held) {
		return &ChangedError{Path: w.path, Found: now}
	}
	return writeErrorIf(w.path, unix.Unlinkat(w.dir, temp, 0))
}
