package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
)

// maxCommits bounds the pack of what was committed inside.
const maxCommits = 1 << 30

// commitsFound is what the repository inside holds beyond what the host knows. bundle
// is an open file that has no name any more.
type commitsFound struct {
	fingerprint string
	unchanged   bool
	hasGit      bool
	head        string
	branch      string
	refs        map[string]string
	problem     string
	bundle      *os.File
	size        int64
}

// commits finds what branches, tags, the stash (each of its entries), HEAD and the
// HEADs of linked worktrees reach and known does not, and commits that only a reflog
// still names, such as one that was amended: those are among refs by names of their
// own. It only reads, and may run beside everything else.
func (t *trees) commits(ctx context.Context, known []string, fingerprint string) (commitsFound, error) {
	// Taken first, so that what moves meanwhile is seen the next time.
	out := commitsFound{fingerprint: t.fingerprint(), hasGit: t.git != "", refs: map[string]string{}}
	if out.fingerprint == fingerprint {
		out.unchanged = true
		return out, nil
	}
	if !out.hasGit {
		return out, nil
	}
	err := t.readCommits(ctx, known, &out)
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	if err != nil {
		out.problem, out.hasGit = t.problem(err)
	}
	return out, nil
}

// problem says why there are no commits to be had, and whether there is a repository.
func (t *trees) problem(err error) (why string, hasGit bool) {
	if _, serr := os.Lstat(t.root + "/.git"); errors.Is(serr, fs.ErrNotExist) {
		return "there is no git repository in " + t.root + " any more", false
	}
	return "the git repository in " + t.root + " cannot be read: " + err.Error(), true
}

func (t *trees) readCommits(ctx context.Context, known []string, out *commitsFound) error {
	// Without this git would look for a repository in the folders above.
	dir, err := t.gitDir()
	if err != nil {
		return err
	}
	git := func(stdin string, args ...string) (string, error) {
		var b bytes.Buffer
		err := t.gitRun(ctx, strings.NewReader(stdin), &b, append([]string{"--git-dir=" + dir}, args...)...)
		return strings.TrimSuffix(b.String(), "\n"), err
	}
	refs, err := git("", "for-each-ref", "--format=%(objectname) %(refname)")
	if err != nil {
		return err
	}
	for line := range strings.Lines(refs) {
		if id, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			out.refs[name] = id
		}
	}
	// Unborn and detached are both fine, so that neither answer is an error here.
	out.head, _ = git("", "rev-parse", "--quiet", "--verify", "HEAD^{commit}")
	if name, err := git("", "symbolic-ref", "--quiet", "HEAD"); err == nil {
		out.branch = strings.TrimPrefix(name, "refs/heads/")
	}
	have, err := git(strings.Join(known, "\n")+"\n", "cat-file", "--batch-check=%(objectname) %(objecttype)")
	if err != nil {
		return err
	}
	var base []string
	for line := range strings.Lines(have) {
		id, kind, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if kind == "commit" || kind == "tag" {
			base = append(base, id)
		}
	}
	tips := t.tips(out, git)
	forgotten, err := forgotten(git, tips, base)
	if err != nil {
		return err
	}
	for _, id := range forgotten {
		name := refForgotten + id
		out.refs[name] = id
		tips = append(tips, tip{id, name})
	}
	return t.bundle(ctx, git, tips, base, out)
}

const (
	// refForgotten begins the names that commits get here which have none inside.
	refForgotten = "refs/reflog/"
	// maxForgotten bounds how many of them are kept, the newest first.
	maxForgotten = 1000
)

// forgotten gives the commits that reflogs name and neither tips nor base reach, those
// aside that others of them reach.
func forgotten(git func(string, ...string) (string, error), tips []tip, base []string) ([]string, error) {
	var revs strings.Builder
	for _, tip := range tips {
		fmt.Fprintln(&revs, "^"+tip.id)
	}
	for _, id := range base {
		fmt.Fprintln(&revs, "^"+id)
	}
	// A log that names what git has pruned is no reason to have none of it.
	list, err := git(revs.String(), "rev-list", "--reflog", "--ignore-missing", "--parents", fmt.Sprintf("--max-count=%d", maxForgotten), "--stdin")
	if err != nil {
		return nil, err
	}
	var found []string
	reached := map[string]bool{}
	for line := range strings.Lines(list) {
		ids := strings.Fields(line)
		found = append(found, ids[0])
		for _, parent := range ids[1:] {
			reached[parent] = true
		}
	}
	return slices.DeleteFunc(found, func(id string) bool { return reached[id] }), nil
}

