package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// cloneWish is a clone as the daemon sees it.
type cloneWish struct {
	sources []sandbox.CloneSource
	format  tree.Format
	objects []string // ids that the host asks about
	keep    bool     // what the root holds besides a repository stays
}

// clone makes the root a repository that has what one of the sources gives, and tells
// which of the objects are then in it. A populate goes on from there. What was fetched has
// no name in the repository, and nothing in it says where it came from.
func (t *trees) clone(ctx context.Context, w cloneWish, tell func(string)) (from string, has []bool, err error) {
	const op = "clone"
	if err := t.enter(ctx); err != nil {
		return "", nil, err
	}
	defer t.leave()
	switch {
	case t.populated:
		return "", nil, refuse(sandbox.Conflict, op, t.root, "the workspace has been filled already")
	case t.git == "":
		return "", nil, &sandbox.Error{Kind: sandbox.Unsupported, Op: op, Message: "there is no git in the sandbox, so that it cannot fetch from a remote"}
	case len(w.sources) == 0:
		return "", nil, refuse(sandbox.InvalidParams, op, t.root, "there is no remote to fetch from")
	}
	room, undo := t.makeRoom, t.clearRoot
	if w.keep {
		room, undo = t.removeRepo, func() { _ = t.removeRepo() }
	}
	if err := room(); err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			undo()
			err = fileError(op, t.root, err)
		}
	}()
	repo, err := t.startRepo(ctx, populateWish{format: w.format})
	if err != nil {
		return "", nil, err
	}
	repo.close()
	if from, err = t.fetchFirst(ctx, w.sources, tell); err != nil {
		return "", nil, err
	}
	if has, err = t.which(ctx, w.objects); err != nil {
		return "", nil, err
	}
	t.cloned = w.format
	return from, has, nil
}

// fetchFirst fetches from the first source that gives something.
func (t *trees) fetchFirst(ctx context.Context, sources []sandbox.CloneSource, tell func(string)) (string, error) {
	var failed []string
	for _, s := range sources {
		if err := checkSource(s); err != nil {
			return "", err
		}
		err := t.fetch(ctx, s, tell)
		if err == nil {
			return s.URL, nil
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		failed = append(failed, fmt.Sprintf("fetching from %s in the sandbox failed: %v", s.URL, err))
	}
	return "", &sandbox.Error{Kind: sandbox.Unavailable, Op: "clone", Message: strings.Join(failed, "; ")}
}

// checkSource refuses what is not a plain web address: the host says so, and a URL can
// name a program (git-remote-ext(1)).
func checkSource(s sandbox.CloneSource) error {
	scheme, rest, _ := strings.Cut(s.URL, "://")
	host, _, _ := strings.Cut(rest, "/")
	ok := (scheme == "http" || scheme == "https") && host != "" && !strings.ContainsAny(host, "@ ") && !strings.ContainsFunc(rest, isControl)
	if !ok || !isObjectID(s.Commit) || s.Ref != "" && !strings.HasPrefix(s.Ref, "refs/heads/") || strings.ContainsAny(s.Ref, ":*^~? \n") {
		return refuse(sandbox.InvalidParams, "clone", "", "the remote's address cannot be used")
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func isObjectID(id string) bool {
	return id != "" && strings.Trim(id, "0123456789abcdef") == ""
}

// fetch gets a commit's tree. Servers that only give what a branch points to are asked for
// the branch, and those that cannot cut a history give all of it.
func (t *trees) fetch(ctx context.Context, s sandbox.CloneSource, tell func(string)) error {
	err := t.fetchOnce(ctx, tell, "--depth=1", "--", s.URL, s.Commit)
	if err == nil || s.Ref == "" || ctx.Err() != nil {
		return err
	}
	if refusesCommits(err) {
		if err = t.fetchOnce(ctx, tell, "--depth=1", "--", s.URL, s.Ref); err == nil {
			return nil
		}
	}
	if strings.Contains(err.Error(), "shallow") {
		return t.fetchOnce(ctx, tell, "--", s.URL, s.Ref)
	}
	return err
}

// refusesCommits tells by git's words (in the locale C) that a remote answered and does
// not give out the commit.
func refusesCommits(err error) bool {
	for _, words := range []string{"not our ref", "unadvertised object", "Server does not allow request for", "shallow"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

// fetchStall is how long a remote may say nothing.
const fetchStall = 30 * time.Second

var errSilent = fmt.Errorf("it gave no answer for %s", fetchStall)

func (t *trees) fetchOnce(ctx context.Context, tell func(string), what ...string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := time.AfterFunc(fetchStall, func() { cancel(errSilent) })
	defer silent.Stop()
	said := &fetchOutput{tell: func(line string) {
		silent.Reset(fetchStall)
		tell(line)
	}}
	args := []string{
		"-c", "protocol.allow=never", "-c", "protocol.http.allow=always", "-c", "protocol.https.allow=always",
		"-c", "credential.helper=", "-c", "core.askPass=", "-c", "protocol.version=2",
		// All in packs, of which a repack keeps what is needed.
		"-c", "fetch.unpackLimit=1", "-c", "gc.auto=0",
		"fetch", "--progress", "--no-tags", "--no-recurse-submodules",
	}
	cmd := t.gitCommand(ctx, append(args, what...)...)
	cmd.Env = append(cmd.Env, "GIT_ASKPASS=", "SSH_ASKPASS=")
	cmd.Stderr = said
	err := cmd.Run()
	// It names the remote; nothing else does.
	_ = os.Remove(filepath.Join(t.root, ".git", "FETCH_HEAD"))
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if text := said.text(); text != "" {
		return errors.New(text)
	}
	return err
}

// which tells which objects the repository has.
func (t *trees) which(ctx context.Context, ids []string) ([]bool, error) {
	has := make([]bool, len(ids))
	if len(ids) == 0 {
		return has, nil
	}
	var out strings.Builder
	in := strings.NewReader(strings.Join(ids, "\n") + "\n")
	if err := t.gitRun(ctx, in, &out, "cat-file", "--buffer", "--batch-check=%(objectname)"); err != nil {
		return nil, err
	}
	i := 0
	for line := range strings.Lines(out.String()) {
		if i < len(ids) {
			has[i] = strings.TrimSpace(line) == ids[i] // else "<id> missing"
		}
		i++
	}
	if i != len(ids) {
		return nil, fmt.Errorf("git answered for %d objects of %d", i, len(ids))
	}
	return has, nil
}

// makeRoom empties the root for a populate or a clone: what an image holds is moved aside,
// what a clone left is ours to remove.
func (t *trees) makeRoom() error {
	if t.cloned != "" {
		t.cloned = ""
		t.clearRoot()
	}
	return t.emptyRoot()
}

// removeRepo makes room for a repository alone.
func (t *trees) removeRepo() error {
	t.cloned = ""
	err := os.MkdirAll(t.root, newDirMode)
	if err == nil {
		err = os.RemoveAll(filepath.Join(t.root, ".git"))
	}
	return fileError("clone", t.root, err)
}
