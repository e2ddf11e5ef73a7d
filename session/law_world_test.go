package session

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"glue-lsp/internal/lawtest"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// lawWorld is a person with a repository and an editor, and their sessions. It keeps
// account of what each side took away by itself; all else must be somewhere.
type lawWorld struct {
	*rapid.T
	t          *testing.T
	dir        string
	repo, home string
	gitDir     map[string]string // fingerprint of the person's .git

	rt *bareRuntime
	m  *Manager
	s  *Session // nil when none is open
	ed *lawEditor

	me, it *lawtest.Hand // the person, and commands inside
	count  int           // of marks
	issued lawtest.Set

	byPerson lawtest.Set // what the person took out of their tree
	inside   lawtest.Set // what commands took out of the sandbox's
	lost     lawtest.Set // what may be gone: written after the last checkpoint before a crash, or ignored
	moved    lawtest.Set // what somebody moved or copied, and may so bring back after another removed it
	chosen   lawtest.Set // what the person asked for by a resolution
	settled  lawtest.Set // what they wrote for one: it came by a return, and goes with its undo
	refused  lawtest.Set // marks of contents that the person refused or threw away

	safe      lawtest.Files // the sandbox's files at the last checkpoint that was waited for
	left      lawtest.Files // what the person left out of a return, as the sandbox held it
	rules     bool          // .gitignore was changed
	ended     []string      // sessions that ended, listed or not
	commits   []string      // made inside the open session, and reachable there when last looked
	reinit    bool          // the sandbox's repository was replaced
	insideGit map[string]string
	touched   map[string]bool // by the person, while a return is under way
	writing   func([]string)  // happens once, when the sandbox is about to be written to
}

// newBareWorld is a server without a repository yet.
func newBareWorld(t *testing.T, rt *rapid.T, dir string) *lawWorld {
	w := &lawWorld{
		T: rt, t: t, dir: dir, repo: filepath.Join(dir, "repo"), home: filepath.Join(dir, "home0"),
		issued: lawtest.Set{}, byPerson: lawtest.Set{}, inside: lawtest.Set{}, lost: lawtest.Set{}, moved: lawtest.Set{},
		chosen: lawtest.Set{}, settled: lawtest.Set{}, refused: lawtest.Set{}, left: lawtest.Files{}, touched: map[string]bool{},
	}
	names := append(lawtest.Names(), ".envrc", "keep.log", "Makefile")
	w.me = &lawtest.Hand{Dir: w.repo, Letter: "H", Count: &w.count, Names: names, Log: w.logf}
	w.it = &lawtest.Hand{Letter: "S", Count: &w.count, Names: append(names, "sub/.git/config", ".GIT/x"), Log: w.logf}
	w.ed = &lawEditor{
		w: w, asLF: rapid.Bool().Draw(rt, "editor holds line feeds"), saves: rapid.Bool().Draw(rt, "editor saves closed files"),
		buffers: map[string]*lawBuffer{},
		caps:    workspace.ClientCaps{Create: true, Rename: true, Delete: true, DocumentChanges: true, Annotations: true},
	}
	w.manager()
	return w
}

// newLawWorld is a person with some files, an editor of some kind, and an open session.
func newLawWorld(t *testing.T, rt *rapid.T, base string) *lawWorld {
	dir, err := os.MkdirTemp(base, "w")
	if err != nil {
		t.Fatal(err)
	}
	w := newBareWorld(t, rt, dir)
	switch rapid.IntRange(0, 9).Draw(rt, "editor's skill") {
	case 0:
		w.ed.caps = workspace.ClientCaps{NoEdits: true}
	case 1:
		w.ed.caps = workspace.ClientCaps{}
	case 2:
		w.ed.caps = workspace.ClientCaps{DocumentChanges: true}
	case 3:
		w.ed.caps.OpenOnly = true
	}
	w.git(dir, "init", "-q", "-b", "main", w.repo)
	w.write(".gitignore", "*.log\n")
	for _, name := range []string{"a.txt", "b.txt", "d/a.txt", "x.sh", "with space"} {
		if rapid.Bool().Draw(rt, "has "+name) {
			w.write(name, w.me.NewContent(rt))
		}
	}
	w.git(w.repo, "add", "-A")
	w.git(w.repo, "commit", "-qm", "first")
	w.gitDir = w.hostGit()
	w.openSession()
	return w
}

// lawDir is where histories play: in memory where the machine has that, since each of
// them writes durably all the time.
func lawDir(t *testing.T) string {
	t.Helper()
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		if dir, err := os.MkdirTemp("/dev/shm", "glue-law"); err == nil {
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			return dir
		}
	}
	return t.TempDir()
}

