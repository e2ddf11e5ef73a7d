package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
)

// Change is one path of an Update.
type Change struct {
	Entry tree.Entry                    // Absent removes the path
	Open  func() (io.ReadCloser, error) // nil when the store already has Entry.Hash
}

// Update makes a tree out of base (a tree id, "" for empty) and changes, and gives
// the new tree's id. Content comes from each change's Open and must be Entry.Size
// bytes long; without Open the store must already hold Entry.Hash. A path that is
// written replaces a file or a folder that was in its way; removing a path where
// there is no file does nothing. What is written is durable when Update returns.
func (r *Repo) Update(ctx context.Context, base string, changes []Change) (string, error) {
	if base == "" {
		base = r.emptyTree()
	}
	if err := r.checkID(base); err != nil {
		return "", fmt.Errorf("make tree: %w", err)
	}
	if len(changes) == 0 {
		return base, nil
	}
	id, err := r.update(ctx, base, changes)
	if err != nil {
		return "", fmt.Errorf("make tree: %w", err)
	}
	if err := syncPath(filepath.Join(r.Dir, "objects", "pack")); err != nil {
		return "", fmt.Errorf("make tree: %w", err)
	}
	return id, nil
}

// update runs fast-import; env may send it to other object folders.
func (r *Repo) update(ctx context.Context, base string, changes []Change, env ...string) (string, error) {
	in, feed := io.Pipe()
	answers := newLineReader()
	i := &importer{repo: r, w: bufio.NewWriterSize(feed, 256<<10), answers: answers}
	fed := make(chan error, 1)
	go func() {
		err := i.feed(base, changes)
		feed.CloseWithError(err)
		fed <- err
	}()
	err := r.Run(ctx, Cmd{
		Args:  []string{"fast-import", "--quiet", "--done", "--depth=0", "--date-format=raw"},
		Stdin: in, Stdout: answers, Env: env,
	})
	in.CloseWithError(errImportEnded)
	answers.end()
	if cause := <-fed; cause != nil && !errors.Is(cause, errImportEnded) {
		return "", cause // it says more than git's "unexpected end"
	}
	if err != nil {
		return "", err
	}
	return i.tree()
}

var errImportEnded = errors.New("fast-import has ended")

// importer writes the stream that makes a tree: a commit on a ref that the stream
// itself takes away again, because only commits have trees there
// (git-fast-import(1)).
type importer struct {
	repo    *Repo
	w       *bufio.Writer
	answers *lineReader
}

func (i *importer) feed(base string, changes []Change) error {
	const ref = "refs/glue/import"
	fmt.Fprintf(i.w, "commit %s\nmark :1\ncommitter glue <glue> 0 +0000\ndata 0\n", ref)
	if base != i.repo.emptyTree() {
		fmt.Fprintf(i.w, "M 040000 %s \"\"\n", base)
	}
	// Removals first: a removed file may make room for a folder, or the reverse.
	if err := i.remove(changes); err != nil {
		return err
	}
	for _, c := range changes {
		if !c.Entry.Exists() {
			continue
		}
		if err := i.write(c); err != nil {
			return err
		}
	}
	fmt.Fprintf(i.w, "\nls :1 \"\"\nreset %s\nfrom %s\n\ndone\n", ref, i.repo.zeroID())
	return i.w.Flush()
}

// remove takes files away. It asks first what is at each path: "D" would take a
// whole folder, where the caller means a file that is not there any more.
func (i *importer) remove(changes []Change) error {
	var paths []string
	for _, c := range changes {
		if !c.Entry.Exists() {
			paths = append(paths, quotePath(c.Entry.Path))
			fmt.Fprintf(i.w, "ls %s\n", paths[len(paths)-1])
		}
	}
	if len(paths) == 0 {
		return nil
	}
	if err := i.w.Flush(); err != nil {
		return err
	}
	for _, p := range paths {
		answer, err := i.answers.next()
		if err != nil {
			return err
		}
		if strings.HasPrefix(answer, "missing ") || strings.HasPrefix(answer, "040000 ") {
			continue
		}
		fmt.Fprintf(i.w, "D %s\n", p)
	}
	return nil
}

// tree reads the last answer: "040000 tree <id>\t", or "missing " for a tree that
// has become empty.
func (i *importer) tree() (string, error) {
	answer, err := i.answers.next()
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(answer, "missing") {
		return i.repo.emptyTree(), nil
	}
	f := strings.Fields(answer)
	if len(f) < 3 || f[1] != "tree" {
		return "", fmt.Errorf("fast-import answered %q", answer)
	}
	return f[2], i.repo.checkID(f[2])
}

func (i *importer) write(c Change) error {
	e := c.Entry
	if e.Path == "" || strings.ContainsRune(e.Path, 0) {
		return fmt.Errorf("%q is not a path that a tree can hold", e.Path)
	}
	switch e.Mode {
	case tree.Regular, tree.Executable, tree.Symlink:
	case Gitlink:
		if c.Open != nil {
			return fmt.Errorf("%s: a gitlink has no content", e.Path)
		}
	default:
		return fmt.Errorf("%s: mode %o cannot be stored", e.Path, e.Mode)
	}
	if c.Open == nil {
		if err := i.repo.checkID(e.Hash); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		_, err := fmt.Fprintf(i.w, "M %06o %s %s\n", e.Mode, e.Hash, quotePath(e.Path))
		return err
	}
	content, err := c.Open()
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	defer content.Close()
	fmt.Fprintf(i.w, "M %06o inline %s\ndata %d\n", e.Mode, quotePath(e.Path), e.Size)
	if err := copyExactly(i.w, content, e.Size); err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	return i.w.WriteByte('\n')
}

// copyExactly copies size bytes and fails if there are fewer or more.
func copyExactly(w io.Writer, from io.Reader, size int64) error {
	n, err := io.CopyN(w, from, size)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it ended after %d bytes of %d", n, size)
	}
	if err != nil {
		return err
	}
	var more [1]byte
	if n, err := io.ReadFull(from, more[:]); n > 0 {
		return fmt.Errorf("it is longer than %d bytes", size)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// quotePath writes a path as fast-import reads it: a C-style string in which only
// the quote, the backslash and the line feed need an escape.
func quotePath(path string) string {
	return `"` + pathEscapes.Replace(path) + `"`
}

var pathEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sortEntries orders by path bytes, as every list of this package is.
func sortEntries(entries []tree.Entry) {
	slices.SortFunc(entries, func(a, b tree.Entry) int { return strings.Compare(a.Path, b.Path) })
}
