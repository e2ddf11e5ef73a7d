package workspace

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"glue-lsp/internal/git"
)

// ParseHistory reads the setting of how much of HEAD's history goes up: "" or none,
// full, or shallow:N for N commits. The depth is one of [git.Repo.CopyHistory].
func ParseHistory(setting string) (depth int, err error) {
	switch setting {
	case "", "none":
		return 0, nil
	case "full":
		return git.WholeHistory, nil
	}
	if n, ok := strings.CutPrefix(setting, "shallow:"); ok {
		if depth, err := strconv.Atoi(n); err == nil && depth > 0 {
			return depth, nil
		}
	}
	return 0, fmt.Errorf("history is %q; it can be none, full or shallow:N, where N is a number of commits", setting)
}

// TakeHistory copies HEAD's history into a store that has none, so that a base can
// stand on it. When that cannot be done, why says the reason in words for the person,
// and there is no history; the tree can go up all the same. max bounds its size in
// bytes, 0 is no limit.
func (s *Store) TakeHistory(ctx context.Context, src *git.Source, depth int, max int64) (h git.History, why string, err error) {
	if src == nil {
		return h, "", nil
	}
	h, err = s.Repo.CopyHistory(ctx, src, depth, max)
	var limit *git.LimitError
	var incomplete *git.IncompleteError
	switch {
	case err == nil:
		return h, "", nil
	case ctx.Err() != nil:
		return git.History{}, "", err
	case errors.As(err, &limit) && limit.What == git.LimitFile:
		return git.History{}, fmt.Sprintf("it packs to more than %d MiB", max>>20), nil
	case errors.As(err, &incomplete):
		return git.History{}, incomplete.Error(), nil
	case errors.As(err, &limit):
		return git.History{}, limit.Error(), nil
	}
	return git.History{}, "", storeError("copy the history", s.Repo.Dir, err)
}
