package modal

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

const (
	// maxDiffering bounds how many differences one capture tells.
	maxDiffering = 1 << 20
	// Bounds of what is fetched at once.
	batchBytes = 32 << 20
	batchFiles = 2000
	// fewFiles are fetched one by one, which also works while they change.
	fewFiles = 16
	// hashBytes of contents and more are hashed inside before they are fetched.
	hashBytes = 128 << 10
	// stillRounds is how often a file that changes while it is read is read again.
	stillRounds = 4
)

// Capture implements [sandbox.Trees]. What is told is what was fetched and hashed here;
// that nothing else changed is what the sandbox's stat data say.
func (d *direct) Capture(ctx context.Context, req sandbox.CaptureRequest, each func(sandbox.Captured) error) (sandbox.CaptureResult, error) {
	const op = "capture"
	if err := d.enter(ctx, op); err != nil {
		return sandbox.CaptureResult{}, err
	}
	defer d.leave()
	if err := d.agree(req); err != nil {
		return sandbox.CaptureResult{}, err
	}
	c := &capture{direct: d, ctx: ctx, each: each, maxFile: math.MaxInt64, room: math.MaxInt64, told: map[string]tree.Entry{}}
	if req.MaxFileSize > 0 {
		c.maxFile = req.MaxFileSize
	}
	if req.MaxBytes > 0 {
		c.room = req.MaxBytes
	}
	if err := c.look(); err != nil {
		return sandbox.CaptureResult{}, err
	}
	if err := c.tellGone(); err != nil {
		return sandbox.CaptureResult{}, err
	}
	if err := c.tellContents(); err != nil {
		return sandbox.CaptureResult{}, err
	}
	slices.SortFunc(c.skipped, func(a, b tree.Skipped) int { return strings.Compare(a.Path, b.Path) })
	return sandbox.CaptureResult{Token: d.trees.ledger.Tell(c.told), Skipped: c.skipped, Changed: len(c.told)}, nil
}

// capture is one of them under way.
type capture struct {
	*direct
	ctx     context.Context
	each    func(sandbox.Captured) error
	maxFile int64
	room    int64 // left for contents

	began   listing
	present map[string]bool // files that are there
	wanted  []listed        // those whose content is not known by their stat data
	stamps  map[string]stamped
	skipped []tree.Skipped
	told    map[string]tree.Entry
}

func (c *capture) skip(p string, why tree.Reason, detail string) {
	c.skipped = append(c.skipped, tree.Skipped{Path: p, Reason: why, Detail: detail})
}

// look lists the tree, and sorts out what may differ.
func (c *capture) look() error {
	t := &c.trees
	tracked := t.ledger.Tracked()
	holding := parents(tracked)
	hidden := func(dir string) bool { return t.rules.Ignored(dir, true) && !holding[dir] }
	prune := slices.DeleteFunc(slices.Clone(t.prunes), func(dir string) bool { return !hidden(dir) })
	ignored := map[string]bool{} // folders of which only tracked files count
	out := map[string]bool{}     // folders of which nothing does
	next := map[string]seenFile{}
	c.present, c.stamps = map[string]bool{}, map[string]stamped{}
	pruned := prune
	var err error
	c.began, err = c.list(c.ctx, "capture", c.info.Root, listWish{prune: prune}, func(e listed) error {
		dir, name := path.Split(e.path)
		dir = strings.TrimSuffix(dir, "/")
		switch {
		case e.path == "" || below(out, dir):
			return nil
		case isRepositoryFolder(name):
			out[e.path] = true
			return nil
		}
		isDir := e.stamp.mode&modeType == modeDir
		if why := badPath(e.path); why != "" {
			c.skip(e.path, tree.BadPath, why)
			out[e.path] = isDir
			return nil
		}
		if isDir {
			if below(ignored, dir) || t.rules.Ignored(e.path, true) {
				if !holding[e.path] {
					out[e.path] = true
					pruned = append(pruned, e.path)
					return nil
				}
				ignored[e.path] = true
			}
			return nil
		}
		if !tracked[e.path] && (below(ignored, dir) || t.rules.Ignored(e.path, false)) {
			return nil
		}
		c.file(e, next)
		return nil
	})
	if err != nil {
		return err
	}
	for _, dir := range c.began.unreadable {
		if !below(out, dir) {
			c.skip(dir, tree.Unreadable, "folder: permission denied")
		}
	}
	slices.Sort(pruned)
	t.prunes, t.seen = slices.Compact(pruned), next
	return nil
}

