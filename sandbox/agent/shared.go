package agent

import (
	"bufio"
	"context"
	"io"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// What a runtime that has no agent inside shares with the agent, so that both do alike.

// Output keeps what a command printed, up to a bound, for any number of readers. While
// there is a reader no byte that it still needs is dropped: the writer waits instead.
type Output struct{ o *output }

// OutputReader is one reader's place in both streams.
type OutputReader struct{ r *reader }

// NewOutput makes an empty one.
func NewOutput() *Output { return &Output{newOutput()} }

// Write takes in all of p, after waiting for readers that are behind. One goroutine at a
// time may write to a stream.
func (k *Output) Write(s sandbox.Stream, p []byte) {
	for len(p) > 0 {
		n := copy(k.o.space(s), p)
		k.o.commit(s, n)
		p = p[n:]
	}
}

// Seal says that the output is complete.
func (k *Output) Seal() {
	k.o.finish(sandbox.Stdout)
	k.o.finish(sandbox.Stderr)
	k.o.seal()
	k.o.compact(false)
}

// Forget gives back the memory of a sealed output that has no readers.
func (k *Output) Forget() { k.o.compact(true) }

// Attach adds a reader from the given offsets on. lost is what of that is no longer kept.
func (k *Output) Attach(from sandbox.Offsets) (r *OutputReader, lost sandbox.Offsets) {
	r = &OutputReader{k.o.attach(from)}
	at := r.At()
	k.o.mu.Lock()
	defer k.o.mu.Unlock()
	lost.Stdout = min(at.Stdout, k.o.rings[0].end) - min(from.Stdout, k.o.rings[0].end)
	lost.Stderr = min(at.Stderr, k.o.rings[1].end) - min(from.Stderr, k.o.rings[1].end)
	return r, lost
}

// At is where a reader is.
func (r *OutputReader) At() sandbox.Offsets {
	return sandbox.Offsets{Stdout: r.r.pos[0], Stderr: r.r.pos[1]}
}

// Detach takes a reader away.
func (k *Output) Detach(r *OutputReader) { k.o.detach(r.r) }

// Next waits for more and gives a piece of it, which is valid until Advance. ok is false
// at the end of the output, and when ctx ends.
func (k *Output) Next(ctx context.Context, r *OutputReader) (s sandbox.Stream, offset int64, p []byte, ok bool) {
	stop := context.AfterFunc(ctx, func() {
		k.o.mu.Lock() // not between a look at ctx and the waiting
		defer k.o.mu.Unlock()
		k.o.changed.Broadcast()
	})
	defer stop()
	return k.o.next(ctx, r.r)
}

// Advance says that a reader is done with n bytes of a stream.
func (k *Output) Advance(r *OutputReader, s sandbox.Stream, n int) { k.o.advance(r.r, s, n) }

// Rules decide which untracked files stay out of a capture. The zero value ignores
// unfinished files only.
type Rules struct{ r rules }

// SetIgnore replaces the host's rules.
func (k *Rules) SetIgnore(files []tree.IgnoreFile) { k.r.setIgnore(files) }

// SetInclude replaces the patterns of ignored files that come back all the same.
func (k *Rules) SetInclude(patterns []string) { k.r.setInclude(patterns) }

// Ignored is what [tree.ScanOptions] asks.
func (k *Rules) Ignored(path string, isDir bool) bool { return k.r.ignored(path, isDir) }

// IsUnfinished reports whether a name is that of a file which a write has not finished.
func IsUnfinished(base string) bool { return isTemp(base) }

// UnfinishedName gives a new name for such a file.
func UnfinishedName() string {
	return tempStart + newID()[:tempDigits] + "-" + newID()[:tempDigits]
}

// Ledger is the tree that the host knows of, and what it was told since, see ledger.
type Ledger struct{ l ledger }

// NewLedger makes one that knows nothing.
func NewLedger() *Ledger {
	k := &Ledger{}
	k.l.adopt("", "", nil)
	return k
}

// Adopt takes over what the host says it knows, under its token for that.
func (k *Ledger) Adopt(token string, entries []tree.Entry) {
	if token == "" && len(entries) > 0 {
		token = newID() // "" is the name of nothing at all
	}
	k.l.adopt("", token, entries)
}

// Settle makes known what the host holds by the name of base, and reports false where
// that is unknown.
func (k *Ledger) Settle(base string) bool { return k.l.settle("", base) }

// Tell opens a difference, Absent being a deletion, and gives its token.
func (k *Ledger) Tell(told map[string]tree.Entry) string { return k.l.tell(told) }

// Wrote records what the host itself put at a path.
func (k *Ledger) Wrote(e tree.Entry) { k.l.wrote("", e) }

// Known is the tree that the host knows of, by path. It must not be changed.
func (k *Ledger) Known() map[string]tree.Entry { return k.l.known }

// Tracked are the paths of Known.
func (k *Ledger) Tracked() map[string]bool { return k.l.tracked }

// MergeLogin takes a login shell's environment, with the PATH entries of the plain one in
// front, and without what belongs to the shell itself.
func MergeLogin(plain, login []string) []string { return mergeLogin(plainEnv(plain), login) }

// IsolatedGitEnv takes out of an environment what would make git read or do something
// else than it was told.
func IsolatedGitEnv(env []string) []string { return isolatedGitEnv(env) }

// BundleHeader is what a git bundle says before its pack; see gitformat-bundle(5).
type BundleHeader struct {
	Format        tree.Format
	Prerequisites []string
	Refs          []BundleRef
}

// BundleRef is a name that a bundle gives to one of its commits.
type BundleRef struct{ ID, Name string }

// ReadBundleHeader reads up to the pack.
func ReadBundleHeader(r *bufio.Reader) (BundleHeader, error) {
	h, err := readBundleHeader(r)
	out := BundleHeader{Format: h.format, Prerequisites: h.prerequisites}
	for _, ref := range h.refs {
		out.Refs = append(out.Refs, BundleRef{ref.id, ref.name})
	}
	return out, err
}

// WriteBundleHeader writes what comes before the pack. boundary is as `git rev-list
// --boundary` prints it.
func WriteBundleHeader(w io.Writer, f tree.Format, boundary string, refs []BundleRef) {
	tips := make([]tip, len(refs))
	for i, r := range refs {
		tips[i] = tip{r.ID, r.Name}
	}
	writeBundleHeader(w, f, boundary, tips)
}
