package agent

import (
	"errors"
	"fmt"
	"math"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// captureBounds are what a capture may cost the host. The agent was asked to keep to
// them; whether it does is not left to it.
type captureBounds struct {
	format  tree.Format
	maxFile int64 // bytes of one content
	room    int64 // bytes left for contents
	items   int   // left for differences and skipped paths
	text    int   // bytes left for their names
}

// Bounds on the lists that come with a capture, which are held in memory.
const (
	maxListed     = 2 * maxChanged
	maxListedText = 192 << 20
)

func newCaptureBounds(req sandbox.CaptureRequest) captureBounds {
	b := captureBounds{format: req.Format, maxFile: math.MaxInt64, room: math.MaxInt64, items: maxListed, text: maxListedText}
	if req.MaxFileSize > 0 {
		b.maxFile = req.MaxFileSize
	}
	if req.MaxBytes > 0 {
		b.room = req.MaxBytes
	}
	return b
}

// take counts one difference.
func (b *captureBounds) take(e tree.Entry) error {
	if err := b.list(e.Path, e.Hash); err != nil || e.Size <= 0 {
		return err
	}
	if e.Size > b.maxFile {
		return fmt.Errorf("a file of %d bytes, where at most %d were asked for", e.Size, b.maxFile)
	}
	if e.Size > b.room {
		return errors.New("more content than was asked for")
	}
	b.room -= e.Size
	return nil
}

// list counts one item of a list, with its texts.
func (b *captureBounds) list(texts ...string) error {
	b.items--
	for _, t := range texts {
		b.text -= len(t)
	}
	if b.items < 0 || b.text < 0 {
		return errors.New("its lists are too long")
	}
	return nil
}
