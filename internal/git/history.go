package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
)

// WholeHistory is the depth of a history that is not cut.
const WholeHistory = -1

// RefHistory names, in a store, the commit whose history was copied into it.
const RefHistory = "refs/glue/history"

// History is what of a repository's past a store holds.
type History struct {
	Head  string            // newest commit, "" when nothing was copied
	Tags  map[string]string // full name → id, of those that point into it
	Cut   []string          // commits whose parents were not copied, sorted
	Bytes int64             // size of the pack
}

// IncompleteError says that a history cannot be copied since objects of it are not
// in the repository, as in a partial clone, or cannot be read.
type IncompleteError struct {
	Source  string
	Partial bool // the others are at the remote
	Err     error
}

func (e *IncompleteError) Error() string {
	if e.Partial {
		return fmt.Sprintf("%s is a partial clone, and objects of its history are only at its remote", e.Source)
	}
	return fmt.Sprintf("the history in %s cannot be read: %v", e.Source, e.Err)
}

func (e *IncompleteError) Unwrap() error { return e.Err }

// CopyHistory copies the history of src's HEAD into a store that has none yet: depth
// commits deep, where HEAD is the first ([WholeHistory]: all), with the tags that
// point into it. The user's objects, those that they borrow included, are only read,
// and nothing is asked of a remote. More than max bytes (0: no limit) are a
// *LimitError, missing objects an *IncompleteError; the store is then as it was.
func (r *Repo) CopyHistory(ctx context.Context, src *Source, depth int, max int64) (History, error) {
	if src.Head == "" || depth == 0 {
		return History{}, nil
	}
	h, err := r.copyHistory(ctx, src, depth, max)
	if err != nil {
		return History{}, fmt.Errorf("copy the history of %s: %w", src.Root, err)
	}
	return h, nil
}

func (r *Repo) copyHistory(ctx context.Context, src *Source, depth int, max int64) (History, error) {
	h := History{Head: src.Head}
	if src.Format != r.Format {
		return h, fmt.Errorf("the repository hashes by %s, the store by %s", src.Format, r.Format)
	}
	view, err := r.historyView(src)
	if err != nil {
		return h, err
	}
	defer os.RemoveAll(view.Dir) //nolint:errcheck // it is cleared when the store is opened
	incomplete := func(err error) error { return unreadableHistory(src, err) }
	if h.Cut, err = view.cutAt(ctx, src, depth); err != nil {
		return h, incomplete(err)
	}
	if err := view.writeShallow(h.Cut); err != nil {
		return h, err
	}
	if h.Tags, err = view.tagsInto(ctx, src); err != nil {
		return h, incomplete(err)
	}
	if h.Bytes, err = r.copyReachable(ctx, view, h, max); err != nil {
		return h, incomplete(err)
	}
	// The pack is there and nothing names it: from here on a failure leaves only that.
	if h.Cut, err = r.those(ctx, h.Cut); err != nil {
		return h, err
	}
	if err := r.writeShallow(h.Cut); err != nil {
		return h, err
	}
	return h, r.nameHistory(h)
}

// unreadableHistory makes an *IncompleteError of what git says of the user's objects.
func unreadableHistory(src *Source, err error) error {
	var failed *Error
	var missing *NoObjectError
	says := errors.As(err, &failed) && failed.Err == nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT)
	if says || errors.As(err, &missing) {
		return &IncompleteError{Source: src.CommonDir, Partial: src.Partial, Err: err}
	}
	return err
}

// those gives the objects of ids that are in the store.
func (r *Repo) those(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := r.outputFrom(ctx, []byte(strings.Join(ids, "\n")+"\n"), nil, "cat-file", "--batch-check=%(objectname)")
	if err != nil {
		return nil, err
	}
	var there []string
	for line := range strings.Lines(string(out)) {
		if id := strings.TrimSuffix(line, "\n"); checkID(r.Format, id) == nil {
			there = append(there, id)
		}
	}
	return there, nil
}

// historyView makes a private repository that sees the user's objects and no
// configuration, so that none is fetched; its folder is to be removed.
func (r *Repo) historyView(src *Source) (*Repo, error) {
	dir, err := r.makeQuarantine()
	if err != nil {
		return nil, err
	}
	files := gitDirFiles(r.Format, []setting{{"core.bare", "true"}})
	borrowed := quotePath(filepath.Join(src.CommonDir, "objects")) + "\n"
	files = append(files, gitDirFile{"objects/info/alternates", []byte(borrowed)})
	if err := makeGitDir(dir, files); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Repo{Git: r.Git, Dir: dir, Format: r.Format}, nil
}

