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
	if len(refs) == 0 {
		return errors.New("make bundle: no ref is named")
	}
	for _, name := range refs {
		if err := checkRef(strings.TrimPrefix(name, "^")); err != nil {
			return fmt.Errorf("make bundle: %w", err)
		}
	}
	err := r.Run(ctx, Cmd{
		Args:   []string{"bundle", "create", "--quiet", "-", "--stdin"},
		Stdin:  strings.NewReader(strings.Join(refs, "\n") + "\n"),
		Stdout: w,
	})
	if err != nil {
		return fmt.Errorf("make bundle: %w", err)
	}
	return nil
}