func (w *lawWorld) logf(format string, args ...any) { w.Logf(format, args...) }

// manager starts a server's worth of state on the state folder.
func (w *lawWorld) manager() {
	w.rt = &bareRuntime{}
	m, err := NewManager(Options{
		Home: w.home, Runtimes: map[string]sandbox.Runtime{"local": afterCrash{w.rt, w}}, BusyWait: 100 * time.Millisecond, Log: w.logf,
	})
	w.fine("start a server", err)
	m.UseEditor(w.ed)
	w.m = m
}

// afterCrash finds sandboxes as after a restart of the machine: their trees are there and
// nothing of them runs. (What runs after a crash of the server alone is for tests with
// real processes.)
type afterCrash struct {
	*bareRuntime
	w *lawWorld
}

func (r afterCrash) Open(ctx context.Context, s sandbox.Spec) (sandbox.Sandbox, error) {
	sb, err := r.bareRuntime.Open(ctx, s)
	if err != nil {
		return nil, err
	}
	return lawSandbox{sb, r.w}, nil
}

// lawSandbox is one in which something may happen while it is written to.
type lawSandbox struct {
	sandbox.Sandbox
	w *lawWorld
}

func (s lawSandbox) WriteTree(ctx context.Context, writes []sandbox.TreeWrite) ([]sandbox.TreeResult, error) {
	if meanwhile := s.w.writing; meanwhile != nil {
		s.w.writing = nil
		var paths []string
		for _, w := range writes {
			paths = append(paths, w.New.Path)
		}
		meanwhile(paths)
	}
	return s.Sandbox.WriteTree(ctx, writes)
}

func (afterCrash) Reap(context.Context, sandbox.Spec, []byte) error { return nil }

func (r afterCrash) Reopen(ctx context.Context, s sandbox.Spec, _ []byte) (sandbox.Sandbox, error) {
	if _, err := os.Stat(filepath.Join(s.TreeDir, "w")); err != nil {
		return nil, &sandbox.Error{Kind: sandbox.FileNotFound, Op: "reopen", Message: "no tree"}
	}
	return r.Open(ctx, s)
}

// end shuts everything down; the law must leave nothing behind.
func (w *lawWorld) end() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.m.Shutdown(ctx); err != nil {
		w.t.Errorf("shutdown: %v", err)
	}
	if err := removeTree(w.dir); err != nil {
		w.t.Errorf("clean up: %v", err)
	}
}

func (w *lawWorld) fine(what string, err error) {
	if err != nil {
		w.Fatalf("%s: %v", what, err)
	}
}

