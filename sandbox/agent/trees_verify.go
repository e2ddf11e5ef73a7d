package agent

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"glue-lsp/internal/tree"
)

// verified reads a content of a known size and hash. The last of it is given only
// once all of it is known to be right, so that nobody can take a wrong content for a
// complete one.
type verified struct {
	r     io.Reader
	entry tree.Entry
	sum   hash.Hash
	left  int64
	err   error
}

func newVerified(r io.Reader, e tree.Entry, f tree.Format) *verified {
	return &verified{r: r, entry: e, sum: tree.NewHash(f, e.Size), left: e.Size}
}

func (v *verified) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	if v.left == 0 {
		v.err = v.check()
		return 0, v.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := v.r.Read(p[:min(int64(len(p)), v.left)])
	v.sum.Write(p[:n])
	v.left -= int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		v.err = err
		return n, err
	case err != nil && v.left > 0:
		v.err = v.wrong(fmt.Sprintf("%d bytes are missing", v.left))
		return 0, v.err
	case v.left == 0:
		if v.err = v.check(); !errors.Is(v.err, io.EOF) {
			return 0, v.err
		}
	}
	return n, nil
}

// check gives io.EOF if everything was right.
func (v *verified) check() error {
	var more [1]byte
	for {
		n, err := v.r.Read(more[:])
		switch {
		case n > 0:
			return v.wrong("there is more than was announced")
		case errors.Is(err, io.EOF):
			if hex.EncodeToString(v.sum.Sum(nil)) != v.entry.Hash {
				return v.wrong("its hash is not the one that was announced")
			}
			return io.EOF
		case err != nil:
			return err
		}
	}
}

func (v *verified) wrong(what string) error {
	return wrongAnswer("capture", v.entry.Path, "the content is not what was announced: "+what)
}
