package workspace

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"glue-lsp/internal/git"
)

// The names in a store, and in runtime.bundle, of what a return is made of.
const (
	refReturn     = "refs/glue/return/"
	refReturnBase = refReturn + "base"  // what the mbox applies to
	refReturnHead = refReturn + "head"  // the sandbox's HEAD
	refReturnAll  = refReturn + "final" // everything that the sandbox held
)

// defaultMaxMbox bounds an mbox, in bytes.
const defaultMaxMbox = 50 << 20

// MboxRequest describes the mbox of a return.
type MboxRequest struct {
	BaseTree   string            // first snapshot's tree
	BaseCommit string            // first snapshot's commit
	Agreed     string            // tree that the mbox applies to
	Theirs     string            // sandbox's tree
	Head       string            // sandbox's HEAD commit in the store, "" when there is none
	Refs       map[string]string // other commits of the sandbox (branches, stash), by name
	Dir        string            // session folder
	MaxBytes   int64             // 0 is 50 MB
	Meta       Meta
}

// Mbox is what was written.
type Mbox struct {
	Path      string `json:"path"`
	Bytes     int64  `json:"bytes"`
	Commits   int    `json:"commits"` // messages
	Truncated bool   `json:"truncated"`

	// Chain holds commits of the store that lead to everything that the sandbox held,
	// oldest first; the last one is of its whole tree. It is what [Workspace.Branch] takes.
	Chain    []string `json:"-"`
	Warnings []string `json:"-"`
}

// Mbox writes runtime.mbox, its meta file and runtime.bundle into the session's
// folder, each whole or not at all, mode 0600. It is nil when nothing changed; files
// of an earlier return then stay.
//
// The mbox applies to the agreed tree, so that the person's own edits are never in
// it: one message for each commit on the first-parent chain of the sandbox's HEAD,
// and one for what was not committed; where a symbolic link becomes a folder, one that
// removes it goes before. Plain `git am` on Meta.BaseSHA gives the
// sandbox's tree byte for byte; `git am -k --keep-cr --empty=keep
// --patch-format=mboxrd` also gives messages as they were, but for what the meta file
// keeps. That each message gives its tree is verified.
func (s *Store) Mbox(ctx context.Context, r MboxRequest) (*Mbox, error) {
	const op = "write the mbox"
	m, err := s.mbox(ctx, r)
	if err != nil {
		return nil, storeError(op, filepath.Join(r.Dir, MboxFile), err)
	}
	return m, nil
}

func (s *Store) mbox(ctx context.Context, r MboxRequest) (*Mbox, error) {
	if r.MaxBytes <= 0 {
		r.MaxBytes = defaultMaxMbox
	}
	if r.Meta.CapturedAt.IsZero() {
		r.Meta.CapturedAt = s.now().UTC()
	}
	b := &mboxBuilder{s: s, r: r, meta: r.Meta}
	if err := b.chain(ctx); err != nil {
		return nil, err
	}
	if err := b.plan(ctx); err != nil {
		return nil, err
	}
	if len(b.messages) == 0 {
		return nil, nil
	}
	if err := b.commits(ctx); err != nil {
		return nil, err
	}
	if err := b.render(ctx); err != nil {
		return nil, err
	}
	if err := b.writeFiles(ctx); err != nil {
		return nil, err
	}
	return &Mbox{
		Path: filepath.Join(r.Dir, MboxFile), Bytes: b.meta.SizeBytes, Commits: b.meta.Commits,
		Truncated: b.meta.Truncated, Chain: b.branchChain(), Warnings: b.meta.Warnings,
	}, nil
}

// mboxBuilder holds one mbox while it is made.
type mboxBuilder struct {
	s    *Store
	r    MboxRequest
	meta Meta

	commitsInside []mboxCommit // first-parent chain, oldest first
	messages      []*mboxMessage
	base, final   string // commits of the agreed and the sandbox's tree
}

