package modal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// Contents of streamedContent and more do not go over the agent's stream, but from and to
// files of this machine, which is several times quicker. The agent's stream is what is
// left where that does not work, and its answers decide in any case.

// arrivals is where contents arrive in a sandbox.
const arrivals = agentDir + "/in"

const (
	// keepFree bytes of this machine's disk are left alone by contents on their way.
	keepFree = 256 << 20
	// downloadPart bytes come by one command: the SDK holds as much in memory.
	downloadPart = 24 << 20
	// spoolStep is after how many bytes the disk is looked at again.
	spoolStep = 64 << 20
)

// ReadFile implements [sandbox.Files].
func (b *agentBox) ReadFile(ctx context.Context, p string, offset, length int64) (io.ReadCloser, int64, error) {
	if length >= 0 && length < streamedContent {
		return b.Client.ReadFile(ctx, p, offset, length)
	}
	r, size, err := b.ReadBelow(ctx, p, offset, length, streamedContent)
	if err != nil || r != nil {
		return r, size, err
	}
	part := size - offset
	if length >= 0 {
		part = min(part, length)
	}
	f, err := b.download(ctx, p, offset, part)
	if err != nil {
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		b.logAside("reading", p, err)
		return b.Client.ReadFile(ctx, p, offset, length)
	}
	return f, size, nil
}

// download copies part of a file to one of this machine, which has no name any more where
// the system allows that. A file that grows meanwhile gives no more than was asked for.
func (b *agentBox) download(ctx context.Context, p string, offset, length int64) (io.ReadCloser, error) {
	if !path.IsAbs(p) {
		p = b.Cwd() + "/" + p
	}
	if p = path.Clean(p); !utf8.ValidString(p) {
		return nil, errors.New("the path is not UTF-8, which Modal's commands are")
	}
	f, err := b.temporary(length + downloadPart)
	if err != nil {
		return nil, err
	}
	part, err := b.temporary(downloadPart)
	if err != nil {
		drop(f)
		return nil, err
	}
	defer drop(part)
	size, file := int64(0), ""
	for size < length {
		n, which, err := b.downloadPart(ctx, part, p, offset+size, min(length-size, downloadPart))
		if err == nil && size > 0 && n > 0 && which != file {
			err = errors.New("another file has taken its place")
		}
		if err == nil {
			_, err = io.Copy(f, io.NewSectionReader(part, 0, n))
		}
		if err != nil {
			drop(f)
			return nil, err
		}
		if n == 0 {
			break // it is shorter by now
		}
		size, file = size+n, which
	}
	_ = os.Remove(f.Name())
	return unnamed{io.NewSectionReader(f, 0, size), f}, nil
}

// downloadPart has f take a part of a file, and tells how many bytes came of which file.
func (b *agentBox) downloadPart(ctx context.Context, f *os.File, p string, offset, length int64) (n int64, which string, err error) {
	b.mu.Lock()
	program := b.state.Agent
	b.mu.Unlock()
	var r struct {
		ExitCode int
		Size     int64
		Stderr   string
	}
	err = b.aside(ctx, "exec/pipe", map[string]any{
		"argv": append([]string{program}, agent.ReadCommand(p, offset, length)...), "stdoutPath": f.Name(), "maxBytes": length,
	}, &r)
	if err != nil {
		return 0, "", err
	}
	count, which, ok := strings.Cut(strings.TrimSpace(r.Stderr), " ")
	if r.ExitCode != 0 || !ok || count != strconv.FormatInt(r.Size, 10) {
		return 0, "", errors.New("not all of it came: " + clip(r.Stderr, 200))
	}
	return r.Size, which, nil
}

