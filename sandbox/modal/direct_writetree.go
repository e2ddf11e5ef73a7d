package modal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

const (
	// ownContent and more goes up as a file of its own: what is taken out of the one file of
	// small contents is held in memory inside.
	ownContent = 8 << 20
	// Bounds of what is written in one go.
	writesPerScript = 2000
	writeBytes      = 64 << 20
)

// WriteTree implements [sandbox.Trees].
func (d *direct) WriteTree(ctx context.Context, writes []sandbox.TreeWrite) ([]sandbox.TreeResult, error) {
	const op = "writeTree"
	if len(writes) == 0 {
		return nil, nil
	}
	if err := d.enter(ctx, op); err != nil {
		return nil, err
	}
	defer d.leave()
	if d.has.hasher == "" {
		return nil, &sandbox.Error{
			Kind: sandbox.Unsupported, Op: op, Path: d.info.Root, Message: "the sandbox's image has neither sha1sum and sha256sum nor git, one of which this needs where there is no agent",
			Hint: "use an image with git or coreutils (modal.image), or set modal.transport to agent",
		}
	}
	format := tree.SHA1
	for _, w := range writes {
		if len(w.Expect.Hash) > 40 || len(w.New.Hash) > 40 {
			format = tree.SHA256
		}
	}
	if d.trees.fresh {
		d.trees.doubt()
	}
	results, err := d.writeAll(ctx, op, format, writes)
	if err != nil {
		d.trees.doubt()
		return nil, err
	}
	for _, r := range results {
		if r.Written {
			d.trees.ledger.Wrote(r.Found)
			delete(d.trees.seen, r.Path)
		}
	}
	return results, nil
}

// writeAll does the removals first, so that a folder can take the place of a file, and the
// other way round.
func (d *direct) writeAll(ctx context.Context, op string, format tree.Format, writes []sandbox.TreeWrite) ([]sandbox.TreeResult, error) {
	w := &treeWriting{direct: d, ctx: ctx, op: op, format: format, writes: writes, results: make([]sandbox.TreeResult, len(writes))}
	for _, removals := range []bool{true, false} {
		for i := range writes {
			if writes[i].New.Exists() == removals {
				continue
			}
			if err := w.add(i); err != nil {
				return nil, errors.Join(err, w.close())
			}
		}
	}
	return w.results, errors.Join(w.flush(), w.close())
}

// treeWriting is one WriteTree under way.
type treeWriting struct {
	*direct
	ctx     context.Context
	op      string
	format  tree.Format
	writes  []sandbox.TreeWrite
	results []sandbox.TreeResult

	batch   []int
	args    []string
	content *os.File // the contents of the batch, one after another
	bytes   int64
}

func (w *treeWriting) close() error {
	if w.content != nil {
		drop(w.content)
		w.content = nil
	}
	return nil
}

// add puts one write into the batch. What cannot be sent is that write's failure alone.
func (w *treeWriting) add(i int) error {
	one := w.writes[i]
	w.results[i] = sandbox.TreeResult{Path: one.New.Path, Found: one.Expect}
	w.results[i].Found.Path = one.New.Path
	why, from := badPath(one.New.Path), ""
	if why == "" && one.New.Exists() {
		var err error
		if from, why, err = w.send(one); err != nil {
			return err
		}
	}
	if why != "" {
		w.results[i].Err = why
		return nil
	}
	w.batch = append(w.batch, i)
	w.args = append(w.args, one.New.Path, octal(one.Expect.Mode), hashOrNone(one.Expect), octal(one.New.Mode), hashOrNone(one.New),
		strconv.FormatInt(one.New.Size, 10), agent.UnfinishedName(), from)
	if len(w.batch) >= writesPerScript || w.bytes >= writeBytes {
		return w.flush()
	}
	return nil
}

func octal(m tree.Mode) string { return strconv.FormatUint(uint64(m), 8) }

func hashOrNone(e tree.Entry) string {
	if e.Exists() {
		return e.Hash
	}
	return "-"
}

