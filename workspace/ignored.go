package workspace

import (
	"context"
	"slices"
	"strings"
)

// IgnoredFolders lists the folders that an ignore rule leaves out and of which nothing
// goes up, relative to the root, with slashes, sorted; of those inside each other only
// the outermost. Links are not folders.
func (w *Workspace) IgnoredFolders(ctx context.Context) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l, err := w.list(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range l.ignored {
		dir, ok := strings.CutSuffix(p, "/")
		if !ok {
			continue
		}
		// What was included by name goes up all the same.
		if i, _ := slices.BinarySearch(l.paths, p); i < len(l.paths) && strings.HasPrefix(l.paths[i], p) {
			continue
		}
		out = append(out, dir)
	}
	return out, nil
}
