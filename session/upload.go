package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// upload is what a new sandbox gets.
type upload struct {
	snap   *workspace.Snapshot
	past   git.History
	base   workspace.Base
	branch string
	format tree.Format
	// large says that the bundle is over the cap and was not made: base is the commit alone.
	large bool
	// clonedFrom is where the sandbox fetched what the bundle does not hold; "" is nowhere.
	clonedFrom string
}

// strategy names, for BootstrapInfo, how the tree goes up.
func (up *upload) strategy() string {
	if up.clonedFrom != "" {
		return "clone"
	}
	return "bundle"
}

// goUp reads the tree and makes the commit and the bundle that the sandbox gets.
func (s *Session) goUp(ctx context.Context, g *git.Git, p Progress) (*upload, error) {
	defer s.keptSetup.unread()
	depth, err := workspace.ParseHistory(s.opts.History)
	if err != nil {
		return nil, &Error{Kind: string(sandbox.InvalidParams), Op: "open a session", Message: err.Error()}
	}
	up := &upload{format: tree.SHA1}
	src := s.ws.Source()
	if src != nil {
		up.format, up.branch = src.Format, src.Branch
		s.update(func(st *state) { st.RemoteURL = src.Remotes[src.Remote] })
	}
	s.store, err = workspace.CreateStore(ctx, g, filepath.Join(s.dir, "objects.git"), up.format)
	if err != nil {
		return nil, err
	}
	docs, err := s.documents(ctx)
	if err != nil {
		return nil, err
	}
	if up.snap, err = s.ws.Snapshot(ctx, s.store, docs); err != nil {
		return nil, err
	}
	s.keptSetup.read(up.snap.Entries)
	if err := s.takeHistory(ctx, up, depth, p); err != nil {
		return nil, err
	}
	pointers, err := s.ws.LFSPointers(ctx, up.snap)
	if err != nil {
		return nil, err
	}
	s.sayLFS("went up as pointers, since their content is not here (git lfs pull)", pointers)
	p.say(fmt.Sprintf("packing %d files", up.snap.Files), 30)
	if err := s.pack(ctx, up); err != nil {
		return nil, err
	}
	s.update(func(st *state) {
		st.Base = BaseInfo{
			Commit: up.base.Commit, Files: up.snap.Files, Bytes: up.snap.Bytes, Unsaved: up.snap.Unsaved,
			Skipped: skippedOf(up.snap.Skipped),
		}
		st.BaseTree, st.Agreed, st.Theirs = up.snap.Tree, up.snap.Tree, up.snap.Tree
	})
	s.ignore.current = up.snap.Ignore
	return up, nil
}

// takeHistory copies as much of HEAD's history as was asked for. Where that cannot be
// had, the session has none and says so: no command needs it to see the tree.
func (s *Session) takeHistory(ctx context.Context, up *upload, depth int, p Progress) error {
	if depth == 0 {
		return nil
	}
	p.say("packing the history", 20)
	past, why, err := s.store.TakeHistory(ctx, s.ws.Source(), depth, s.historyMax())
	if err != nil {
		return err
	}
	if why != "" {
		s.warnNoHistory(why)
	}
	up.past = past
	return nil
}

func (s *Session) warnNoHistory(why string) {
	s.warn("the history was not sent (history: %s): %s; a smaller shallow:N may do", s.opts.History, why)
}

func (s *Session) uploadMax() int64 {
	return cmp.Or(s.opts.UploadMaxBytes, defaultUploadMax)
}

// bundleMax is how large the bundle should be at most, in bytes; 0 is no limit.
func (s *Session) bundleMax() int64 {
	if s.opts.BundleMaxBytes == 0 {
		if d, ok := s.m.o.Runtimes[s.opts.Runtime].(sandbox.Distant); ok {
			return d.BundleMax()
		}
	}
	return s.opts.BundleMaxBytes
}

// historyMax is how large a bundle with a history may be.
func (s *Session) historyMax() int64 {
	return min(cmp.Or(s.bundleMax(), s.uploadMax()), s.uploadMax())
}

