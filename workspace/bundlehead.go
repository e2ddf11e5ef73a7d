package workspace

import (
	"bytes"
	"fmt"
	"io"
)

// headWriter adds to a bundle that passes through it the line which says what HEAD is, so
// that a plain `git clone` of the file checks it out. A bundle's header is its signature,
// lines that begin with "@" or "-", and its refs (gitformat-bundle(5)).
type headWriter struct {
	to     io.Writer
	commit string
	head   []byte // what came of the header so far
	done   bool
}

// maxBundleSignature is more than what comes before the refs.
const maxBundleSignature = 4 << 10

func (w *headWriter) Write(p []byte) (int, error) {
	if w.done {
		return w.to.Write(p)
	}
	w.head = append(w.head, p...)
	at := refsBegin(w.head)
	if at < 0 && len(w.head) < maxBundleSignature {
		return len(p), nil
	}
	w.done = true
	out := w.head
	if at >= 0 {
		out = fmt.Appendf(bytes.Clone(w.head[:at]), "%s HEAD\n", w.commit)
		out = append(out, w.head[at:]...)
	}
	w.head = nil
	if _, err := w.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// refsBegin finds where the first ref is in the beginning of a bundle, -1 if it has not
// come yet.
func refsBegin(head []byte) int {
	at := 0
	for line := range bytes.Lines(head) {
		if at > 0 && line[0] != '@' && line[0] != '-' {
			return at
		}
		at += len(line)
	}
	return -1
}