// file sorts in one file that is part of the tree.
func (c *capture) file(e listed, next map[string]seenFile) {
	t := &c.trees
	mode := modeOf(e.stamp.mode)
	switch {
	case mode == tree.Absent:
		c.skip(e.path, tree.Special, "it is neither a file, a folder nor a link")
		return
	case e.stamp.size > c.maxFile:
		c.skip(e.path, tree.TooLarge, fmt.Sprintf("%d bytes, the limit is %d", e.stamp.size, c.maxFile))
		return
	}
	c.present[e.path] = true
	c.stamps[e.path] = e.stamp
	if e.told {
		entry := tree.Entry{Path: e.path, Mode: mode, Hash: tree.HashBytes(t.format, []byte(e.target)), Size: int64(len(e.target))}
		if !t.ledger.Known()[e.path].Same(entry) {
			c.wanted = append(c.wanted, e)
		}
		return
	}
	was, there := t.seen[e.path]
	if !there || was.stamp != e.stamp {
		c.wanted = append(c.wanted, e)
		return
	}
	next[e.path] = was
	entry := tree.Entry{Path: e.path, Mode: mode, Hash: was.hash, Size: e.stamp.size}
	if !t.ledger.Known()[e.path].Same(entry) {
		c.wanted = append(c.wanted, e)
	}
}

// learn notes a content by the stat data under which it was read.
func (c *capture) learn(p string, stamp stamped, hash string) {
	if !stamp.racy(c.began.began) {
		c.trees.seen[p] = seenFile{stamp: stamp, hash: hash}
	}
}

// tellGone tells what the host has and the sandbox has not. What lies in a folder that
// could not be read is not known to be gone.
func (c *capture) tellGone() error {
	unread := map[string]bool{}
	for _, s := range c.skipped {
		unread[s.Path] = true
	}
	var gone []string
	for p := range c.trees.ledger.Known() {
		if !c.present[p] && !below(unread, p) {
			gone = append(gone, p)
		}
	}
	if n := len(gone) + len(c.wanted); n > maxDiffering {
		return &sandbox.Error{
			Kind: sandbox.TooLarge, Op: "capture", Path: c.info.Root,
			Message: fmt.Sprintf("%d files may differ from what the host has, and %d can be brought there at once", n, maxDiffering),
			Hint:    "delete those that are not needed, or name their folder in .gitignore",
		}
	}
	slices.Sort(gone)
	for _, p := range gone {
		if err := c.gone(p); err != nil {
			return err
		}
	}
	return nil
}

func (c *capture) gone(p string) error {
	e := tree.Entry{Path: p}
	c.told[p] = e
	return c.give(sandbox.Captured{Entry: e})
}

func (c *capture) give(one sandbox.Captured) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	return c.each(one)
}

// tellContents tells the files that differ, the smallest first: a few large ones must not
// keep many small ones, which are what people write, from being safe.
func (c *capture) tellContents() error {
	slices.SortStableFunc(c.wanted, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.stamp.size, b.stamp.size), strings.Compare(a.path, b.path))
	})
	changed, err := c.without(c.wanted)
	if err != nil {
		return err
	}
	// What turns out not to differ takes no room, so that more is fetched than there may be
	// room for, by a batch at most.
	for len(changed) > 0 {
		var batch []listed
		bytes := int64(0)
		for len(changed) > 0 && len(batch) < batchFiles && (bytes == 0 || bytes+changed[0].stamp.size <= batchBytes) {
			e := changed[0]
			changed = changed[1:]
			if e.stamp.size > c.room {
				c.skip(e.path, tree.TooMuch, fmt.Sprintf("%d bytes", e.stamp.size))
				continue
			}
			bytes += e.stamp.size
			batch = append(batch, e)
		}
		if err := c.fetch(batch); err != nil {
			return err
		}
	}
	return nil
}

