package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

var _ sandbox.Trees = (*Client)(nil)

// treesClient names what this client and the agent both believe that the host knows
// of the tree. A client that is not sure any more, since an answer was lost, takes
// a new name, which the agent does not know: then a capture asks for the host's own
// list, and a write that comes late is not taken for one that the host knows of.
type treesClient struct {
	mu     sync.Mutex
	client string
	n      int  // how many names were given up
	used   bool // the agent was told of something
}

// view gives the name, and whether nothing happened under it yet.
func (v *treesClient) view() (name string, fresh bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.nameLocked(), !v.used
}

func (v *treesClient) nameLocked() string {
	if v.client == "" {
		v.client = newID()
	}
	return viewName(v.client, v.n)
}

// renew takes a new name.
func (v *treesClient) renew() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.n, v.used = v.n+1, true
	return v.nameLocked()
}

// Populate implements [sandbox.Trees].
func (c *Client) Populate(ctx context.Context, req sandbox.PopulateRequest) error {
	return c.PopulateFrom(ctx, req, "")
}

// PopulateFrom is Populate with a bundle that is a file of the sandbox; file is its path.
func (c *Client) PopulateFrom(ctx context.Context, req sandbox.PopulateRequest, file string) error {
	args := populateArgs{
		Commit: req.Commit, Branch: wireString(req.Branch), Format: req.Format, Token: req.Token, View: c.trees.renew(), Shallow: req.Shallow,
		File: wireString(file), OverClone: req.OverClone, KeepIgnored: req.KeepIgnored, Ignores: len(req.Ignore),
	}
	err := c.upload(ctx, "tree.populate", "", args, nil, func(s *stream) error {
		if err := writeEntries(s, req.Entries); err != nil {
			return refuse(sandbox.InvalidParams, "populate", "", err.Error())
		}
		if err := s.send(nothing{}); err != nil {
			return err
		}
		if err := writeLengths(s, req.Lengths); err != nil {
			return err
		}
		if err := s.send(nothing{}); err != nil {
			return err
		}
		if err := writeEntries(s, pathsOnly(req.Gone)); err != nil {
			return refuse(sandbox.InvalidParams, "populate", "", err.Error())
		}
		if err := s.send(nothing{}); err != nil {
			return err
		}
		for _, f := range req.Ignore {
			if err := s.send(ignoreFile{wireString(f.Dir), f.Content}); err != nil {
				return err
			}
		}
		if file != "" {
			return nil
		}
		_, err := copyBytes(s, &progressReader{r: contentReader{req.Bundle, ""}, total: req.Size, tell: req.Progress})
		return err
	})
	if err != nil {
		c.trees.renew()
	}
	return err
}

// pathsOnly are entries that say nothing but their paths.
func pathsOnly(paths []string) []tree.Entry {
	out := make([]tree.Entry, len(paths))
	for i, p := range paths {
		out[i].Path = p
	}
	return out
}

type progressReader struct {
	r           io.Reader
	done, total int64
	tell        func(done, total int64)
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.done += int64(n)
	if n > 0 && p.tell != nil {
		p.tell(p.done, p.total)
	}
	return n, err
}

// Capture implements [sandbox.Trees]. A client that neither populated the tree nor gave
// Entries yet is asked for them, unless its Base says that it holds nothing.
func (c *Client) Capture(ctx context.Context, req sandbox.CaptureRequest, each func(sandbox.Captured) error) (sandbox.CaptureResult, error) {
	const op = "tree.capture"
	view, fresh := c.trees.view()
	if req.Entries == nil && req.Base == "" && fresh {
		req.Entries = []tree.Entry{}
	}
	if req.Entries != nil {
		view = c.trees.renew()
	}
	s, err := c.openCapture(ctx, op, view, req)
	if err != nil {
		return sandbox.CaptureResult{}, err
	}
	defer s.Close()
	return readCapture(s, newCaptureBounds(req), each)
}

func (c *Client) openCapture(ctx context.Context, op, view string, req sandbox.CaptureRequest) (*stream, error) {
	args := captureArgs{
		View: view, Base: req.Base, HasEntries: req.Entries != nil,
		HasIgnore: req.Ignore != nil, Ignores: len(req.Ignore),
		HasInclude: req.Include != nil, Include: toWire(req.Include),
		MaxFileSize: req.MaxFileSize, MaxBytes: req.MaxBytes, Format: req.Format,
	}
	if !args.HasEntries && args.Ignores == 0 {
		return c.open(ctx, op, "", false, args)
	}
	s, err := c.open(ctx, op, "", true, args)
	if err != nil {
		return nil, err
	}
	if err := sendCapture(s, req); err != nil {
		// The agent's reason may be on its way.
		if reply := s.recv(nil); reply != nil && !errors.Is(reply, io.EOF) {
			err = refusalOr(reply, err)
		}
		s.Close()
		return nil, err
	}
	return s, nil
}

// sendCapture sends what follows the request. The agent reads all of it before it
// answers, so that this cannot block on an answer that nobody reads.
func sendCapture(s *stream, req sandbox.CaptureRequest) error {
	s.gather()
	for _, f := range req.Ignore {
		if err := s.send(ignoreFile{wireString(f.Dir), f.Content}); err != nil {
			return err
		}
	}
	if err := writeEntries(s, req.Entries); err != nil {
		return err
	}
	return s.end(nil)
}

