package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strings"
	"syscall"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// captureWish is a capture as the daemon sees it.
type captureWish struct {
	view        string // the client's name for what it shares with the agent
	base        string
	entries     []tree.Entry
	hasEntries  bool
	ignore      []tree.IgnoreFile
	hasIgnore   bool
	include     []string
	hasInclude  bool
	maxFileSize int64
	maxBytes    int64 // of all contents together
	format      tree.Format
}

// captureSink takes what differs, as it is read. content is nil for a deletion.
type captureSink func(e tree.Entry, content io.Reader) error

// capture tells what differs between the tree and the one that the host knows. Paths
// that could not be read are skipped by name and never told as deleted.
func (t *trees) capture(ctx context.Context, w captureWish, sink captureSink) (sandbox.CaptureResult, error) {
	if err := t.enter(ctx); err != nil {
		return sandbox.CaptureResult{}, err
	}
	defer t.leave()
	t.wishes.bound(w.maxFileSize, w.maxBytes)
	if err := t.agree(w); err != nil {
		return sandbox.CaptureResult{}, err
	}
	c, err := t.tell(ctx, w, nil, sink)
	if err != nil {
		return sandbox.CaptureResult{}, err
	}
	return sandbox.CaptureResult{Token: t.ledger.tell(c.told), Skipped: c.skipped, Changed: len(c.told)}, nil
}

// tellAll is capture without a word to the ledger. Paths of open, which the host may have
// been told and may have not, are told in any case.
func (t *trees) tellAll(ctx context.Context, w captureWish, open map[string]tree.Entry, sink captureSink) (sandbox.CaptureResult, error) {
	c, err := t.tell(ctx, w, open, sink)
	if err != nil {
		return sandbox.CaptureResult{}, err
	}
	return sandbox.CaptureResult{Token: t.ledger.token, Skipped: c.skipped, Changed: len(c.told)}, nil
}