// pack makes the bundle, without the history if it is too large with it. One that is over
// the cap without it is left to packLarge, once there is a sandbox.
func (s *Session) pack(ctx context.Context, up *upload) error {
	var tooLarge *workspace.TooLargeError
	var err error
	if up.past.Head != "" {
		up.base, err = s.store.Base(ctx, up.snap, up.past, up.branch, s.bundleFile(), s.historyMax())
		if !errors.As(err, &tooLarge) {
			return err
		}
		s.warnNoHistory("with the tree " + tooLarge.Error())
		up.past = git.History{}
	}
	up.base, err = s.store.Base(ctx, up.snap, up.past, up.branch, s.bundleFile(), s.historyMax())
	switch {
	case !errors.As(err, &tooLarge):
		return err
	case s.historyMax() == s.uploadMax():
		return s.tooLarge(up, "", tooLarge)
	}
	up.large = true
	up.base, err = s.store.Commit(ctx, up.snap, up.branch)
	return err
}

// sayLFS says what became of files that Git LFS keeps.
func (s *Session) sayLFS(what string, paths []string) {
	const few = 3
	if len(paths) == 0 {
		return
	}
	names := strings.Join(paths[:min(few, len(paths))], ", ")
	if more := len(paths) - few; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	s.warn("files of Git LFS %s: %s", what, names)
}

// largest names the files that weigh most.
func largest(snap *workspace.Snapshot) string {
	const few = 3
	files := slices.Clone(snap.Entries)
	slices.SortFunc(files, func(a, b tree.Entry) int { return cmp.Compare(b.Size, a.Size) })
	var names []string
	for _, e := range files[:min(few, len(files))] {
		names = append(names, fmt.Sprintf("%q (%.1f MiB)", e.Path, float64(e.Size)/(1<<20)))
	}
	return strings.Join(names, ", ")
}

// populate fills the sandbox with what was made ready for it.
func (s *Session) populate(ctx context.Context, up *upload, p Progress) error {
	if up.past.Head != "" && !s.sb.Info().HasGit {
		s.warn("the history was not sent (history: %s): there is no git in the sandbox", s.opts.History)
		up.past = git.History{}
		if err := s.pack(ctx, up); err != nil {
			return err
		}
		s.update(func(st *state) { st.Base.Commit = up.base.Commit })
	}
	defer os.Remove(s.bundleFile()) // the store holds the same objects
	if up.large {
		if err := s.packLarge(ctx, up, p); err != nil {
			return err
		}
	}
	err := s.send(ctx, up, p)
	if err == nil || up.clonedFrom == "" || ctx.Err() != nil || isDead(err) {
		return err
	}
	why := fmt.Sprintf("the tree could not be put over what was fetched from %s: %v", up.clonedFrom, err)
	s.lostKept() // with the rest of the root
	if err := s.packWhole(ctx, up, why, p); err != nil {
		return err
	}
	return s.send(ctx, up, p)
}

// send sends the bundle and has the sandbox filled from it.
func (s *Session) send(ctx context.Context, up *upload, p Progress) error {
	bundle := up.base.BundlePath
	f, err := os.Open(bundle)
	if err != nil {
		return &Error{Kind: "unavailable", Op: "open a session", Path: bundle, Message: err.Error(), Err: err}
	}
	defer f.Close()
	token := newToken()
	err = s.sb.Populate(ctx, sandbox.PopulateRequest{
		Bundle: f, BundlePath: bundle, Size: up.base.BundleSize, Lengths: up.base.Lengths, Commit: up.base.Commit, Branch: up.branch, Format: up.format,
		Entries: up.snap.Entries, Token: token, Shallow: up.past.Cut, Progress: s.sayUpload(p),
		OverClone: up.clonedFrom != "", KeepIgnored: s.sb.Info().Kept != "", Ignore: s.ignore.current,
		Gone: s.keptSetup.gone(up.snap.Entries),
	})
	if err != nil {
		s.ws.ForgetPacks() // in case that one of them was the reason
		return err
	}
	s.update(func(st *state) { st.Token = token })
	return nil
}

// How long an upload takes before it is told, and how often it is told then.
const (
	uploadQuiet = time.Second
	uploadEvery = time.Second / 2
)

// sayUpload tells how far a sending is that takes long.
func (s *Session) sayUpload(p Progress) func(done, total int64) {
	next := s.m.o.Now().Add(uploadQuiet)
	return func(done, total int64) {
		now := s.m.o.Now()
		if total <= 0 || now.Before(next) {
			return
		}
		next = now.Add(uploadEvery)
		p.say(fmt.Sprintf("sending the tree: %.1f of %s", float64(done)/(1<<20), inMiB(total)), 60+int(35*done/total))
	}
}