// tip is a ref of the bundle.
type tip struct{ id, name string }

func (t *trees) tips(out *commitsFound, git func(string, ...string) (string, error)) []tip {
	var tips []tip
	if out.head != "" {
		tips = append(tips, tip{out.head, "HEAD"})
	}
	for name, id := range out.refs {
		tips = append(tips, tip{id, name})
	}
	slices.SortFunc(tips, func(a, b tip) int { return strings.Compare(a.name, b.name) })
	// refs/stash is the newest entry alone; its log holds the others.
	if out.refs["refs/stash"] != "" {
		if older, err := git("", "rev-list", "--walk-reflogs", "--max-count=1000", "refs/stash"); err == nil {
			for i, id := range strings.Fields(older) {
				if i > 0 {
					tips = append(tips, tip{id, fmt.Sprintf("refs/stash-%d", i)})
				}
			}
		}
	}
	if list, err := git("", "worktree", "list", "--porcelain"); err == nil {
		for i, id := range worktreeHeads(list) {
			if id != out.head {
				tips = append(tips, tip{id, fmt.Sprintf("refs/worktrees/%d", i)})
			}
		}
	}
	return tips
}

// worktreeHeads gives the HEADs of all worktrees, see git-worktree(1).
func worktreeHeads(porcelain string) []string {
	var heads []string
	for line := range strings.Lines(porcelain) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "HEAD "); ok && strings.Trim(id, "0") != "" {
			heads = append(heads, id)
		}
	}
	return heads
}

// bundle writes what tips reach and base does not, if that is anything. The header is
// ours and not `git bundle create`'s, which drops refs that add nothing and names no
// commit that has none. The pack has no bases outside of it.
func (t *trees) bundle(ctx context.Context, git func(string, ...string) (string, error), tips []tip, base []string, out *commitsFound) error {
	var revs strings.Builder
	for _, tip := range tips {
		fmt.Fprintln(&revs, tip.id)
	}
	for _, id := range base {
		fmt.Fprintln(&revs, "^"+id)
	}
	if len(tips) == 0 {
		return nil
	}
	first, err := git(revs.String(), "rev-list", "--objects", "--max-count=1", "--stdin")
	if err != nil || first == "" {
		return err
	}
	boundary, err := git(revs.String(), "rev-list", "--boundary", "--stdin")
	if err != nil {
		return err
	}
	format, err := git("", "rev-parse", "--show-object-format")
	if err != nil {
		return err
	}
	file, err := unnamedFile()
	if err != nil {
		return err
	}
	w := &limited{w: bufio.NewWriterSize(file, 256<<10), left: maxCommits}
	writeBundleHeader(w, tree.Format(format), boundary, tips)
	err = t.gitRun(ctx, strings.NewReader(revs.String()), w, "pack-objects", "--revs", "--stdout", "--quiet", "--delta-base-offset")
	if w.err != nil {
		err = w.err
	}
	if err == nil {
		err = w.w.Flush()
	}
	if err == nil {
		out.size, err = file.Seek(0, io.SeekCurrent)
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return err
	}
	out.bundle = file
	return nil
}

// writeBundleHeader follows gitformat-bundle(5). Errors stay with w.
func writeBundleHeader(w io.Writer, format tree.Format, boundary string, tips []tip) {
	if format == tree.SHA256 {
		fmt.Fprintf(w, "# v3 git bundle\n@object-format=%s\n", format)
	} else {
		fmt.Fprint(w, "# v2 git bundle\n")
	}
	for line := range strings.Lines(boundary) {
		if id, ok := strings.CutPrefix(line, "-"); ok {
			fmt.Fprintf(w, "-%s \n", strings.TrimSpace(id))
		}
	}
	for _, tip := range tips {
		fmt.Fprintf(w, "%s %s\n", tip.id, tip.name)
	}
	fmt.Fprintln(w)
}

// unnamedFile is a temporary file that is gone when it is closed.
func unnamedFile() (*os.File, error) {
	file, err := os.CreateTemp("", "glue-commits-")
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}

// limited fails once too much is written.
type limited struct {
	w    *bufio.Writer
	left int64
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if l.err == nil && int64(len(p)) > l.left {
		l.err = fmt.Errorf("what was committed inside is larger than %d MiB", maxCommits>>20)
	}
	if l.err != nil {
		return 0, l.err
	}
	l.left -= int64(len(p))
	n, err := l.w.Write(p)
	l.err = err
	return n, err
}
