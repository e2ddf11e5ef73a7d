package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// Decoder decodes objects that are held as they lie in a pack. It is for one
// goroutine. As with [Stream], nothing is believed unseen.
type Decoder struct {
	in   bytes.Reader
	z    io.ReadCloser
	left int64

	raw     []byte // for Entry.Content
	content bytes.Buffer
}

// Start begins to decode an object, and gives its kind and size. A delta is an
// ErrDelta.
func (d *Decoder) Start(raw []byte) (Kind, int64, error) {
	d.in.Reset(raw)
	kind, size, err := readHeader(&d.in)
	if err != nil {
		return 0, 0, err
	}
	if d.z == nil {
		d.z, err = zlib.NewReader(&d.in)
	} else {
		err = d.z.(zlib.Resetter).Reset(&d.in, nil)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("an object is not compressed as it should be: %w", cut(err))
	}
	d.left = size
	return kind, size, nil
}

// Read gives the content. Less or more of it than the object's header says is an
// error, and so are bytes after it.
func (d *Decoder) Read(p []byte) (int, error) {
	if d.left == 0 {
		var one [1]byte
		n, err := d.z.Read(one[:])
		switch {
		case n > 0:
			return 0, errors.New("an object is longer than it says")
		case err == nil:
			return 0, nil
		case errors.Is(err, io.EOF) && d.in.Len() > 0:
			return 0, fmt.Errorf("an object is followed by %d bytes of something else", d.in.Len())
		}
		return 0, err
	}
	n, err := d.z.Read(p[:min(int64(len(p)), d.left)])
	if d.left -= int64(n); errors.Is(err, io.EOF) {
		err = nil // told by the next Read
		if d.left > 0 {
			err = errors.New("an object is shorter than it says")
		}
	}
	return n, err
}
