package agent

import (
	"errors"
	"fmt"
	"io"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// treeWrites is one WriteTree on its way. Removals go first, so that a folder can take
// the place of a file, and the other way round.
type treeWrites struct {
	view    string
	writes  []sandbox.TreeWrite
	sent    []int // indexes of writes, in the order in which they were sent
	results []sandbox.TreeResult
	answers []wireResult
}

func (w *treeWrites) args() writeTreeArgs {
	a := writeTreeArgs{View: w.view, Format: tree.SHA1}
	for _, t := range w.writes {
		if len(t.Expect.Hash) > 40 || len(t.New.Hash) > 40 {
			a.Format = tree.SHA256
		}
	}
	return a
}

func (w *treeWrites) send(s *stream) error {
	for _, removals := range []bool{true, false} {
		for i := range w.writes {
			if w.writes[i].New.Exists() != removals {
				if err := w.sendOne(s, i); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sendOne sends one write. A file of the host's that cannot be read is that write's
// failure alone: without its content the agent leaves the path as it is.
func (w *treeWrites) sendOne(s *stream, i int) error {
	t := w.writes[i]
	w.results[i] = sandbox.TreeResult{Path: t.New.Path, Found: t.Expect}
	var content io.ReadCloser
	if t.New.Exists() {
		if t.Open == nil {
			w.results[i].Err = "there is no content to write"
			return nil
		}
		var err error
		if content, err = t.Open(); err != nil {
			w.results[i].Err = "the content cannot be read: " + err.Error()
			return nil
		}
		defer content.Close()
	}
	if err := s.send(wireWrite{toWireEntry(t.Expect), toWireEntry(t.New)}); err != nil {
		return err
	}
	w.sent = append(w.sent, i)
	if content == nil {
		return nil
	}
	_, err := copyBytes(s, contentReader{content, t.New.Path})
	var own *sandbox.Error
	if errors.As(err, &own) && own.Op == contentOp {
		w.results[i].Err = own.Message
		return nil
	}
	return err
}

// receive runs beside send, and so keeps the answers for settle.
func (w *treeWrites) receive(s *stream) error {
	for {
		var rep writeTreeReply
		if err := s.recv(&rep); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		w.answers = append(w.answers, rep.Results...)
		if len(w.answers) > len(w.writes) {
			return wrongAnswer(s.op, "", "more results than writes")
		}
	}
}

// settle matches the answers with the writes.
func (w *treeWrites) settle() error {
	if len(w.answers) != len(w.sent) {
		return wrongAnswer("writeTree", "", fmt.Sprintf("%d results for %d writes", len(w.answers), len(w.sent)))
	}
	for at, i := range w.sent {
		w.result(i, w.answers[at])
	}
	return nil
}

func (w *treeWrites) result(i int, r wireResult) {
	out := &w.results[i]
	mine := out.Err
	out.Written, out.Found, out.Err = r.Written, r.Found.entry(), string(r.Err)
	out.Found.Path = out.Path
	if mine != "" {
		out.Err = mine
	}
}