// mboxMessage is one message: the change from one tree to the next.
type mboxMessage struct {
	commit   *mboxCommit // nil: what was not committed
	folded   []string    // commits whose changes it carries as well
	from, to string
	binary   bool        // text too goes as binary patches
	way      bool        // it only removes links for the next one's folders
	whole    bool        // it is not to be split
	patch    []filePatch // until text is made
	paths    []rawPath
	text     []byte // as it stands in the mbox
	start    int    // of the patch in it
}

// plan lays the sandbox's commits onto the agreed tree.
func (b *mboxBuilder) plan(ctx context.Context) error {
	last := b.r.Agreed
	inside := b.r.BaseTree
	var folded []string
	returned := false // the last commit with changes was
	for i := range b.commitsInside {
		c := &b.commitsInside[i]
		onto, ok, err := b.onto(ctx, c.tree)
		if err != nil {
			return err
		}
		empty := c.tree == inside
		inside = c.tree
		switch {
		case !ok:
			folded = append(folded, c.id)
			continue
		case onto == last && (!empty || returned):
			returned = true
			b.meta.Returned = append(append(b.meta.Returned, folded...), c.id)
			folded = nil
			continue
		}
		returned = false
		b.messages = append(b.messages, &mboxMessage{commit: c, folded: folded, from: last, to: onto})
		last, folded = onto, nil
	}
	if last != b.r.Theirs {
		b.messages = append(b.messages, &mboxMessage{folded: folded, from: last, to: b.r.Theirs})
	}
	return nil
}

// onto gives the tree that a commit's tree makes of the agreed one. It is not ok when
// they do not merge.
func (b *mboxBuilder) onto(ctx context.Context, commitTree string) (string, bool, error) {
	switch {
	case b.r.Agreed == b.r.BaseTree, commitTree == b.r.Theirs:
		return commitTree, true, nil
	case commitTree == b.r.BaseTree:
		return b.r.Agreed, true, nil
	}
	merged, err := b.s.Repo.Merge(ctx, b.r.BaseTree, b.r.Agreed, commitTree)
	return merged.Tree, err == nil && len(merged.Conflicts) == 0, err
}

// commits makes the commits that the mbox and the bundle start from and lead to, and
// names them.
func (b *mboxBuilder) commits(ctx context.Context) error {
	b.base, b.final = b.r.BaseCommit, b.r.Head
	who := git.Signature{Name: "glue", Email: "glue@localhost", When: time.Unix(0, 0).UTC()}
	var err error
	if b.r.Agreed != b.r.BaseTree || b.base == "" {
		b.base, err = b.s.Repo.Commit(ctx, git.CommitSpec{
			Tree: b.r.Agreed, Parents: nonEmpty(b.r.BaseCommit), Author: who, Committer: who,
			Message: []byte("What host and sandbox agreed on\n"),
		})
		if err != nil {
			return err
		}
	}
	if n := len(b.commitsInside); n == 0 || b.commitsInside[n-1].tree != b.r.Theirs {
		who.When = b.meta.CapturedAt
		parent := b.r.Head
		if parent == "" {
			parent = b.r.BaseCommit
		}
		b.final, err = b.s.Repo.Commit(ctx, git.CommitSpec{
			Tree: b.r.Theirs, Parents: nonEmpty(parent), Author: who, Committer: who,
			Message: []byte(uncommittedSubject + "\n"),
		})
		if err != nil {
			return err
		}
	}
	b.meta.BaseSHA, b.meta.HeadSHA, b.meta.FinalSHA = b.base, b.r.Head, b.final
	return b.nameCommits(ctx)
}

func nonEmpty(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}

