package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// Export is what an agent wrote down for a host that was gone (agent capture): what a
// last capture and a last question for commits would have given. A sandbox made the file,
// so that it is read under the bounds and checks of an answer; a file that was cut short
// is found out when it is opened.
type Export struct {
	f       *os.File
	head    exportHead
	capture int64 // where its capture begins
	commits int64 // and its commits
	end     int64
}

// OpenExport opens an export. A failure is a *sandbox.Error: of kind FileNotFound where
// there is none, Unavailable where it is damaged, Unsupported where another version wrote it.
func OpenExport(name string) (*Export, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fileError("read the last capture", name, err)
	}
	e := &Export{f: f}
	if err := e.index(); err != nil {
		f.Close()
		return nil, damaged(name, err)
	}
	return e, nil
}

// Close lets go of the file, which stays.
func (e *Export) Close() error { return e.f.Close() }

func damaged(name string, err error) error {
	var se *sandbox.Error
	if errors.As(err, &se) {
		return err
	}
	return &sandbox.Error{Kind: sandbox.Unavailable, Op: "read the last capture", Path: name, Message: "the file that the sandbox left is damaged: " + err.Error(), Err: err}
}

// index reads the header and finds the other parts by their frames.
func (e *Export) index() error {
	info, err := e.f.Stat()
	if err != nil {
		return err
	}
	e.end = info.Size()
	head := e.read(0, e.end, "")
	if err := head.recv(&e.head); err != nil {
		return err
	}
	if e.head.Version != ProtocolVersion {
		return &sandbox.Error{
			Kind: sandbox.Unsupported, Op: "read the last capture", Path: e.f.Name(),
			Message: fmt.Sprintf("it was written in version %d, and this program reads version %d", e.head.Version, ProtocolVersion),
			Hint:    "use the glue-lsp that opened the session to take its changes back",
		}
	}
	if e.head.Format != tree.SHA1 && e.head.Format != tree.SHA256 {
		return protocolError("an unknown object format")
	}
	if e.capture, err = e.skip(0, 1); err != nil {
		return err
	}
	if e.commits, err = e.skip(e.capture, -1); err != nil {
		return err
	}
	last, err := e.skip(e.commits, -1)
	if err == nil && last != e.end {
		err = protocolError("more than an export")
	}
	return err
}

// skip gives the offset after n frames, or, where n is negative, after the next end frame.
func (e *Export) skip(at int64, n int) (int64, error) {
	for ; n != 0; n-- {
		var head [frameHeader]byte
		if _, err := e.f.ReadAt(head[:], at); err != nil {
			return 0, cut(err)
		}
		at += frameHeader + int64(binary.BigEndian.Uint32(head[1:]))
		if at > e.end {
			return 0, io.ErrUnexpectedEOF
		}
		if n < 0 && head[0] == frameEnd {
			return at, nil
		}
	}
	return at, nil
}

// read is one part as the stream that it would have been.
func (e *Export) read(from, to int64, op string) *stream {
	s := &stream{ctx: context.Background(), c: io.NopCloser(nil), op: op}
	s.f.rw = readOnly{io.NewSectionReader(e.f, from, to-from)}
	s.failure = func(err error) error { return damaged(e.f.Name(), err) }
	return s
}

type readOnly struct{ io.Reader }

func (readOnly) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Instance names the agent that wrote it.
func (e *Export) Instance() string { return e.head.Instance }

// Capture is [sandbox.Trees]' Capture of the tree as it was. It can be asked again. The
// answer holds every path that may differ from what the host holds, and content for each:
// of a host that knows the tree by another name than the agent's last ones, a path may be
// missing that only changed in between. Such a host is asked for its Entries first.
func (e *Export) Capture(ctx context.Context, req sandbox.CaptureRequest, each func(sandbox.Captured) error) (sandbox.CaptureResult, error) {
	const op = "tree.capture"
	if req.Format != "" && req.Format != e.head.Format {
		return sandbox.CaptureResult{}, wrongAnswer(op, e.f.Name(), "it holds another kind of objects")
	}
	if !e.knows(req.Base) && req.Entries == nil {
		return sandbox.CaptureResult{}, refuse(sandbox.Stale, "capture", e.f.Name(), "the last capture was made against another tree than the host's")
	}
	req.Format = e.head.Format
	held := make(map[string]tree.Entry, len(req.Entries))
	for _, entry := range req.Entries {
		held[entry.Path] = entry
	}
	return readCapture(e.read(e.capture, e.commits, op), newCaptureBounds(req), func(c sandbox.Captured) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if req.Entries != nil && held[c.Entry.Path].Same(c.Entry) {
			return nil
		}
		return each(c)
	})
}

func (e *Export) knows(base string) bool {
	return base != "" && (base == e.head.Token || base == e.head.Next)
}

// Commits is [sandbox.Trees]' Commits: all that the host was not known to have.
func (e *Export) Commits(_ context.Context, req sandbox.CommitsRequest) (*sandbox.Commits, error) {
	return readCommits(e.read(e.commits, e.end, "tree.commits"), req.Fingerprint)
}
