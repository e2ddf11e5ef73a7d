package modal

import (
	"context"
	"errors"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// directTrees is what the host keeps of a sandbox's tree where no agent does: what both
// know, and by which stat data which contents were read.
type directTrees struct {
	turn chan struct{} // held by the one operation that reads or writes the tree

	// Guarded by turn.
	ledger    *agent.Ledger
	rules     agent.Rules
	format    tree.Format
	seen      map[string]seenFile
	prunes    []string // folders that were ignored when they were last listed
	fresh     bool     // neither filled nor captured yet
	populated bool
}

// seenFile is a content by the stat data under which it was read.
type seenFile struct {
	stamp stamped
	hash  string
}

func (t *directTrees) init() {
	t.turn = make(chan struct{}, 1)
	t.ledger, t.format, t.seen, t.fresh = agent.NewLedger(), tree.SHA1, map[string]seenFile{}, true
}

// enter waits for the turn; leave gives it up.
func (d *direct) enter(ctx context.Context, op string) error {
	if why := d.death(); why != nil {
		return ended(why, op, "")
	}
	if err := d.needShell(op, d.info.Root); err != nil {
		return err
	}
	select {
	case d.trees.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-d.alive.Done():
		return ended(d.death(), op, "")
	}
}

func (d *direct) leave() { <-d.trees.turn }

// doubt gives up what is known of the tree: the next capture has to be told.
func (t *directTrees) doubt() {
	t.ledger = agent.NewLedger()
	t.ledger.Adopt(newNonce(), nil)
	t.fresh = false
}

// agree brings ledger and rules to what the host says.
func (d *direct) agree(req sandbox.CaptureRequest) error {
	t := &d.trees
	const op = "capture"
	if req.Format != "" {
		if req.Format != tree.SHA1 && req.Format != tree.SHA256 {
			return refuse(sandbox.InvalidParams, op, d.info.Root, "unknown object format "+string(req.Format))
		}
		if req.Format != t.format {
			t.format, t.seen = req.Format, map[string]seenFile{}
		}
	}
	if req.Ignore != nil {
		t.rules.SetIgnore(req.Ignore)
	}
	if req.Include != nil {
		t.rules.SetInclude(req.Include)
	}
	if req.Entries == nil && req.Base == "" && t.fresh {
		req.Entries = []tree.Entry{}
	}
	t.fresh = false
	switch {
	case req.Entries != nil:
		t.ledger.Adopt(req.Base, req.Entries)
	case !t.ledger.Settle(req.Base):
		return refuse(sandbox.Stale, op, d.info.Root, "it is not known which tree the host compares with")
	}
	return nil
}

// isRepositoryFolder tells a repository's own folder, or the file in its place.
func isRepositoryFolder(name string) bool { return strings.EqualFold(name, ".git") }

// parents are the folders that hold some paths.
func parents(paths map[string]bool) map[string]bool {
	out := map[string]bool{}
	for p := range paths {
		for i := strings.LastIndexByte(p, '/'); i > 0; i = strings.LastIndexByte(p[:i], '/') {
			if out[p[:i]] {
				break
			}
			out[p[:i]] = true
		}
	}
	return out
}

// below reports whether p is one of the folders or in one.
func below(folders map[string]bool, p string) bool {
	for len(folders) > 0 {
		if folders[p] {
			return true
		}
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			return folders[""]
		}
		p = p[:i]
	}
	return false
}

// badPath says why a path is no part of a tree, "" if it may be.
func badPath(p string) string {
	var bad *tree.PathError
	if err := tree.CheckPath(p); errors.As(err, &bad) {
		return bad.Why
	}
	return ""
}

// modeOf is the tree's mode of a file, Absent for what no tree holds.
func modeOf(mode uint32) tree.Mode {
	switch {
	case mode&modeType == modeLink:
		return tree.Symlink
	case mode&modeType != modeRegular:
		return tree.Absent
	case mode&0o100 != 0:
		return tree.Executable
	}
	return tree.Regular
}
