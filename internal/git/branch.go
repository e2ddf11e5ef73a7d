package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// RefExistsError says that a ref could not be made: it is there already, or one that
// it would have to lie in or above.
type RefExistsError struct{ Ref, Why string }

func (e *RefExistsError) Error() string {
	name := strings.TrimPrefix(e.Ref, "refs/heads/")
	if e.Why == "" {
		return "there is a branch " + name + " already"
	}
	return "a branch " + name + " cannot be made: " + e.Why
}

// Publish makes a new ref in the user's repository for a commit of the store, and is
// the only function that writes there: objects, as one pack, and the ref; no reflog,
// and no hook runs. The commit's parents must be in one of the two. A ref that exists
// is a *RefExistsError.
func (r *Repo) Publish(ctx context.Context, src *Source, ref, commit string) error {
	if err := checkRef(ref); err != nil || !strings.HasPrefix(ref, "refs/heads/") || strings.HasPrefix(ref, "refs/heads/-") || ref == "refs/heads/HEAD" {
		return &RefExistsError{Ref: ref, Why: "that is no name for a branch"}
	}
	if err := r.checkID(commit); err != nil {
		return err
	}
	if src.Format != r.Format {
		return fmt.Errorf("the repository hashes by %s, the store by %s", src.Format, r.Format)
	}
	there := place{gitDir: src.GitDir, workDir: src.CommonDir}
	found, err := r.Git.output(ctx, there, "for-each-ref", "--format=%(refname)", "--", ref)
	if err != nil {
		return fmt.Errorf("look for %s: %w", ref, err)
	}
	if existing := strings.TrimSpace(string(found)); existing == ref {
		return &RefExistsError{Ref: ref}
	} else if existing != "" {
		return &RefExistsError{Ref: ref, Why: "there are branches below that name"}
	}
	objects := filepath.Join(src.CommonDir, "objects")
	if err := r.copyObjects(ctx, objects, src.Head, commit); err != nil {
		return fmt.Errorf("copy objects to %s: %w", objects, err)
	}
	err = r.Git.run(ctx, there, Cmd{
		Args:  []string{"-c", "core.logAllRefUpdates=false", "update-ref", "--no-deref", "--stdin"},
		Stdin: strings.NewReader("create " + ref + " " + commit + "\n"),
	})
	var failed *Error
	if errors.As(err, &failed) && failed.Err == nil {
		return &RefExistsError{Ref: ref, Why: failed.Stderr}
	}
	return err
}

// copyObjects packs what commit needs and head does not have, and writes the pack
// into the object folder. Neither command reads the user's configuration.
func (r *Repo) copyObjects(ctx context.Context, objects, head, commit string) error {
	revs := commit + "\n"
	if head != "" {
		revs += "^" + head + "\n"
	}
	pr, pw := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := r.Run(ctx, Cmd{
			Args:  []string{"pack-objects", "--revs", "--stdout", "--quiet", "--delta-base-offset"},
			Stdin: strings.NewReader(revs), Stdout: pw,
			Env: []string{"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + quotePath(objects)},
		})
		pw.CloseWithError(err)
		packed <- err
	}()
	err := r.Run(ctx, Cmd{
		Args: []string{"index-pack", "--stdin", "--fsck-objects"}, Stdin: pr,
		Env: []string{"GIT_OBJECT_DIRECTORY=" + objects},
	})
	pr.CloseWithError(err)
	if cause := <-packed; cause != nil && err == nil || errors.Is(err, io.ErrClosedPipe) {
		return cause
	} else if cause != nil {
		return errors.Join(cause, err)
	}
	return err
}

// TreeIn gives the tree of a commit in the user's repository, "" for no commit. Only
// its objects are read.
func (r *Repo) TreeIn(ctx context.Context, src *Source, commit string) (string, error) {
	if commit == "" {
		return "", nil
	}
	if err := r.checkID(commit); err != nil {
		return "", err
	}
	var out strings.Builder
	err := r.Run(ctx, Cmd{
		Args: []string{"rev-parse", "--verify", "--end-of-options", commit + "^{tree}"}, Stdout: &out,
		Env: []string{"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + quotePath(filepath.Join(src.CommonDir, "objects"))},
	})
	return strings.TrimSpace(out.String()), err
}