// tell scans the tree and tells what differs from the known one; the turn is held.
func (t *trees) tell(ctx context.Context, w captureWish, open map[string]tree.Entry, sink captureSink) (*captured, error) {
	scan, err := tree.Scan(ctx, t.root, tree.ScanOptions{
		Format: t.format, Ignored: t.rules.ignored, Tracked: t.ledger.tracked, MaxFileSize: w.maxFileSize,
	}, t.cache)
	if err != nil {
		return nil, fileError("capture", t.root, err)
	}
	c := &captured{trees: t, sink: sink, max: w.maxFileSize, room: w.maxBytes, skipped: scan.Skipped, told: map[string]tree.Entry{}, open: open}
	if c.room <= 0 {
		c.room = math.MaxInt64
	}
	changed := t.differences(scan, open)
	if len(changed) > maxChanged {
		return nil, &sandbox.Error{
			Kind: sandbox.TooLarge, Op: "capture", Path: t.root,
			Message: fmt.Sprintf("%d files differ from what the host has, and %d can be brought there at once", len(changed), maxChanged),
			Hint:    "delete those that are not needed, or name their folder in .gitignore",
		}
	}
	for _, e := range c.fitting(changed) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := c.send(e); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// agree brings the ledger and the rules to what the host says.
func (t *trees) agree(w captureWish) error {
	if err := t.follow(w); err != nil {
		return err
	}
	switch {
	case w.hasEntries && len(w.entries) > 0 && w.base == "":
		// "" is the name of nothing at all, so that this needs another.
		t.ledger.adopt(w.view, newID(), w.entries)
	case w.hasEntries:
		t.ledger.adopt(w.view, w.base, w.entries)
	case !t.ledger.settle(w.view, w.base):
		return refuse(sandbox.Stale, "capture", t.root, "the agent does not know the tree that the host compares with")
	}
	return nil
}

// follow takes over the rules that the host sent.
func (t *trees) follow(w captureWish) error {
	if w.format != "" {
		if w.format != tree.SHA1 && w.format != tree.SHA256 {
			return refuse(sandbox.InvalidParams, "capture", t.root, "unknown object format "+string(w.format))
		}
		if w.format != t.format {
			t.format, t.cache = w.format, tree.NewCache()
		}
	}
	if w.hasIgnore {
		t.rules.setIgnore(w.ignore)
	}
	if w.hasInclude {
		t.rules.setInclude(w.include)
	}
	return nil
}

// differences lists what differs from what the host knows, by path. A file that the
// scan skipped, or that lies below a folder that it skipped, is not known to be gone.
// Paths of open are listed in any case.
func (t *trees) differences(scan tree.ScanResult, open map[string]tree.Entry) []tree.Entry {
	var out []tree.Entry
	known, same := t.ledger.known, 0
	for _, e := range scan.Entries {
		old, there := known[e.Path]
		if there {
			same++
		}
		if _, asked := open[e.Path]; asked || !there || !old.Same(e) {
			out = append(out, e)
		}
	}
	if same == len(known) && len(open) == 0 {
		return out
	}
	seen := make(map[string]bool, len(scan.Entries)+len(scan.Skipped))
	for _, e := range scan.Entries {
		seen[e.Path] = true
	}
	skipped := make(map[string]bool, len(scan.Skipped))
	for _, s := range scan.Skipped {
		skipped[s.Path] = true
	}
	gone := func(p string) bool { return !seen[p] && !coveredBy(skipped, p) }
	for p := range known {
		if gone(p) {
			out = append(out, tree.Entry{Path: p})
		}
	}
	for p := range open {
		if !known[p].Exists() && gone(p) {
			out = append(out, tree.Entry{Path: p})
		}
	}
	slices.SortFunc(out, func(a, b tree.Entry) int { return strings.Compare(a.Path, b.Path) })
	return out
}

func coveredBy(skipped map[string]bool, p string) bool {
	if len(skipped) == 0 {
		return false
	}
	for ; p != ""; p = parent(p) {
		if skipped[p] {
			return true
		}
	}
	return skipped[""] || skipped["."]
}

// captured is the telling of one capture.
type captured struct {
	*trees
	sink    captureSink
	max     int64 // of one file
	room    int64 // left for contents
	skipped []tree.Skipped
	told    map[string]tree.Entry
	open    map[string]tree.Entry // to be told also where they are as known
}

// maxChanged bounds how many differences one capture tells. Either end keeps a list of
// them in memory.
const maxChanged = 1 << 20

// fitting leaves the largest files out until the others fit: a few of them must not
// keep many small ones, which are what people write, from being safe.
func (c *captured) fitting(changed []tree.Entry) []tree.Entry {
	total := int64(0)
	for _, e := range changed {
		total += e.Size
	}
	if total <= c.room {
		return changed
	}
	bySize := slices.Clone(changed)
	slices.SortStableFunc(bySize, func(a, b tree.Entry) int { return cmp.Compare(b.Size, a.Size) })
	out := map[string]bool{}
	for _, e := range bySize {
		if total <= c.room {
			break
		}
		total -= e.Size
		out[e.Path] = true
		c.tooMuch(e)
	}
	return slices.DeleteFunc(changed, func(e tree.Entry) bool { return out[e.Path] })
}

func (c *captured) tooMuch(e tree.Entry) {
	c.skip(e.Path, tree.TooMuch, fmt.Sprintf("%d bytes", e.Size))
}

// send tells one difference. What it tells is what it reads, which may be newer than
// what the scan saw.
func (c *captured) send(e tree.Entry) error {
	if !e.Exists() {
		c.told[e.Path] = e
		return c.sink(e, nil)
	}
	content, err := tree.ReadContent(c.root, e.Path, c.format)
	if err != nil {
		return c.unreadable(e.Path, err)
	}
	defer content.Close()
	now := content.Entry()
	now.Path = e.Path
	switch {
	case c.max > 0 && now.Size > c.max:
		c.skip(e.Path, tree.TooLarge, "")
		return nil
	case now.Same(c.ledger.known[e.Path]) && !c.isOpen(e.Path):
		return nil // changed back in the meantime
	case now.Size > c.room:
		c.tooMuch(now)
		return nil
	}
	c.room -= now.Size
	c.told[e.Path] = now
	return c.sink(now, content.Reader())
}

// unreadable is for a file that the scan saw and that cannot be read now.
func (c *captured) unreadable(p string, err error) error {
	var unstable *tree.UnstableError
	switch {
	case errors.As(err, &unstable):
		c.skip(p, tree.Unstable, err.Error())
	case isShortage(err):
		c.skip(p, tree.NoRoom, err.Error())
	case !errors.Is(err, fs.ErrNotExist):
		c.skip(p, tree.Unreadable, err.Error())
	case c.ledger.known[p].Exists() || c.isOpen(p):
		gone := tree.Entry{Path: p}
		c.told[p] = gone
		return c.sink(gone, nil)
	}
	return nil
}

// isShortage reports whether something was in short supply; the file itself is fine.
func isShortage(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func (c *captured) isOpen(p string) bool {
	_, open := c.open[p]
	return open
}

func (c *captured) skip(p string, why tree.Reason, detail string) {
	c.skipped = append(c.skipped, tree.Skipped{Path: p, Reason: why, Detail: detail})
}
