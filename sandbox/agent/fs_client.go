package agent

import (
	"context"
	"errors"
	"fmt"
	"io"

	"glue-lsp/sandbox"
)

var _ sandbox.Files = (*Client)(nil)

// Stat implements [sandbox.Files].
func (c *Client) Stat(ctx context.Context, path string) (sandbox.FileInfo, error) {
	var rep statReply
	if err := c.do(ctx, "fs.stat", path, pathArgs{wireString(path)}, &rep); err != nil {
		return sandbox.FileInfo{}, err
	}
	return rep.info(), nil
}

// StatMany implements [sandbox.Files]: up to 1,000 paths are one round trip.
func (c *Client) StatMany(ctx context.Context, paths []string) ([]sandbox.StatResult, error) {
	out := make([]sandbox.StatResult, 0, len(paths))
	for len(paths) > 0 {
		n := min(len(paths), statsPerMessage)
		var rep statManyReply
		if err := c.do(ctx, "fs.statMany", "", pathsArgs{toWire(paths[:n])}, &rep); err != nil {
			return nil, err
		}
		if len(rep.Results) != n {
			return nil, wrongAnswer("fs.statMany", "", fmt.Sprintf("%d results for %d paths", len(rep.Results), n))
		}
		for _, r := range rep.Results {
			switch {
			case r.Error != nil:
				out = append(out, sandbox.StatResult{Err: r.Error.err()})
			case r.Stat != nil:
				out = append(out, sandbox.StatResult{Info: r.Stat.info()})
			default:
				return nil, wrongAnswer("fs.statMany", "", "an empty result")
			}
		}
		paths = paths[n:]
	}
	return out, nil
}

// maxDirEntries bounds what a directory may cost in memory here.
const maxDirEntries = 2_000_000

// ReadDir implements [sandbox.Files].
func (c *Client) ReadDir(ctx context.Context, path string) ([]sandbox.DirEntry, error) {
	var rep readDirReply
	s, err := c.call(ctx, "fs.readDir", path, pathArgs{wireString(path)}, &rep)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	out := []sandbox.DirEntry{}
	text := 0
	for {
		for _, e := range rep.Entries {
			text += len(e.Name)
			out = append(out, sandbox.DirEntry{Name: string(e.Name), Type: e.Type, IsSymlink: e.Link})
		}
		if len(out) > maxDirEntries || text > maxListedText {
			return nil, refuse(sandbox.TooLarge, "readDirectory", path, fmt.Sprintf("it has more than %d entries", maxDirEntries))
		}
		rep = readDirReply{}
		if err := s.recv(&rep); err != nil {
			if errors.Is(err, io.EOF) {
				return out, nil
			}
			return nil, err
		}
	}
}

// ReadFile implements [sandbox.Files]. The content is read as the caller reads it. ctx
// bounds that, too.
func (c *Client) ReadFile(ctx context.Context, path string, offset, length int64) (io.ReadCloser, int64, error) {
	return c.ReadBelow(ctx, path, offset, length, 0)
}

// WriteFile implements [sandbox.Files]. Nothing shows of a write that fails, whichever
// side it fails on.
func (c *Client) WriteFile(ctx context.Context, path string, content io.Reader, opts sandbox.WriteOptions) (int64, error) {
	args := writeArgs{wireString(path), opts.Mode, opts.Create, opts.Overwrite}
	var rep sizeReply
	err := c.upload(ctx, "fs.write", path, args, &rep, func(s *stream) error {
		_, err := copyBytes(s, contentReader{content, path})
		return err
	})
	return rep.Size, err
}

// contentOp marks a failure of the caller's own reader.
const contentOp = "read the content"

// contentReader tells a failure of the caller's reader from the stream's.
type contentReader struct {
	io.Reader
	path string
}

func (r contentReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &sandbox.Error{
			Kind: sandbox.Unavailable, Op: contentOp, Path: r.path,
			Message: "the content cannot be read: " + err.Error(), Err: err,
		}
	}
	return n, err
}

// upload is an operation with a long request and one answer.
func (c *Client) upload(ctx context.Context, op, path string, args, reply any, send func(*stream) error) error {
	return c.exchange(ctx, op, path, args, send, func(s *stream) error {
		err := s.recv(reply)
		switch {
		case errors.Is(err, io.EOF):
			return wrongAnswer(op, path, "no answer")
		case err != nil:
			return err
		}
		return s.expectEnd()
	})
}

// exchange is an operation with a long request. The agent's refusal can come while the
// request is still being sent, which then stops; receive runs beside send until all
// is sent, and must not return before the answer is complete.
func (c *Client) exchange(ctx context.Context, op, path string, args any, send, receive func(*stream) error) error {
	s, err := c.open(ctx, op, path, true, args)
	if err != nil {
		return err
	}
	defer s.Close()
	answered := make(chan error, 1)
	go func() {
		err := receive(s)
		if err != nil {
			s.Close() // nobody reads any more what is being sent
		}
		answered <- err
	}()
	s.gather()
	sendErr := send(s)
	if sendErr == nil {
		sendErr = s.end(nil)
	}
	if sendErr != nil {
		// The agent's reason, if it gave one, says more than that the stream ended.
		s.Close()
		return refusalOr(<-answered, sendErr)
	}
	return <-answered
}

// refusalOr gives the agent's own refusal if that is what ended an upload, else the
// error of the sending side.
func refusalOr(answer, sent error) error {
	var e, own *sandbox.Error
	if errors.As(answer, &e) && e.Err == nil && e.Kind != sandbox.ExecutorDead {
		return answer
	}
	if errors.As(sent, &own) || errors.Is(sent, context.Canceled) || errors.Is(sent, context.DeadlineExceeded) {
		return sent
	}
	return answer
}

// Mkdir implements [sandbox.Files].
func (c *Client) Mkdir(ctx context.Context, path string, recursive bool) error {
	return c.do(ctx, "fs.mkdir", path, mkdirArgs{wireString(path), recursive}, nil)
}

// Remove implements [sandbox.Files].
func (c *Client) Remove(ctx context.Context, path string, recursive, force bool) error {
	return c.do(ctx, "fs.remove", path, removeArgs{wireString(path), recursive, force}, nil)
}

// Rename implements [sandbox.Files].
func (c *Client) Rename(ctx context.Context, from, to string, overwrite bool) error {
	return c.do(ctx, "fs.rename", from, moveArgs{wireString(from), wireString(to), overwrite}, nil)
}

// Copy implements [sandbox.Files].
func (c *Client) Copy(ctx context.Context, from, to string, overwrite bool) error {
	return c.do(ctx, "fs.copy", from, moveArgs{wireString(from), wireString(to), overwrite}, nil)
}

func wrongAnswer(op, path, what string) error {
	return &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Path: path, Message: "the agent gave a wrong answer: " + what}
}