// send takes in a write's content, which has to be what was announced. from is a link's
// target, or where a large content is inside.
func (w *treeWriting) send(one sandbox.TreeWrite) (from, why string, err error) {
	if one.Open == nil {
		return "", "there is no content to write", nil
	}
	in, err := one.Open()
	if err != nil {
		return "", "the content cannot be read: " + err.Error(), nil
	}
	defer in.Close()
	content, err := tree.SpoolContent(in, one.New.Mode, one.New.Size, w.format)
	if err != nil {
		return "", "the content cannot be read: " + err.Error(), nil
	}
	defer content.Close()
	if n, _ := in.Read(make([]byte, 1)); n > 0 || content.Entry().Hash != one.New.Hash {
		return "", "the content is not what was announced", nil
	}
	switch {
	case one.New.Mode == tree.Symlink:
		target, err := io.ReadAll(content.Reader())
		if err == nil && (len(target) == 0 || len(target) > maxPath || slices.Contains(target, 0)) {
			return "", "a link cannot have this target", nil
		}
		return string(target), "", err
	case one.New.Size >= ownContent:
		return w.sendOwn(content)
	}
	if w.content == nil {
		if w.content, err = w.spool(w.op); err != nil {
			return "", "", err
		}
	}
	if _, err := io.Copy(w.content, content.Reader()); err != nil {
		return "", "", &sandbox.Error{Kind: sandbox.NoSpace, Op: w.op, Path: w.content.Name(), Message: err.Error(), Err: err}
	}
	w.bytes += one.New.Size
	return "", "", nil
}

// sendOwn sends a large content to the tree's own file system, under a name that no
// capture takes for a change.
func (w *treeWriting) sendOwn(content *tree.Content) (from, why string, err error) {
	f, err := w.spool(w.op)
	if err != nil {
		return "", "", err
	}
	defer drop(f)
	if _, err := io.Copy(f, content.Reader()); err != nil {
		return "", "", &sandbox.Error{Kind: sandbox.NoSpace, Op: w.op, Path: f.Name(), Message: err.Error(), Err: err}
	}
	from = path.Join(w.info.Root, agent.UnfinishedName())
	return from, "", w.call(w.ctx, w.op, "", "fs/upload", map[string]any{"path": from, "localPath": f.Name()}, nil)
}

// flush carries the batch out.
func (w *treeWriting) flush() error {
	if len(w.batch) == 0 {
		return nil
	}
	payload := ""
	if w.content != nil {
		payload = "/tmp/" + agent.UnfinishedName()
		if err := w.call(w.ctx, w.op, "", "fs/upload", map[string]any{"path": payload, "localPath": w.content.Name()}, nil); err != nil {
			return err
		}
	}
	args := append([]string{w.info.Root, payload, strconv.FormatInt(w.bytes, 10), w.has.hasher, string(w.format)}, w.args...)
	r, err := w.sh(w.ctx, w.op, "", script{name: "writetree.sh", args: args})
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(r.out), "\n"), "\n")
	if len(lines) != len(w.batch)+1 || lines[len(w.batch)] != "end" {
		return refuse(sandbox.Unavailable, w.op, "", fmt.Sprintf("the sandbox answered about %d of %d writes", len(lines)-1, len(w.batch)))
	}
	for at, i := range w.batch {
		if err := w.settle(i, lines[at]); err != nil {
			return err
		}
	}
	w.batch, w.args, w.bytes = nil, nil, 0
	return w.close()
}

// whyNotWritten are the reasons of writetree.sh.
var whyNotWritten = map[string]string{
	"changed":       "it changed in the sandbox in the meantime",
	"other":         "there is something in the sandbox that is no file",
	"link":          "the path leads through a symbolic link",
	"notADirectory": "a folder of the path is not a directory in the sandbox",
	"failed":        "it could not be written in the sandbox",
}

func (w *treeWriting) settle(i int, line string) error {
	out := &w.results[i]
	var word, mode, hash string
	var size int64
	if _, err := fmt.Sscanf(line, "%s %s %s %d", &word, &mode, &hash, &size); err != nil {
		return refuse(sandbox.Unavailable, w.op, out.Path, "the sandbox's answer cannot be read")
	}
	found := tree.Entry{Path: out.Path}
	if m, err := strconv.ParseUint(mode, 8, 32); err == nil && m != 0 {
		found.Mode, found.Hash, found.Size = tree.Mode(m), hash, size
	}
	if word == "written" {
		out.Written, out.Found = true, w.writes[i].New
		return nil
	}
	why, known := whyNotWritten[word]
	if !known {
		return refuse(sandbox.Unavailable, w.op, out.Path, "the sandbox's answer cannot be read")
	}
	out.Err = why
	if word == "changed" || word == "failed" {
		out.Found = found
	}
	return nil
}