// without leaves out the files whose content is what the host has, as far as that can be
// told inside for less than fetching them.
func (c *capture) without(list []listed) ([]listed, error) {
	var ask, rest []listed
	known := c.trees.ledger.Known()
	bytes := int64(0)
	for _, e := range list {
		old := known[e.path]
		plain := !strings.ContainsAny(e.path, "\n\"\\") && e.stamp.mode&modeType == modeRegular
		if plain && old.Exists() && old.Size == e.stamp.size && (c.has.git || e.stamp.size >= hashBytes) {
			ask = append(ask, e)
			bytes += e.stamp.size
		} else {
			rest = append(rest, e)
		}
	}
	if c.has.hasher == "" || bytes < hashBytes {
		return list, nil
	}
	how := c.has.hasher
	if c.has.git {
		how = "git"
	}
	for chunk := range slices.Chunk(ask, batchFiles) {
		args := []string{c.info.Root, how, string(c.trees.format)}
		for _, e := range chunk {
			args = append(args, e.path)
		}
		r, err := c.sh(c.ctx, "capture", "", script{name: "hash.sh", args: args})
		if err != nil {
			return nil, err
		}
		hashes := strings.Fields(string(r.out))
		for i, e := range chunk {
			// Where git ended in the middle, on a file that changed, the others are fetched.
			if i < len(hashes) && hashes[i] == known[e.path].Hash {
				c.learn(e.path, e.stamp, hashes[i])
				if known[e.path].Mode == modeOf(e.stamp.mode) {
					continue
				}
			}
			rest = append(rest, e)
		}
	}
	slices.SortStableFunc(rest, func(a, b listed) int { return cmp.Compare(a.stamp.size, b.stamp.size) })
	return rest, nil
}

// fetch brings a batch of files here and tells those that differ.
func (c *capture) fetch(batch []listed) error {
	if len(batch) == 0 {
		return nil
	}
	var still []listed
	for _, e := range batch {
		if e.told {
			if err := c.take(e.path, e.stamp, int64(len(e.target)), strings.NewReader(e.target)); err != nil {
				return err
			}
			continue
		}
		still = append(still, e)
	}
	if len(still) > fewFiles && !slices.ContainsFunc(still, func(e listed) bool { return e.stamp.mode&modeType != modeRegular }) {
		ok, err := c.fetchBulk(still)
		if ok || err != nil {
			return err
		}
	}
	for round := range stillRounds {
		var again []listed
		for chunk := range slices.Chunk(still, 200) {
			moved, err := c.fetchFramed(chunk)
			if err != nil {
				return err
			}
			again = append(again, moved...)
		}
		if still = again; len(still) == 0 {
			return nil
		}
		if round == stillRounds-1 {
			for _, e := range still {
				c.skip(e.path, tree.Unstable, "kept changing while it was read")
			}
		}
	}
	return nil
}

// take tells one file if it differs.
func (c *capture) take(p string, stamp stamped, size int64, content io.Reader) error {
	spooled, err := tree.SpoolContent(content, modeOf(stamp.mode), size, c.trees.format)
	if err != nil {
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: "capture", Path: p, Message: err.Error(), Err: err}
	}
	defer spooled.Close()
	e := spooled.Entry()
	e.Path = p
	c.learn(p, stamp, e.Hash)
	switch {
	case e.Same(c.trees.ledger.Known()[p]):
		return nil
	case e.Size > c.room:
		c.skip(p, tree.TooMuch, fmt.Sprintf("%d bytes", e.Size))
		return nil
	}
	c.room -= e.Size
	c.told[p] = e
	return c.give(sandbox.Captured{Entry: e, Content: spooled.Reader()})
}
