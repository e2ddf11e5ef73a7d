package session

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// maxFile is the largest file, in bytes, that goes to the sandbox or comes back. A
// file with a hole of a terabyte costs nothing to make, and hours to read.
const maxFile = 1 << 30

// capture brings the known sandbox tree up to date; the caller holds trees.
func (s *Session) capture(ctx context.Context, sb sandbox.Sandbox) error {
	st := s.snapshotState()
	began := s.m.o.Now()
	room := s.captureRoom()
	req := sandbox.CaptureRequest{
		Base: st.Token, Ignore: s.ignore.pending(), Include: s.opts.Include, Format: s.store.Repo.Format,
		MaxFileSize: maxFile, MaxBytes: room.bytes,
	}
	// Whoever captures this tree after a death must leave out what this one does.
	if err := s.ignore.keep(s.dir); err != nil {
		return &Error{Kind: "noSpace", Op: "capture the sandbox's tree", Session: s.ID(), Path: s.dir, Message: err.Error(), Err: err}
	}
	c := &collector{format: s.store.Repo.Format, dir: s.dir}
	defer c.close()
	res, err := sb.Capture(ctx, req, c.add)
	if isStale(err) {
		// The agent was started anew, or an answer of its got lost: tell it what we hold.
		c.close()
		var entries []tree.Entry
		if entries, err = s.store.Repo.ReadTree(ctx, st.Theirs); err != nil {
			return err
		}
		req.Entries = append([]tree.Entry{}, entries...) // nil would say nothing; an empty tree is a statement
		req.Ignore = s.ignore.current
		res, err = sb.Capture(ctx, req, c.add)
	}
	if err != nil {
		return err
	}
	theirs := st.Theirs
	if len(c.changes) > 0 {
		if theirs, err = s.store.Repo.Update(ctx, st.Theirs, c.changes); err != nil {
			return err
		}
	}
	s.ignore.sent = s.ignore.current
	if s.ignore.sent == nil {
		s.ignore.sent = []tree.IgnoreFile{}
	}
	left := s.noteSkipped(res.Skipped, room)
	if slices.Contains(st.LeftInside, gitFolder) {
		left = append(left, gitFolder) // a capture says nothing about commits
	}
	s.update(func(st *state) {
		st.Token, st.Theirs, st.LeftInside, st.CapturedFrom = res.Token, theirs, left, began
	})
	return s.keepToken(sb, &st)
}

// collector keeps captured contents until the whole capture has arrived: the first few
// in memory, the others one after the other in one file, on the disk that will hold
// them in the end.
type collector struct {
	format  tree.Format
	dir     string
	changes []git.Change
	memory  int64    // bytes held there
	spool   *os.File // has no name
	size    int64    // of it
}

// collectInMemory is how many bytes of captured contents are not worth a file.
const collectInMemory = 4 << 20

func (c *collector) add(got sandbox.Captured) error {
	entry := got.Entry
	if err := tree.CheckPath(entry.Path); err != nil {
		return fmt.Errorf("the sandbox sent an unsafe path: %w", err)
	}
	if !entry.Exists() {
		c.changes = append(c.changes, git.Change{Entry: entry})
		return nil
	}
	open, hash, err := c.keep(got.Content, entry.Size)
	if err != nil {
		return err
	}
	entry.Hash = hash
	c.changes = append(c.changes, git.Change{
		Entry: entry,
		Open:  func() (io.ReadCloser, error) { return io.NopCloser(open()), nil },
	})
	return nil
}

// keep takes exactly size bytes and gives a way to read them again, and their hash.
func (c *collector) keep(from io.Reader, size int64) (open func() io.Reader, hash string, err error) {
	sum := tree.NewHash(c.format, size)
	if c.memory+size <= collectInMemory {
		b := make([]byte, size)
		if _, err := io.ReadFull(from, b); err != nil {
			return nil, "", cutShort(err)
		}
		sum.Write(b)
		c.memory += size
		return func() io.Reader { return bytes.NewReader(b) }, hex.EncodeToString(sum.Sum(nil)), nil
	}
	if c.spool == nil {
		if c.spool, err = unnamed(c.dir); err != nil {
			return nil, "", err
		}
	}
	f, at := c.spool, c.size
	n, err := io.Copy(io.MultiWriter(io.NewOffsetWriter(f, at), sum), io.LimitReader(from, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, "", cutShort(err)
	}
	c.size += size
	return func() io.Reader { return io.NewSectionReader(f, at, size) }, hex.EncodeToString(sum.Sum(nil)), nil
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("a content from the sandbox is not complete: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// unnamed makes a temporary file that is gone with its handle, however that ends.
func unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "capture-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (c *collector) close() {
	if c.spool != nil {
		_ = c.spool.Close()
	}
	*c = collector{format: c.format, dir: c.dir}
}
