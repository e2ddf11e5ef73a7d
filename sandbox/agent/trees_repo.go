package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// identity lets commits inside work where nobody set a name up. It belongs to the
// repository alone; GIT_AUTHOR_NAME and its kin go before it.
const identity = "[user]\n\tname = glue sandbox\n\temail = sandbox@glue.invalid\n"

// newRepo is a repository that takes in a pack.
type newRepo struct {
	t      *trees
	dir    string
	pack   io.Writer // where the pack's bytes go
	pipe   io.WriteCloser
	index  *exec.Cmd
	stderr tail
	ended  bool
}

// startRepo makes an empty repository and a git that waits for a pack.
func (t *trees) startRepo(ctx context.Context, w populateWish) (*newRepo, error) {
	args := []string{"init", "--quiet", "--template="}
	if w.format != tree.SHA1 {
		args = append(args, "--object-format="+string(w.format))
	}
	if err := t.gitRun(ctx, nil, nil, args...); err != nil {
		return nil, err
	}
	r := &newRepo{t: t, dir: filepath.Join(t.root, ".git")}
	if err := r.configure(); err != nil {
		return nil, err
	}
	r.index = t.gitCommand(ctx, "index-pack", "--stdin")
	r.index.Stderr = &r.stderr
	var err error
	if r.pipe, err = r.index.StdinPipe(); err != nil {
		return nil, err
	}
	r.pack = r.pipe
	return r, r.index.Start()
}

func (r *newRepo) configure() error {
	if err := os.MkdirAll(filepath.Join(r.dir, "info"), newDirMode); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "info", "attributes"), []byte(noConversions), newFileMode); err != nil {
		return err
	}
	config, err := os.OpenFile(filepath.Join(r.dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = config.WriteString(identity)
	return errors.Join(err, config.Close())
}

// finish waits until the pack is in, and points the refs.
func (r *newRepo) finish(ctx context.Context, h bundleHeader, w populateWish) error {
	r.ended = true
	err := r.pipe.Close()
	if werr := r.index.Wait(); werr != nil {
		err = &gitError{command: "index-pack", stderr: r.stderr.text(), err: werr}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	var refs strings.Builder
	head := w.commit + "\n"
	if w.branch != "" {
		head = "ref: refs/heads/" + w.branch + "\n"
		fmt.Fprintf(&refs, "create refs/heads/%s %s\n", w.branch, w.commit)
	}
	for _, ref := range h.refs {
		if strings.HasPrefix(ref.name, "refs/tags/") {
			fmt.Fprintf(&refs, "create %s %s\n", ref.name, ref.id)
		}
	}
	// Resolving the commit first says plainly what is wrong if it is not there.
	if err := r.t.gitRun(ctx, nil, nil, "rev-parse", "--quiet", "--verify", w.commit+"^{commit}"); err != nil {
		return badBundle(fmt.Errorf("the commit %s is not in it", w.commit))
	}
	if refs.Len() > 0 {
		if err := r.t.gitRun(ctx, strings.NewReader(refs.String()), nil, "update-ref", "--stdin"); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(r.dir, "HEAD"), []byte(head), newFileMode)
}

// explain gives the reason for which the pack could not be taken in: git's, if it was
// git that ended first.
func (r *newRepo) explain(err error) error {
	var e *sandbox.Error
	if r == nil || r.ended || errors.As(err, &e) {
		return err
	}
	r.abandon()
	if text := r.stderr.text(); text != "" {
		return &gitError{command: "index-pack", stderr: text, err: err}
	}
	return err
}

// abandon ends a git that is still waiting.
func (r *newRepo) abandon() {
	if r.ended {
		return
	}
	r.ended = true
	r.pipe.Close()
	_ = r.index.Process.Kill()
	_ = r.index.Wait()
}
