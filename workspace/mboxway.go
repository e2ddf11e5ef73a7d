package workspace

import (
	"context"
	"slices"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// makeWay splits each of the first n messages in which a symbolic link becomes a folder:
// the links go in a message of its own before. Git looks for the new files through the
// link while it is still there, which fails for a link to itself or with a long target,
// and does not see that a link goes when the patch calls it renamed
// (prepare_symlink_changes in git's apply.c). It tells whether any message was split.
func (b *mboxBuilder) makeWay(ctx context.Context, n int) (split bool, err error) {
	for i := n - 1; i >= 0; i-- {
		m := b.messages[i]
		links := m.linksToFolders()
		if m.whole || len(links) == 0 {
			continue
		}
		between, err := b.s.Repo.Update(ctx, m.from, links)
		if err != nil {
			return false, err
		}
		b.messages = slices.Insert(b.messages, i, &mboxMessage{from: m.from, to: between, way: true})
		m.from, split = between, true
	}
	return split, nil
}

// linksToFolders gives the removals of the links whose paths are folders after a message.
func (m *mboxMessage) linksToFolders() []git.Change {
	links := map[string]bool{}
	for _, p := range m.paths {
		if p.old.Mode == tree.Symlink && !p.new.Exists() {
			links[p.path] = true
		}
	}
	if len(links) == 0 {
		return nil
	}
	folders := map[string]bool{}
	for _, p := range m.paths {
		if !p.new.Exists() {
			continue
		}
		for above := range foldersAbove(p.path) {
			if links[above] {
				folders[above] = true
			}
		}
	}
	var out []git.Change
	for _, path := range sortedKeys(folders) {
		out = append(out, git.Change{Entry: tree.Entry{Path: path}})
	}
	return out
}
