package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// After it come, as raw bytes, the objects' ids.
type cloneArgs struct {
	Sources []sandbox.CloneSource `json:"sources"`
	Format  tree.Format           `json:"format"`
	Keep    bool                  `json:"keep,omitempty"`
}

// One of the fields is set. After Done come, as raw bytes, the answers: a bit for each
// object, the lowest first.
type cloneReply struct {
	Progress wireString `json:"progress,omitempty"`
	Done     *cloneDone `json:"done,omitempty"`
}

type cloneDone struct {
	URL string `json:"url"`
}

// FetchRemote is [sandbox.Cloner]'s CloneRemote, for sandboxes to which a remote is nearer
// than the host is.
func (c *Client) FetchRemote(ctx context.Context, req sandbox.CloneRequest) (sandbox.CloneResult, error) {
	const op = "tree.clone"
	if req.Format == "" {
		req.Format = tree.SHA1
	}
	var out sandbox.CloneResult
	send := func(s *stream) error { return writeIDs(s, req.Objects) }
	err := c.exchange(ctx, op, "", cloneArgs{req.Sources, req.Format, req.KeepIgnored}, send, func(s *stream) error {
		for {
			var rep cloneReply
			if err := s.recv(&rep); err != nil {
				return missing(s, err, "the clone has no end")
			}
			if rep.Done == nil {
				if req.Progress != nil {
					req.Progress(string(rep.Progress))
				}
				continue
			}
			bits, err := io.ReadAll(io.LimitReader(s, int64(len(req.Objects)/8+2)))
			if err != nil {
				return err
			}
			if len(bits) != (len(req.Objects)+7)/8 {
				return wrongAnswer(op, "", "not one answer for each object")
			}
			out = sandbox.CloneResult{URL: rep.Done.URL, Has: make([]bool, len(req.Objects))}
			for i := range out.Has {
				out.Has[i] = bits[i/8]&(1<<(i%8)) != 0
			}
			return s.expectEnd()
		}
	})
	return out, err
}

// tellEvery is how often progress is worth a message.
const tellEvery = time.Second / 4

func writeIDs(w io.Writer, ids []string) error {
	var buf []byte
	for _, id := range ids {
		raw, err := hex.DecodeString(id)
		if err != nil {
			return refuse(sandbox.InvalidParams, "clone", "", "an object's id is "+id)
		}
		if buf = append(buf, raw...); len(buf) > 32<<10 {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	_, err := w.Write(buf)
	return err
}

// serveClone is the agent's side.
func (t *trees) serveClone(ctx context.Context, a cloneArgs, s *stream) error {
	size := 20
	if a.Format == tree.SHA256 {
		size = 32
	}
	w := cloneWish{sources: a.Sources, format: a.Format, keep: a.Keep}
	for id := make([]byte, size); ; {
		_, err := io.ReadFull(s, id)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return cut(err)
		}
		if len(w.objects) == maxEntries {
			return protocolError("more than %d objects", maxEntries)
		}
		w.objects = append(w.objects, hex.EncodeToString(id))
	}
	var told time.Time
	from, has, err := t.clone(ctx, w, func(line string) {
		if now := time.Now(); now.Sub(told) >= tellEvery {
			told = now
			_ = s.send(cloneReply{Progress: wireString(line)})
		}
	})
	if err != nil {
		return err
	}
	s.gather()
	if err := s.send(cloneReply{Done: &cloneDone{URL: from}}); err != nil {
		return err
	}
	bits := make([]byte, (len(has)+7)/8)
	for i, there := range has {
		if there {
			bits[i/8] |= 1 << (i % 8)
		}
	}
	_, err = s.Write(bits)
	return err
}
