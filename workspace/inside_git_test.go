package workspace

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glue-lsp/internal/git"
)

// insideGit is a sandbox with a git of its own, cloned from a session's bundle.
type insideGit struct {
	*host
	dir  string // its working tree
	s    *Store
	out  string // the session's folder on the host
	base Base
	snap *Snapshot
}

func newInside(t testing.TB, files ...string) *insideGit {
	t.Helper()
	return newInsideOf(newRepo(t, files...))
}

func newInsideOf(h *host) *insideGit {
	h.Helper()
	in := &insideGit{host: h, dir: filepath.Join(h.TempDir(), "w"), s: h.store(), out: h.TempDir()}
	in.snap = h.snap(h.open(), in.s)
	bundle := filepath.Join(in.out, "base.bundle")
	var err error
	if in.base, err = in.s.Base(context.Background(), in.snap, git.History{}, "main", bundle, 0); err != nil {
		h.Fatal(err)
	}
	h.runIn(in.out, "clone", "-q", "-n", "-b", "main", bundle, in.dir)
	attributes := "* -text !eol -ident -filter !working-tree-encoding\n"
	if err := os.WriteFile(filepath.Join(in.dir, ".git/info/attributes"), []byte(attributes), 0o600); err != nil {
		h.Fatal(err)
	}
	in.git("checkout", "-q", "main")
	return in
}

func (in *insideGit) git(args ...string) string {
	in.Helper()
	return strings.TrimSpace(in.runIn(in.dir, append([]string{"-c", "user.name=Dev", "-c", "user.email=dev@example.org"}, args...)...))
}

func (in *insideGit) put(name, content string) {
	in.Helper()
	file := filepath.Join(in.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		in.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		in.Fatal(err)
	}
}

// commit commits everything with a message that git does not touch.
func (in *insideGit) commit(message string, more ...string) string {
	in.Helper()
	in.git("add", "-A", "-f")
	file := filepath.Join(in.TempDir(), "message")
	if err := os.WriteFile(file, []byte(message), 0o600); err != nil {
		in.Fatal(err)
	}
	in.git(append([]string{"commit", "-q", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-F", file}, more...)...)
	return in.git("rev-parse", "HEAD")
}

// request brings the sandbox's objects to the host, as a checkpoint does.
func (in *insideGit) request(refs ...string) MboxRequest {
	in.Helper()
	index := "GIT_INDEX_FILE=" + filepath.Join(in.TempDir(), "index")
	all := func(args ...string) string {
		cmd := append([]string{"-c", "alias.x=!" + index + " git", "x"}, args...)
		return in.git(cmd...)
	}
	all("add", "-A", "-f")
	treeID := all("write-tree")
	final := in.git("commit-tree", "-p", "HEAD", "-m", "x", treeID)
	in.git("update-ref", "refs/x/final", final)
	bundle := filepath.Join(in.TempDir(), "back.bundle")
	in.git(append([]string{"bundle", "create", "-q", bundle, "HEAD", "refs/x/final"}, refs...)...)
	f, err := os.Open(bundle)
	if err != nil {
		in.Fatal(err)
	}
	defer f.Close()
	if err := in.s.Repo.Ingest(context.Background(), f, git.Limits{}); err != nil {
		in.Fatal(err)
	}
	r := MboxRequest{
		BaseTree: in.snap.Tree, BaseCommit: in.base.Commit, Agreed: in.snap.Tree, Theirs: treeID, Head: in.git("rev-parse", "HEAD"), Dir: in.out,
		Meta: Meta{RuntimeID: "r1", SandboxID: "sb-1", BootstrapSHA: in.base.Commit, RuntimeCwd: "/workspace", CapturedAt: time.Unix(1_700_000_000, 0).UTC()},
	}
	for _, ref := range refs {
		if r.Refs == nil {
			r.Refs = map[string]string{}
		}
		r.Refs[ref] = in.git("rev-parse", ref)
	}
	return r
}

func (in *insideGit) mbox(r MboxRequest) (*Mbox, Meta) {
	in.Helper()
	m, err := in.s.Mbox(context.Background(), r)
	if err != nil {
		in.Fatal(err)
	}
	if m == nil {
		return nil, Meta{}
	}
	var meta Meta
	b, err := os.ReadFile(filepath.Join(r.Dir, MetaFile))
	if err != nil {
		in.Fatal(err)
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		in.Fatal(err)
	}
	return m, meta
}

// am applies an mbox in a clone at the base commit, as a person would, and gives the
// clone. The clone's own repository has no attributes of ours.
func (in *insideGit) am(m *Mbox, meta Meta, options ...string) string {
	in.Helper()
	clone := filepath.Join(in.TempDir(), "clone")
	in.runIn(in.out, "init", "-q", clone)
	in.runIn(clone, "fetch", "-q", filepath.Join(in.out, BundleFile), "refs/glue/return/*:refs/glue/*")
	in.runIn(clone, "checkout", "-q", meta.BaseSHA)
	in.runIn(clone, append(append([]string{"am", "-q"}, options...), m.Path)...)
	return clone
}

var exactOptions = []string{"-k", "--keep-cr", "--empty=keep", "--patch-format=mboxrd"}

// check applies an mbox in both promised ways and compares the trees.
func (in *insideGit) check(r MboxRequest) (m *Mbox, meta Meta, exact string) {
	in.Helper()
	m, meta = in.mbox(r)
	if m == nil {
		in.Fatal("there is no mbox")
	}
	if !meta.Verified || m.Truncated {
		in.Errorf("the mbox is not whole and verified: %+v", meta)
	}
	for _, options := range [][]string{nil, exactOptions} {
		exact = in.am(m, meta, options...)
		got := strings.TrimSpace(in.runIn(exact, "rev-parse", "HEAD^{tree}"))
		if got != r.Theirs {
			in.Errorf("git am %v gives another tree than the sandbox has:\n%s", options, in.runIn(exact, "diff", "--stat", got))
		}
	}
	return m, meta, exact
}

func subjects(in *insideGit, clone string, meta Meta) []string {
	return strings.Split(strings.TrimSpace(in.runIn(clone, "log", "--reverse", "--format=%s", meta.BaseSHA+"..HEAD")), "\n")
}

func (in *insideGit) hashObject(kind string, content []byte) string {
	in.Helper()
	file := filepath.Join(in.TempDir(), "object")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		in.Fatal(err)
	}
	return in.git("hash-object", "-t", kind, "--literally", "-w", file)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b := make([]byte, len(s)/2)
	for i := range b {
		for _, c := range s[2*i : 2*i+2] {
			b[i] = b[i]<<4 | byte(strings.IndexRune("0123456789abcdef", c))
		}
	}
	return b
}
