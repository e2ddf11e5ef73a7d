package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bundle writes a bundle of refs to w, fast: no deltas are searched and what is
// already compressed stays as it is. A name may have a "^" in front: what that
// ref holds is left out, and taken for granted by the bundle (git-bundle(1),
// prerequisites).
func (r *Repo) Bundle(ctx context.Context, w io.Writer, refs ...string) error {
	_, err := r.BundleMapped(ctx, w, refs...)
	return err
}

// BundleMapped is Bundle, and gives the lengths of the objects in the bundle's pack, as
// they lie there one after the other. They are not known, and nil, where the bundle
// needs git: where refs have a history, or objects are stored as differences.
func (r *Repo) BundleMapped(ctx context.Context, w io.Writer, refs ...string) ([]int64, error) {
	lengths, err := r.bundle(ctx, w, refs)
	if err != nil {
		return nil, fmt.Errorf("make bundle: %w", err)
	}
	return lengths, nil
}

func (r *Repo) bundle(ctx context.Context, w io.Writer, refs []string) ([]int64, error) {
	if len(refs) == 0 {
		return nil, errors.New("no ref is named")
	}
	for _, name := range refs {
		if err := checkRef(strings.TrimPrefix(name, "^")); err != nil {
			return nil, err
		}
	}
	plan, err := r.planBundle(refs)
	if err == nil {
		defer plan.packs.close()
		return plan.write(ctx, w)
	}
	if !errors.Is(err, errNotWhole) {
		return nil, err
	}
	return nil, r.Run(ctx, Cmd{
		Args:   []string{"bundle", "create", "--quiet", "-", "--stdin"},
		Stdin:  strings.NewReader(strings.Join(refs, "\n") + "\n"),
		Stdout: w,
	})
}