// nameCommits points the refs of the bundle at what was made, by one command.
func (b *mboxBuilder) nameCommits(ctx context.Context) error {
	refs := map[string]string{refReturnBase: b.base, refReturnAll: b.final}
	if b.r.Head != "" {
		refs[refReturnHead] = b.r.Head
	}
	for name, commit := range b.r.Refs {
		if ref := refReturn + "refs/" + refSafe(name); commit != "" {
			refs[ref] = commit
		}
	}
	b.meta.BundleRefs = sortedKeys(refs)
	var in strings.Builder
	for _, name := range b.meta.BundleRefs {
		fmt.Fprintf(&in, "update %s\x00%s\x00\x00", name, refs[name])
	}
	return b.s.Repo.Run(ctx, git.Cmd{Args: []string{"update-ref", "--no-deref", "-z", "--stdin"}, Stdin: strings.NewReader(in.String())})
}

// refSafe makes a name that came from a sandbox part of a ref's name (see
// git-check-ref-format(1)), different for different names.
func refSafe(name string) string {
	var out strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-':
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "_%02x", c)
		}
	}
	if safe := out.String(); len(safe) <= maxRefName {
		return safe
	}
	return fmt.Sprintf("%s_%x", out.String()[:maxRefName], sha256.Sum256([]byte(name)))
}

// maxRefName leaves room for a hash and ".lock" in a file's name, NAME_MAX of which is
// 255 bytes.
const maxRefName = 120

// branchChain is what a branch of this return replays.
func (b *mboxBuilder) branchChain() []string {
	var ids []string
	for _, c := range b.commitsInside {
		ids = append(ids, c.id)
	}
	if n := len(ids); n == 0 || ids[n-1] != b.final {
		ids = append(ids, b.final)
	}
	return ids
}

// writeFiles puts the bundle in place first and the mbox last, so that whoever sees a
// new mbox sees what belongs to it.
func (b *mboxBuilder) writeFiles(ctx context.Context) error {
	if err := b.writeBundle(ctx); err != nil {
		return err
	}
	out, err := renameio.NewPendingFile(filepath.Join(b.r.Dir, MboxFile), renameio.WithPermissions(0o600), renameio.IgnoreUmask())
	if err != nil {
		return err
	}
	defer out.Cleanup() //nolint:errcheck // nothing is left to clean once it was renamed
	w := bufio.NewWriterSize(out, 1<<16)
	for _, m := range b.messages[:b.meta.Commits] {
		w.Write(m.text) //nolint:errcheck // Flush tells
		b.meta.SizeBytes += int64(len(m.text))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	b.meta.TruncationCapBytes = b.r.MaxBytes
	if b.meta.Format == "" {
		b.meta.Format = "mbox"
	}
	if err := b.meta.write(filepath.Join(b.r.Dir, MetaFile)); err != nil {
		return err
	}
	return out.CloseAtomicallyReplace()
}

// writeBundle writes the bundle, unless the one that is there holds the same commits.
func (b *mboxBuilder) writeBundle(ctx context.Context) error {
	file := filepath.Join(b.r.Dir, BundleFile)
	same, err := b.bundled(ctx, file)
	if err != nil || same {
		return err
	}
	refs := b.meta.BundleRefs
	// What came from the person's repository is there; it can be larger than all else.
	if past, err := b.s.Repo.Ref(ctx, git.RefHistory); err != nil {
		return err
	} else if past != "" {
		refs = append(slices.Clone(refs), "^"+git.RefHistory)
	}
	_, _, err = b.s.writeBundle(ctx, file, "", refs, 0, true)
	return err
}

// bundled compares the names at the head of a bundle (gitformat-bundle(5)) with those
// in the store.
func (b *mboxBuilder) bundled(ctx context.Context, file string) (bool, error) {
	in, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer in.Close() //nolint:errcheck // only read
	held := map[string]bool{}
	for lines := bufio.NewScanner(in); lines.Scan() && lines.Text() != ""; {
		held[lines.Text()] = true
	}
	out, err := b.s.Repo.Output(ctx, "for-each-ref", "--format=%(objectname) %(refname)", refReturn)
	if err != nil {
		return false, err
	}
	names := 0
	for line := range strings.Lines(string(out)) {
		if !held[strings.TrimSuffix(line, "\n")] {
			return false, nil
		}
		names++
	}
	return names == len(b.meta.BundleRefs), nil
}