// cutAt finds the commits whose parents are left out: where the user's own history
// ends (its file "shallow"; also those that HEAD does not reach), and those at depth.
func (r *Repo) cutAt(ctx context.Context, src *Source, depth int) ([]string, error) {
	own, err := readShallow(src)
	if err != nil || depth == WholeHistory {
		return own, err
	}
	ends := map[string]bool{}
	for _, id := range own {
		ends[id] = true
	}
	objects, err := r.Blobs(ctx)
	if err != nil {
		return nil, err
	}
	defer objects.Close()
	cut := maps.Clone(ends)
	seen := map[string]bool{src.Head: true}
	for level := []string{src.Head}; len(level) > 0; depth-- {
		var next []string
		for _, id := range level {
			parents, err := commitParents(objects, id)
			if err != nil {
				return nil, err
			}
			if len(parents) > 0 && (depth == 1 || ends[id]) {
				cut[id] = true
				continue
			}
			for _, p := range parents {
				if !seen[p] {
					seen[p] = true
					next = append(next, p)
				}
			}
		}
		level = next
	}
	return slices.Sorted(maps.Keys(cut)), nil
}

// maxCommitObject bounds a commit's own text, in bytes.
const maxCommitObject = 16 << 20

// commitParents reads a commit's parents as it names them.
func commitParents(objects *Blobs, id string) ([]string, error) {
	text, err := objects.Get(id, maxCommitObject)
	if err != nil {
		return nil, err
	}
	var parents []string
	for line := range bytes.Lines(text) {
		if len(bytes.TrimSpace(line)) == 0 {
			break // the message begins
		}
		if p, ok := bytes.CutPrefix(line, []byte("parent ")); ok {
			parents = append(parents, string(bytes.TrimSpace(p)))
		}
	}
	return parents, nil
}

// readShallow gives the commits at which the user's own history ends
// (gitrepository-layout(5), shallow).
func readShallow(src *Source) ([]string, error) {
	text, err := readRules(filepath.Join(src.CommonDir, "shallow"))
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, id := range strings.Fields(string(text)) {
		if checkID(src.Format, id) == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// writeShallow records, durably, where the history of a private repository ends.
func (r *Repo) writeShallow(cut []string) error {
	return r.writeNamed("shallow", cut)
}

// writeNamed puts lines into a file of the repository's folder; none remove it.
func (r *Repo) writeNamed(name string, lines []string) error {
	var content []byte
	if len(lines) > 0 {
		content = []byte(strings.Join(lines, "\n") + "\n")
	}
	file := filepath.Join(r.Dir, name)
	if err := replaceFile(file, content); err != nil {
		return err
	}
	if content != nil {
		if err := syncPath(file); err != nil {
			return err
		}
	}
	return syncPath(r.Dir)
}

// tagsInto gives the user's tags whose commit the history holds.
func (r *Repo) tagsInto(ctx context.Context, src *Source) (map[string]string, error) {
	all, err := readTags(src)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	packed, err := r.packRefs(ctx, all)
	if err != nil {
		return nil, err
	}
	if packed == 0 {
		return nil, nil
	}
	merged, err := r.Output(ctx, "for-each-ref", "--merged="+src.Head, "--format=%(objectname) %(refname)", "refs/tags/")
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for line := range strings.Lines(string(merged)) {
		if id, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			tags[name] = id
		}
	}
	return tags, nil
}

// copyReachable brings the history's objects into the store as one pack, and gives
// its size. What the user's repository stores as differences stays so.
func (r *Repo) copyReachable(ctx context.Context, view *Repo, h History, max int64) (int64, error) {
	dir, err := r.makeQuarantine()
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // as above
	revs := h.Head + "\n"
	for _, name := range slices.Sorted(maps.Keys(h.Tags)) {
		revs += h.Tags[name] + "\n"
	}
	pr, pw := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := view.Run(ctx, Cmd{
			Args:  []string{"pack-objects", "--revs", "--stdout", "--quiet", "--delta-base-offset"},
			Stdin: strings.NewReader(revs), Stdout: pw,
		})
		packed <- err // before the other side can see the end
		pw.CloseWithError(err)
	}()
	limits := DefaultLimits
	limits.File = max
	args := []string{"index-pack", "--stdin"}
	if max > 0 {
		args = append(args, fmt.Sprintf("--max-input-size=%d", max))
	}
	pack := &countingReader{from: pr}
	err = r.Run(ctx, Cmd{Args: args, Stdin: pack, Stdout: io.Discard, Env: quarantine(dir, r.Dir), Limits: &limits})
	select {
	case cause := <-packed:
		if cause != nil {
			return 0, cause
		}
	default:
		// The whole pack was taken, or none of it will be: what ends now only has to end.
		pr.CloseWithError(io.ErrClosedPipe)
		if cause := <-packed; ctx.Err() != nil {
			return 0, cause
		}
	}
	if err != nil {
		return 0, inputTooLarge(err, limits)
	}
	return pack.n.Load(), r.release(dir)
}

// nameHistory makes the history, and its tags, reachable. One file holds them all:
// there may be thousands.
func (r *Repo) nameHistory(h History) error {
	lines := []string{h.Head + " " + RefHistory}
	for _, name := range slices.Sorted(maps.Keys(h.Tags)) {
		lines = append(lines, h.Tags[name]+" "+name)
	}
	return r.writeNamed("packed-refs", lines)
}

// countingReader is read by a goroutine that may outlive the reading for a moment.
type countingReader struct {
	from io.Reader
	n    atomic.Int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n.Add(int64(n))
	return n, err
}