func readCapture(s *stream, b captureBounds, each func(sandbox.Captured) error) (sandbox.CaptureResult, error) {
	var out sandbox.CaptureResult
	for {
		var rep captureReply
		if err := s.recv(&rep); err != nil {
			if errors.Is(err, io.EOF) {
				err = wrongAnswer(s.op, "", "the capture has no end")
			}
			return sandbox.CaptureResult{}, err
		}
		switch {
		case rep.Entry != nil:
			e := rep.Entry.entry()
			if err := b.take(e); err != nil {
				return sandbox.CaptureResult{}, wrongAnswer(s.op, e.Path, err.Error())
			}
			if err := readCaptured(s, e, b.format, each); err != nil {
				return sandbox.CaptureResult{}, err
			}
			out.Changed++
		case rep.Done != nil:
			if rep.Done.Changed != out.Changed {
				return sandbox.CaptureResult{}, wrongAnswer(s.op, "", fmt.Sprintf("%d changes came, and %d were announced", out.Changed, rep.Done.Changed))
			}
			out.Token = rep.Done.Token
			return out, s.expectEnd()
		default:
			for _, k := range rep.Skipped {
				if err := b.list(string(k.Path), string(k.Detail), string(k.Reason)); err != nil {
					return sandbox.CaptureResult{}, wrongAnswer(s.op, "", err.Error())
				}
				out.Skipped = append(out.Skipped, tree.Skipped{Path: string(k.Path), Reason: k.Reason, Detail: string(k.Detail)})
			}
		}
	}
}

// readCaptured hands one difference on, and sees to it that its content is what it is
// said to be.
func readCaptured(s *stream, e tree.Entry, format tree.Format, each func(sandbox.Captured) error) error {
	switch e.Mode {
	case tree.Absent:
		return callerError(s.op, e.Path, each(sandbox.Captured{Entry: tree.Entry{Path: e.Path}}))
	case tree.Regular, tree.Executable, tree.Symlink:
	default:
		return wrongAnswer(s.op, e.Path, fmt.Sprintf("the mode %o", e.Mode))
	}
	if e.Size < 0 {
		return wrongAnswer(s.op, e.Path, "a negative size")
	}
	content := newVerified(s, e, format)
	if err := each(sandbox.Captured{Entry: e, Content: content}); err != nil {
		return callerError(s.op, e.Path, err)
	}
	// What the caller did not read must be right all the same.
	_, err := copyBytes(io.Discard, content)
	return err
}

// callerError makes an error that a caller's function returned one of ours.
func callerError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return fileError(op, path, err)
}

// WriteTree implements [sandbox.Trees]. After an error some of the writes may be
// done; the next Capture then asks for the host's list, and tells them.
func (c *Client) WriteTree(ctx context.Context, writes []sandbox.TreeWrite) ([]sandbox.TreeResult, error) {
	if len(writes) == 0 {
		return nil, nil
	}
	view, fresh := c.trees.view()
	if fresh {
		view = c.trees.renew()
	}
	w := treeWrites{view: view, results: make([]sandbox.TreeResult, len(writes)), writes: writes}
	err := c.exchange(ctx, "tree.write", "", w.args(), w.send, w.receive)
	if err == nil {
		err = w.settle()
	}
	if err != nil {
		c.trees.renew()
		return nil, err
	}
	return w.results, nil
}

// Prepare tells the agent, without a capture, by which rules and bounds one would go that
// it makes by itself (agent capture): those of req.
func (c *Client) Prepare(ctx context.Context, req sandbox.CaptureRequest) error {
	view, _ := c.trees.view()
	req.Entries = nil
	s, err := c.openCapture(ctx, "tree.prepare", view, req)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.recv(nil); err != nil {
		return err
	}
	return s.expectEnd()
}

// Commits implements [sandbox.Trees]. ctx also bounds the reading of the bundle.
func (c *Client) Commits(ctx context.Context, req sandbox.CommitsRequest) (*sandbox.Commits, error) {
	known := req.Known[:min(len(req.Known), maxKnown)] // fewer make the bundle larger, no more
	s, err := c.open(ctx, "tree.commits", "", false, commitsArgs{known, req.Fingerprint})
	if err != nil {
		return nil, err
	}
	return readCommits(s, req.Fingerprint)
}

// readCommits reads an answer. The stream is closed, or it is the answer's Bundle.
func readCommits(s *stream, fingerprint string) (*sandbox.Commits, error) {
	out, bundle, err := readRefs(s, fingerprint)
	switch {
	case err != nil:
		s.Close()
		return nil, err
	case bundle:
		out.Bundle = s
		return out, nil
	}
	defer s.Close()
	return out, s.expectEnd()
}

func readRefs(s *stream, fingerprint string) (out *sandbox.Commits, bundle bool, err error) {
	var rep commitsReply
	if err := s.recv(&rep); err != nil {
		return nil, false, missing(s, err, "the answer is missing")
	}
	out = &sandbox.Commits{
		Fingerprint: rep.Fingerprint, Unchanged: rep.Unchanged || fingerprint != "" && rep.Fingerprint == fingerprint, HasGit: rep.HasGit,
		Head: rep.Head, Branch: string(rep.Branch), Problem: string(rep.Problem), Refs: map[string]string{},
	}
	if rep.RefMessages > maxRefs/refsPerMessage+1 {
		return nil, false, wrongAnswer(s.op, "", fmt.Sprintf("more than %d branches and tags", maxRefs))
	}
	for range rep.RefMessages {
		var msg commitsRefs
		if err := s.recv(&msg); err != nil {
			return nil, false, missing(s, err, "refs are missing")
		}
		for _, r := range msg.Refs {
			out.Refs[string(r.Name)] = r.ID
		}
	}
	return out, rep.Bundle, nil
}

// missing says what should have come where the answer ended.
func missing(s *stream, err error, what string) error {
	if errors.Is(err, io.EOF) {
		return wrongAnswer(s.op, "", what)
	}
	return err
}
