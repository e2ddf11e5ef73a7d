package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// addTreeOps adds the tree operations.
func (d *daemon) addTreeOps(o ops) {
	git, err := lookProgram("git", envValue(d.cfg.env, "PATH"), "/")
	if err != nil {
		git = ""
	}
	// Not the login environment: git needs nothing of it, and it can take long.
	t := newTrees(d.cfg.root, git, plainEnv(d.cfg.env))
	t.lent = d.cfg.lent
	o["tree.populate"] = streaming(t.servePopulate)
	o["tree.clone"] = streaming(t.serveClone)
	o["tree.capture"] = streaming(t.serveCapture)
	o["tree.write"] = streaming(t.serveWrite)
	o["tree.commits"] = streaming(t.serveCommits)
	o["tree.prepare"] = streaming(t.servePrepare)
	o["tree.export"] = streaming(d.serveExport(t))
}

func (t *trees) servePopulate(ctx context.Context, a populateArgs, s *stream) error {
	entries, err := readEntries(s)
	if err != nil {
		return err
	}
	if err := s.recv(&nothing{}); err != nil {
		return err
	}
	lengths, err := readLengths(s)
	if err != nil {
		return err
	}
	if err := s.recv(&nothing{}); err != nil {
		return err
	}
	gone, err := readEntries(s)
	if err != nil {
		return err
	}
	if err := s.recv(&nothing{}); err != nil {
		return err
	}
	w := populateWish{gone: gone, lengths: lengths, view: a.View, commit: a.Commit, branch: string(a.Branch), token: a.Token, format: a.Format, shallow: a.Shallow, entries: entries, overClone: a.OverClone, keepIgnored: a.KeepIgnored}
	for range a.Ignores {
		var f ignoreFile
		if err := s.recv(&f); err != nil {
			return err
		}
		w.ignore = append(w.ignore, tree.IgnoreFile{Dir: string(f.Dir), Content: f.Content})
	}
	var bundle io.Reader = s
	if a.File != "" {
		file, err := openBundle(string(a.File))
		if err != nil {
			return err
		}
		defer file.Close()
		bundle = file
	}
	if err := t.populate(ctx, w, bundle); err != nil {
		return err
	}
	return s.sendLast(nothing{})
}

func (t *trees) serveCapture(ctx context.Context, a captureArgs, s *stream) error {
	w, err := readCaptureWish(a, s)
	if err != nil {
		return err
	}
	s.gather()
	return tellCapture(s, func(sink captureSink) (sandbox.CaptureResult, error) { return t.capture(ctx, w, sink) })
}

// servePrepare takes a capture's request and answers with nothing.
func (t *trees) servePrepare(ctx context.Context, a captureArgs, s *stream) error {
	w, err := readCaptureWish(a, s)
	if err != nil {
		return err
	}
	if err := t.prepare(ctx, w); err != nil {
		return err
	}
	return s.sendLast(nothing{})
}

// readCaptureWish reads what follows a capture's arguments.
func readCaptureWish(a captureArgs, s *stream) (captureWish, error) {
	w := captureWish{
		view: a.View, base: a.Base, hasEntries: a.HasEntries, hasIgnore: a.HasIgnore, hasInclude: a.HasInclude,
		include: fromWire(a.Include), maxFileSize: a.MaxFileSize, maxBytes: a.MaxBytes, format: a.Format,
	}
	for range a.Ignores {
		var f ignoreFile
		if err := s.recv(&f); err != nil {
			return w, err
		}
		w.ignore = append(w.ignore, tree.IgnoreFile{Dir: string(f.Dir), Content: f.Content})
	}
	var err error
	if a.HasEntries {
		w.entries, err = readEntries(s)
	}
	return w, err
}

// tellCapture sends what a capture tells.
func tellCapture(s *stream, capture func(captureSink) (sandbox.CaptureResult, error)) error {
	done, err := capture(func(e tree.Entry, content io.Reader) error {
		we := toWireEntry(e)
		if err := s.send(captureReply{Entry: &we}); err != nil || content == nil {
			return err
		}
		_, err := copyBytes(s, content)
		return err
	})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(done.Skipped, skippedPerMessage) {
		rep := captureReply{Skipped: make([]wireSkipped, len(part))}
		for i, k := range part {
			rep.Skipped[i] = wireSkipped{wireString(k.Path), k.Reason, wireString(k.Detail)}
		}
		if err := s.send(rep); err != nil {
			return err
		}
	}
	return s.sendLast(captureReply{Done: &captureDone{done.Token, done.Changed}})
}

func (t *trees) serveWrite(ctx context.Context, a writeTreeArgs, s *stream) error {
	w, err := t.startWrite(ctx, a.View, a.Format)
	if err != nil {
		return err
	}
	defer w.close()
	var results []wireResult
	for {
		var msg wireWrite
		if err := s.recv(&msg); err != nil {
			if errors.Is(err, io.EOF) {
				break
			}
			return err
		}
		r, err := w.write(msg.Expect.entry(), msg.New.entry(), s)
		if err != nil {
			return err
		}
		results = append(results, wireResult{r.Written, toWireEntry(r.Found), wireString(r.Err)})
	}
	s.gather()
	for part := range slices.Chunk(results, resultsPerMessage) {
		if err := s.send(writeTreeReply{part}); err != nil {
			return err
		}
	}
	return nil
}

func (t *trees) serveCommits(ctx context.Context, a commitsArgs, s *stream) error {
	t.wishes.knows(a.Known)
	found, err := t.commits(ctx, a.Known, a.Fingerprint)
	if err != nil {
		return err
	}
	s.gather()
	return sendCommits(s, found)
}

// sendCommits sends what was found, and closes it.
func sendCommits(s *stream, found commitsFound) error {
	if found.bundle != nil {
		defer found.bundle.Close()
	}
	names := slices.Sorted(maps.Keys(found.refs))
	if len(names) > maxRefs {
		// The bundle is bounded alike.
		return refuse(sandbox.TooLarge, "commits", "", fmt.Sprintf("there are %d branches and tags inside, and at most %d can be taken over", len(names), maxRefs))
	}
	rep := commitsReply{
		Fingerprint: found.fingerprint, Unchanged: found.unchanged, HasGit: found.hasGit,
		Head: found.head, Branch: wireString(found.branch), Problem: wireString(strings.ToValidUTF8(found.problem, "?")),
		RefMessages: (len(names) + refsPerMessage - 1) / refsPerMessage, Bundle: found.bundle != nil, Size: found.size,
	}
	if err := s.send(rep); err != nil {
		return err
	}
	for part := range slices.Chunk(names, refsPerMessage) {
		msg := commitsRefs{Refs: make([]wireRef, len(part))}
		for i, name := range part {
			msg.Refs[i] = wireRef{wireString(name), found.refs[name]}
		}
		if err := s.send(msg); err != nil {
			return err
		}
	}
	if found.bundle == nil {
		return nil
	}
	_, err := copyBytes(s, found.bundle)
	return fileError("commits", "", err)
}