func (w *lawWorld) git(dir string, args ...string) string {
	out, err := w.tryGit(dir, args...)
	if err != nil {
		w.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return out
}

func (w *lawWorld) tryGit(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=P", "GIT_AUTHOR_EMAIL=p@example.com", "GIT_COMMITTER_NAME=P", "GIT_COMMITTER_EMAIL=p@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (w *lawWorld) write(name, content string) {
	p := filepath.Join(w.repo, name)
	w.fine("lay the tree", os.MkdirAll(filepath.Dir(p), 0o755))
	w.fine("lay the tree", os.WriteFile(p, []byte(content), 0o644))
}

func (w *lawWorld) openSession() {
	s, err := w.m.Open(context.Background(), OpenOptions{Folder: w.repo, Editor: w.ed}, nil)
	w.fine("open a session", err)
	w.s, w.it.Dir = s, filepath.Join(w.home, "trees", s.ID(), "w")
	w.safe, w.left, w.commits, w.reinit = w.sandboxFiles(), lawtest.Files{}, nil, false
	w.insideGit = w.sandboxGit()
}

// disk is what lies in the person's folder.
func (w *lawWorld) disk() lawtest.Files { return lawtest.Read(w.t, w.repo) }

// host is the tree as the editor shows it: unsaved text lies over the files.
func (w *lawWorld) host() lawtest.Files {
	fs := w.disk()
	w.ed.noticeDisk()
	for _, name := range w.ed.open() {
		b := w.ed.buffers[name]
		if !b.dirty {
			continue
		}
		kind := lawtest.Regular
		if f, ok := fs[name]; ok {
			kind = f.Kind
		}
		if w.odd(name) {
			continue
		}
		fs[name] = lawtest.File{Kind: kind, Data: b.bytes()}
	}
	return fs
}

// odd reports whether saving a buffer would not make a file of its name: a link or a file
// lies on the way, or a folder in its place.
func (w *lawWorld) odd(name string) bool {
	for i := range name + "/" {
		if i < len(name) && name[i] != '/' {
			continue
		}
		info, err := os.Lstat(w.me.Path(name[:i]))
		if err == nil && info.IsDir() != (i < len(name)) || err == nil && info.Mode()&os.ModeSymlink != 0 {
			return true
		}
	}
	return false
}

// unsure are the paths of buffers of which cannot be told exactly how they go up.
func (w *lawWorld) unsure() map[string]bool {
	out := map[string]bool{}
	for name, b := range w.ed.buffers {
		if !b.dirty {
			continue
		}
		// How a file is written that is gone, or was written anew, only its editor knows.
		now := w.ed.load(name)
		out[name] = b.latin1 || w.odd(name) || (now == nil || now.bom != b.bom || now.crlf != b.crlf) && (b.bom || b.crlf || now != nil)
	}
	return out
}

// mine are the marks that the person has, on disk or in a buffer.
func (w *lawWorld) mine() lawtest.Set {
	w.ed.noticeDisk()
	all := w.disk().Marks()
	for _, b := range w.ed.buffers {
		all.Add(lawtest.Marks(b.text))
	}
	return all
}

// sandboxFiles is what lies in the sandbox, nothing when there is none.
func (w *lawWorld) sandboxFiles() lawtest.Files {
	if w.s == nil {
		return lawtest.Files{}
	}
	return lawtest.Read(w.t, w.it.Dir)
}

// theirs are the files that a session's state says the sandbox has.
func (w *lawWorld) theirs(id string) lawtest.Files {
	dir := w.m.sessionDir(id)
	st, err := readState(dir)
	w.fine("read the session's state", err)
	return w.stored(dir, st.Theirs)
}

// stored reads a tree of a session's objects.
func (w *lawWorld) stored(dir, id string) lawtest.Files {
	to, err := os.MkdirTemp(w.dir, "stored")
	w.fine("look at a tree", err)
	defer removeTree(to)
	index := filepath.Join(to, ".git")
	cmd := exec.Command("sh", "-c", `git read-tree "$1" && git checkout-index -a`, "sh", id)
	cmd.Dir = to
	cmd.Env = append(os.Environ(), "GIT_DIR="+filepath.Join(dir, "objects.git"), "GIT_WORK_TREE="+to, "GIT_INDEX_FILE="+index, "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("look at tree %s: %v\n%s", id, err, out)
	}
	return lawtest.Read(w.t, to)
}

func (w *lawWorld) hostGit() map[string]string {
	return lawtest.Fingerprint(w.t, filepath.Join(w.repo, ".git"), nil)
}

// sandboxGit is the sandbox's repository but for its objects.
func (w *lawWorld) sandboxGit() map[string]string {
	if _, err := os.Stat(filepath.Join(w.it.Dir, ".git")); err != nil {
		return nil
	}
	return lawtest.Fingerprint(w.t, filepath.Join(w.it.Dir, ".git"), func(path string) bool { return path == "objects" })
}

// person is something that the person does: what it takes away is not lost.
func (w *lawWorld) person(act func()) {
	before, had := w.mine(), w.host()
	act()
	w.byPerson.Add(before.Minus(w.mine()))
	w.noteMoves(had, w.host())
}

// noteMoves notes what came to a path by being moved, copied or made another kind of file.
func (w *lawWorld) noteMoves(before, after lawtest.Files) {
	for _, path := range lawtest.Differing(before, after) {
		w.touched[path] = true
		f, was := after[path], before[path]
		if was.Kind != f.Kind {
			was = lawtest.File{}
		}
		w.moved.Add(lawtest.Marks(f.Data).Minus(lawtest.Marks(was.Data)))
	}
}

// command is something that happens inside.
func (w *lawWorld) command(act func()) {
	before := w.sandboxFiles()
	act()
	after := w.sandboxFiles()
	w.inside.Add(before.Marks().Minus(after.Marks()))
	w.noteMoves(before, after)
	w.insideGit = w.sandboxGit()
}

// untouched holds that an operation of the product changes neither side.
func (w *lawWorld) untouched(what string, act func()) {
	w.hostUntouched(what, func() { w.sandboxUntouched(what, act) })
}

func (w *lawWorld) hostUntouched(what string, act func()) {
	disk := w.disk()
	act()
	if d := lawtest.Differing(disk, w.disk()); len(d) > 0 {
		w.Fatalf("%s changed the person's files:\n%s", what, lawtest.Show("before", disk, "after", w.disk(), d))
	}
}

func (w *lawWorld) sandboxUntouched(what string, act func()) {
	files := w.sandboxFiles()
	act()
	if d := lawtest.Differing(files, w.sandboxFiles()); len(d) > 0 {
		w.Fatalf("%s changed the sandbox's files:\n%s", what, lawtest.Show("before", files, "after", w.sandboxFiles(), d))
	}
}

// ignored reports whether a file stays in the sandbox, because of its name.
func ignored(path string) bool {
	return strings.HasSuffix(path, ".log") || strings.Contains("/"+strings.ToLower(path), "/.git/")
}

// check holds the laws that hold at any time.
func (w *lawWorld) check() {
	if names := lawtest.Changed(w.gitDir, w.hostGit()); len(names) > 0 {
		w.Fatalf("the person's .git was changed: %q", names)
	}
	if w.s != nil && w.insideGit != nil {
		if names := lawtest.Changed(w.insideGit, w.sandboxGit()); len(names) > 0 {
			w.Fatalf("the sandbox's .git was changed: %q", names)
		}
	}
	w.accountForMarks()
}

// accountForMarks holds that nothing that anybody wrote is lost.
func (w *lawWorld) accountForMarks() {
	mine, files := w.mine(), w.sandboxFiles()
	inside := files.Marks()
	// What a command moved to a name that is ignored stays inside.
	hidden := files.Without(func(p string) bool { return !w.rules && !ignored(p) }).Marks()
	w.issued.Add(mine)
	w.issued.Add(inside)
	var kept lawtest.Set // what sessions that ended hold for the person
	for _, m := range w.issued.Sorted() {
		switch {
		case mine[m], w.byPerson[m], w.inside[m], w.lost[m]:
			continue
		// The person's own text may be inside only where a command moved it, onto a file
		// that is then in conflict.
		case hidden[m], inside[m] && (m[0] == 'S' || w.moved[m]):
			continue
		case m[0] == 'S', w.moved[m]:
			if kept == nil {
				kept = w.kept()
			}
			if kept[m] {
				continue
			}
		}
		w.Fatalf("%s is lost: it is neither with the person nor in the sandbox, and nobody removed it", m)
	}
}

// kept are the marks in the sessions that ended and are offered to the person.
func (w *lawWorld) kept() lawtest.Set {
	out := lawtest.Set{}
	list, err := w.m.List(context.Background())
	w.fine("list sessions", err)
	for _, info := range list {
		if info.State == Closed || info.State == StateLost {
			out.Add(w.theirs(info.ID).Marks())
		}
	}
	return out
}

// pick draws one of some paths.
func (w *lawWorld) pick(rt *rapid.T, what string, paths []string) string {
	return rapid.SampledFrom(paths).Draw(rt, what)
}

// naming is what a return says of paths that do not come back.
type naming struct {
	paths map[string]bool
	texts []string // in which another end of a rename is named
}

func (n naming) has(path string) bool {
	return n.paths[path] || slices.ContainsFunc(n.texts, func(text string) bool { return containsPath(text, path) })
}

func (n *naming) conflicts(all []workspace.Conflict) {
	for _, c := range all {
		n.paths[c.Path] = true
		n.texts = append(n.texts, c.Detail)
	}
}

func named(r *Return) naming {
	n := naming{paths: map[string]bool{}}
	n.conflicts(r.Conflicts)
	for _, s := range r.Skipped {
		n.paths[s.Path] = true
		n.texts = append(n.texts, s.Reason)
		for _, c := range r.Files { // both ends of a rename wait together
			if c.Path == s.Path && c.OldPath != "" {
				n.paths[c.OldPath] = true
			}
		}
	}
	for _, c := range r.Declined {
		n.paths[c.Path] = true
		if c.OldPath != "" {
			n.paths[c.OldPath] = true
		}
	}
	return n
}

// offered are the paths of a return that are not named otherwise.
func offered(r *Return) []string {
	out := map[string]bool{}
	no := named(r)
	for _, c := range r.Files {
		if !no.paths[c.Path] && !(c.OldPath != "" && no.paths[c.OldPath]) {
			out[c.Path] = true
			if c.OldPath != "" {
				out[c.OldPath] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(out))
}

func (w *lawWorld) tell(r *Return) string {
	return fmt.Sprintf("offered %q, conflicts %v, skipped %v, declined %d, applied %v, edit %v, disk %d", offered(r), r.Conflicts, r.Skipped, len(r.Declined), r.Applied, r.Edit != nil, len(r.Disk))
}

// containsPath reports whether a text names a path, as it is or in quotes.
func containsPath(text, path string) bool {
	return strings.Contains(text, path) || strings.Contains(text, strconv.Quote(path))
}
