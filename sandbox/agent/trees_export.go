package agent

import (
	"context"
	"io"
	"slices"
	"sync"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// A host can end before its sandbox. What it had not captured by then the agent writes
// down as an export: the answers that it would have given to a last capture and a last
// question for commits, as they travel, after a header. It is bounded by what the host
// said before, and read as carefully as an answer (see [Export]).

// exportHead begins an export.
type exportHead struct {
	Version  uint32      `json:"version"`
	Instance string      `json:"instance"`
	Format   tree.Format `json:"format"`
	// Token and Next are what the host may know the tree as. Whatever differs from either
	// is in the export, with its content.
	Token string `json:"token"`
	Next  string `json:"next,omitempty"`
}

type exportArgs struct {
	// EndCommands ends every command first, and no other can be started.
	EndCommands bool `json:"endCommands,omitempty"`
}

// lastWishes are what the host asked for the last time, by which an export goes.
type lastWishes struct {
	mu                sync.Mutex
	maxFile, maxBytes int64
	commits           []string // that the host has
}

func (w *lastWishes) bound(maxFile, maxBytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.maxFile, w.maxBytes = maxFile, maxBytes
}

func (w *lastWishes) knows(commits []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.commits = slices.Clone(commits)
}

func (w *lastWishes) read() (maxFile, maxBytes int64, commits []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.maxFile, w.maxBytes, w.commits
}

// prepare takes the rules and bounds of a capture without making one.
func (t *trees) prepare(ctx context.Context, w captureWish) error {
	if err := t.enter(ctx); err != nil {
		return err
	}
	defer t.leave()
	t.wishes.bound(w.maxFileSize, w.maxBytes)
	return t.follow(w)
}

// serveExport writes an export as raw bytes.
func (d *daemon) serveExport(t *trees) func(ctx context.Context, a exportArgs, s *stream) error {
	return func(ctx context.Context, a exportArgs, s *stream) error {
		if a.EndCommands {
			d.execs.close()
		}
		maxFile, maxBytes, known := t.wishes.read()
		err := t.recordCapture(ctx, d.hello.Instance, captureWish{maxFileSize: maxFile, maxBytes: maxBytes}, s)
		if err != nil {
			return err
		}
		// A repository that was broken is named in the export; that of another failure ends it.
		found, err := t.commits(ctx, known, "")
		if err != nil {
			return err
		}
		return record(ctx, s, func(to *stream) error { return sendCommits(to, found) })
	}
}

// recordCapture writes the header and what a capture would tell, and changes nothing of
// what host and agent know of each other: the host may come back.
func (t *trees) recordCapture(ctx context.Context, instance string, w captureWish, s *stream) error {
	if err := t.enter(ctx); err != nil {
		return err
	}
	defer t.leave()
	l := &t.ledger
	head := exportHead{Version: ProtocolVersion, Instance: instance, Format: t.format, Token: l.token, Next: l.next}
	return record(ctx, s, func(to *stream) error {
		if err := to.send(head); err != nil {
			return err
		}
		return tellCapture(to, func(sink captureSink) (sandbox.CaptureResult, error) {
			return t.tellAll(ctx, w, l.told, sink)
		})
	})
}

// record writes one operation's frames, from its first message to its end, as raw bytes
// of another.
func record(ctx context.Context, s *stream, op func(to *stream) error) error {
	to := &stream{ctx: ctx}
	to.f.rw = writeOnly{s}
	to.gather()
	if err := op(to); err != nil {
		return err
	}
	return to.end(nil)
}

// writeOnly is a stream to which frames are only written.
type writeOnly struct{ io.Writer }

func (writeOnly) Read([]byte) (int, error) { return 0, io.EOF }
