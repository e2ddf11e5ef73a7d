package git

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
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
// bytes long, and have Entry.Hash if that is given; without Open the store must
// already hold Entry.Hash. A path that is
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
	if base == r.emptyTree() {
		id, ok, err := r.plant(ctx, changes)
		if err != nil {
			return "", fmt.Errorf("make tree: %w", err)
		}
		if ok {
			return id, nil
		}
	}
	changes, err := r.storeContent(ctx, changes)
	if err != nil {
		return "", fmt.Errorf("make tree: %w", err)
	}
	id, err := r.update(ctx, base, changes)
	if err != nil {
		return "", fmt.Errorf("make tree: %w", err)
	}
	if err := syncPath(filepath.Join(r.Dir, "objects", "pack")); err != nil {
		return "", fmt.Errorf("make tree: %w", err)
	}
	// It fails where a pack cannot be read or written, which the next command that
	// needs one tells better; the tree is made.
	_ = r.consolidate(ctx)
	return id, nil
}

// muchContent is how many bytes are worth a pack of their own: fast-import hashes
// and compresses on one core, and slowly.
const muchContent = 1 << 20

// storeContent stores the content of changes if it is much, and gives the changes
// with that content known by its name.
func (r *Repo) storeContent(ctx context.Context, changes []Change) ([]Change, error) {
	var blobs []Blob
	var owners []int
	var size int64
	for i, c := range changes {
		if c.Open != nil && storable(c.Entry) {
			blobs = append(blobs, Blob{Name: c.Entry.Path, Size: c.Entry.Size, Open: c.Open})
			owners = append(owners, i)
			size += c.Entry.Size
		}
	}
	if size < muchContent {
		return changes, nil
	}
	hashes, err := r.AddBlobs(ctx, blobs)
	if err != nil {
		return nil, err
	}
	stored := slices.Clone(changes)
	for n, i := range owners {
		c := &stored[i]
		if c.Entry.Hash != "" && c.Entry.Hash != hashes[n] {
			return nil, wrongHash(*c, hashes[n])
		}
		c.Entry.Hash, c.Open = hashes[n], nil
	}
	return stored, nil
}

func wrongHash(c Change, got string) error {
	return fmt.Errorf("read %s: its content has the hash %s, not %s", c.Entry.Path, got, c.Entry.Hash)
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
	cause := <-fed
	if err == nil && cause == nil {
		return i.tree()
	}
	r.removeCrashReports()
	if cause != nil && !errors.Is(cause, errImportEnded) {
		return "", cause // it says more than git's "unexpected end"
	}
	return "", err
}

// removeCrashReports takes away what fast-import writes beside the objects when it
// fails: it repeats its input, and the error has been told.
func (r *Repo) removeCrashReports() {
	reports, err := filepath.Glob(filepath.Join(escapeGlob(r.Dir), "fast_import_crash_*"))
	if err != nil {
		return
	}
	for _, name := range reports {
		_ = os.Remove(name)
	}
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
	if !storable(e) && (e.Mode != Gitlink || c.Open != nil) {
		return fmt.Errorf("%s: mode %o cannot be stored", e.Path, e.Mode)
	}
	if c.Open == nil {
		if err := i.repo.checkID(e.Hash); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		_, err := fmt.Fprintf(i.w, "M %06o %s %s\n", e.Mode, e.Hash, quotePath(e.Path))
		return err
	}
	fmt.Fprintf(i.w, "M %06o inline %s\ndata %d\n", e.Mode, quotePath(e.Path), e.Size)
	h := newHash(i.repo.Format)
	h.Write(objectHeader("blob", e.Size))
	content, err := c.Open()
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	defer content.Close()
	if err := copyExactly(io.MultiWriter(i.w, h), content, e.Size); err != nil {
		return fmt.Errorf("read %s: %w", e.Path, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); e.Hash != "" && got != e.Hash {
		return wrongHash(c, got)
	}
	return i.w.WriteByte('\n')
}

// storable reports whether an entry has content that a tree can hold.
func storable(e tree.Entry) bool {
	return e.Mode == tree.Regular || e.Mode == tree.Executable || e.Mode == tree.Symlink
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

// quotePath writes a path as fast-import and lists of alternates take it (git(1),
// GIT_ALTERNATE_OBJECT_DIRECTORIES): a C-style string in which only the quote, the
// backslash and the line feed need an escape.
func quotePath(path string) string {
	return `"` + pathEscapes.Replace(path) + `"`
}

var pathEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sortEntries orders by path bytes, as every list of this package is.
func sortEntries(entries []tree.Entry) {
	slices.SortFunc(entries, func(a, b tree.Entry) int { return strings.Compare(a.Path, b.Path) })
}
