package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"glue-lsp/internal/tree"
)

// Gitlink is the mode of a submodule's entry in a tree: Hash names a commit of
// another repository. No tree that this program makes holds one; a commit made in
// a sandbox can.
const Gitlink tree.Mode = 0o160000

const (
	// maxEntries bounds what one listing may hold: ten folders that each name the
	// next one ten times are a tree of ten thousand million files.
	maxEntries = 4_000_000
	// maxRecord bounds one record of a listing.
	maxRecord = 1 << 20
)

// ReadTree lists every file of a tree, sorted by path bytes, with sizes. Gitlinks
// are listed with mode Gitlink and size 0. The tree may be a sandbox's: its paths
// are not checked, and more than four million are a *LimitError.
func (r *Repo) ReadTree(ctx context.Context, id string) ([]tree.Entry, error) {
	return r.readTree(ctx, id, maxEntries)
}

func (r *Repo) readTree(ctx context.Context, id string, most int) ([]tree.Entry, error) {
	if err := r.checkID(id); err != nil {
		return nil, fmt.Errorf("read tree: %w", err)
	}
	if id == r.emptyTree() {
		return nil, nil
	}
	var entries []tree.Entry
	records := &recordWriter{max: maxRecord, each: func(record []byte) error {
		e, err := parseTreeRecord(record)
		if err != nil {
			return err
		}
		if len(entries) == most {
			return &LimitError{What: LimitEntries, Max: strconv.Itoa(most)}
		}
		entries = append(entries, e)
		return nil
	}}
	err := r.Run(ctx, Cmd{Args: []string{"ls-tree", "-r", "-l", "-z", "--full-tree", id}, Stdout: records})
	if err = errors.Join(records.err, err); err != nil {
		return nil, fmt.Errorf("read tree %s: %w", id, err)
	}
	sortEntries(entries)
	return entries, nil
}

// parseTreeRecord reads "<mode> SP <type> SP <hash> SP+ <size> TAB <path>".
func parseTreeRecord(record []byte) (tree.Entry, error) {
	head, path, ok := bytes.Cut(record, []byte{'\t'})
	f := strings.Fields(string(head))
	if !ok || len(f) != 4 {
		return tree.Entry{}, fmt.Errorf("git printed %q for a tree's entry", record)
	}
	mode, err := parseMode(f[0])
	if err != nil {
		return tree.Entry{}, err
	}
	e := tree.Entry{Path: string(path), Mode: mode, Hash: f[2]}
	if f[3] != "-" {
		if e.Size, err = strconv.ParseInt(f[3], 10, 64); err != nil {
			return tree.Entry{}, fmt.Errorf("git printed %q for a size: %w", f[3], err)
		}
	}
	return e, nil
}

// parseMode reads an octal mode and reduces it to git's canonical ones, as git
// does when it reads old trees (0100664 is 0100644).
func parseMode(s string) (tree.Mode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil {
		return 0, fmt.Errorf("git printed %q for a mode: %w", s, err)
	}
	switch mode := tree.Mode(n); {
	case n == 0:
		return tree.Absent, nil
	case n>>12 == 0o10 && n&0o100 != 0:
		return tree.Executable, nil
	case n>>12 == 0o10:
		return tree.Regular, nil
	default:
		return mode, nil
	}
}

// recordWriter cuts what is written to it at NUL bytes and hands on each record.
// The first error stops the command that writes.
type recordWriter struct {
	each func(record []byte) error
	max  int
	rest []byte
	err  error
}

func (w *recordWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n := len(p)
	for {
		i := bytes.IndexByte(p, 0)
		if i < 0 {
			break
		}
		record := p[:i]
		if len(w.rest) > 0 {
			w.rest = append(w.rest, record...)
			record = w.rest
		}
		if w.err = w.each(record); w.err != nil {
			return 0, w.err
		}
		w.rest = w.rest[:0]
		p = p[i+1:]
	}
	if len(w.rest)+len(p) > w.max {
		w.err = fmt.Errorf("git printed a record of more than %d bytes", w.max)
		return 0, w.err
	}
	w.rest = append(w.rest, p...)
	return n, nil
}

var _ io.Writer = (*recordWriter)(nil)