// WriteFile implements [sandbox.Files].
func (b *agentBox) WriteFile(ctx context.Context, p string, content io.Reader, opts sandbox.WriteOptions) (int64, error) {
	if known, ok := content.(interface{ Len() int }); ok && known.Len() < streamedContent {
		return b.Client.WriteFile(ctx, p, content, opts)
	}
	head, err := io.ReadAll(io.LimitReader(content, smallContent))
	rest := content
	if err != nil {
		rest = endsIn{err}
	}
	if err != nil || len(head) < smallContent {
		return b.Client.WriteFile(ctx, p, io.MultiReader(bytes.NewReader(head), rest), opts)
	}
	f, err := b.temporary(spoolStep)
	if err != nil {
		b.logAside("writing", p, err)
		return b.Client.WriteFile(ctx, p, io.MultiReader(bytes.NewReader(head), rest), opts)
	}
	defer drop(f)
	s := &spooled{f: f, room: b.room, free: spoolStep, rest: io.MultiReader(bytes.NewReader(head), readerUntil{ctx, content})}
	err = s.take(streamedContent)
	if err != nil || s.size < streamedContent {
		return b.Client.WriteFile(ctx, p, s.reader(), opts)
	}
	began := false
	n, err := b.WriteAside(ctx, p, arrivals, opts, func(to string) (int64, error) {
		began = true
		if err := s.take(math.MaxInt64); err != nil {
			return 0, &notSent{err}
		}
		if err := b.aside(ctx, "fs/upload", map[string]any{"path": to, "localPath": f.Name()}, nil); err != nil {
			return 0, &notSent{err}
		}
		return s.size, nil
	})
	var not *notSent
	switch {
	case err == nil:
		return n, nil
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case s.broken != nil:
		return 0, &sandbox.Error{Kind: sandbox.Unavailable, Op: "writeFile", Path: p, Message: "the content cannot be read: " + s.broken.Error(), Err: s.broken}
	case errors.As(err, &not):
		b.logAside("writing", p, not.err)
	case began || !kindIs(err, sandbox.Unsupported):
		return 0, err
	}
	// An agent that was there before may not know the operation.
	return b.Client.WriteFile(ctx, p, s.reader(), opts)
}

// notSent says that a content did not go beside the agent's stream.
type notSent struct{ err error }

func (e *notSent) Error() string { return e.err.Error() }
func (e *notSent) Unwrap() error { return e.err }

// aside asks the sidecar about this sandbox, while that lives.
func (b *agentBox) aside(ctx context.Context, method string, params map[string]any, result any) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-b.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	p, err := b.process(ctx)
	if err != nil {
		return err
	}
	params["sandboxId"] = b.info.ID
	return p.call(ctx, method, params, result)
}

func (b *agentBox) logAside(doing, p string, err error) {
	if b.spec.Log != nil {
		b.spec.Log("%s %q goes over the agent's stream: %v", doing, p, err)
	}
}

// temporary is a private file in the session's folder, where there is room for so much.
func (b *agentBox) temporary(size int64) (*os.File, error) {
	if err := b.room(size); err != nil {
		return nil, err
	}
	return os.CreateTemp(b.spec.Dir, "content-*.tmp")
}

var errNoRoom = errors.New("there is little space left on this machine")

func (b *agentBox) room(size int64) error {
	if why := b.death(); why != nil {
		return why
	}
	dir := b.spec.Dir
	if dir == "" {
		dir = os.TempDir()
	}
	free, err := freeBytes(dir)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil
	case err != nil:
		return err
	case free-size < keepFree:
		return errNoRoom
	}
	return nil
}

// spooled is a content that is on its way into a file.
type spooled struct {
	f    *os.File
	size int64
	rest io.Reader // what the file does not have yet
	room func(int64) error
	free int64 // up to which size there is room
	// broken is why the content cannot be read.
	broken error
}

// take has the file take the content up to a size or its end. After an error, reader
// still gives all of it.
func (s *spooled) take(upto int64) error {
	buf := make([]byte, 256<<10)
	for s.size < upto {
		if s.size >= s.free {
			if err := s.room(spoolStep); err != nil {
				return err
			}
			s.free += spoolStep
		}
		n, err := s.rest.Read(buf[:min(int64(len(buf)), upto-s.size)])
		if _, werr := s.f.WriteAt(buf[:n], s.size); werr != nil {
			rest := s.rest
			if err != nil {
				rest = endsIn{err}
			}
			s.rest = io.MultiReader(bytes.NewReader(bytes.Clone(buf[:n])), rest)
			return werr
		}
		s.size += int64(n)
		if err != nil {
			s.rest = endsIn{err}
			if errors.Is(err, io.EOF) {
				return nil
			}
			s.broken = err
			return err
		}
	}
	return nil
}

func (s *spooled) reader() io.Reader {
	return io.MultiReader(io.NewSectionReader(s.f, 0, s.size), s.rest)
}

// endsIn is what is left of a reader that has given an error, or its end.
type endsIn struct{ err error }

func (f endsIn) Read([]byte) (int, error) { return 0, f.err }
