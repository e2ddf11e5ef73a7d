package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"glue-lsp/internal/git"
	"glue-lsp/sandbox"
)

// Checkpoint makes what the sandbox changed safe on the host and says what that is.
func (s *Session) Checkpoint(ctx context.Context) (CheckpointInfo, error) {
	if _, err := s.sandbox("take a checkpoint"); err != nil {
		return CheckpointInfo{}, err
	}
	if err := s.check.take(ctx); err != nil {
		return CheckpointInfo{}, err
	}
	return s.Info().Checkpoint, nil
}

// checkpointer takes one checkpoint at a time in the background. Requests that come
// while one runs share the next.
type checkpointer struct {
	wake chan struct{}

	mu      sync.Mutex
	wanted  int // newest number that was asked for
	begun   int // newest number that has begun
	waiters map[int]*checkResult
	stopped bool
	failed  bool // the last one did, and is worth another try
}

type checkResult struct {
	done chan struct{}
	err  error
}

func (c *checkpointer) start(s *Session) {
	c.wake = make(chan struct{}, 1)
	c.waiters = map[int]*checkResult{}
	s.wg.Go(func() {
		every := time.NewTicker(s.m.o.CheckpointEvery)
		defer every.Stop()
		for {
			select {
			case <-c.wake:
				c.run(s)
			case <-every.C:
				if c.hasFailed() || s.busy() {
					c.request()
					c.run(s)
				}
			case <-s.finished:
				c.run(s) // settles whoever asked just before the end
				c.mu.Lock()
				c.stopped = true
				c.mu.Unlock()
				return
			}
		}
	})
}

// busyTimeout bounds the question whether anything runs.
const busyTimeout = 10 * time.Second

// busy reports whether any process of the session lives, and so may change files.
func (s *Session) busy() bool {
	sb, err := s.sandbox("list commands")
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), busyTimeout)
	defer cancel()
	procs, err := sb.Processes(ctx)
	return err == nil && len(procs) > 0
}

// request asks for a checkpoint that begins after now, and gives its number and what
// will become of it.
func (c *checkpointer) request() (seq int, r *checkResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wanted == c.begun {
		c.wanted++
		c.waiters[c.wanted] = &checkResult{done: make(chan struct{})}
	}
	r = c.waiters[c.wanted]
	if c.stopped {
		c.settle(c.wanted, errors.New("the session has ended"))
		return c.wanted, r
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return c.wanted, r
}

// take asks for a checkpoint and waits until it is safe, or failed.
func (c *checkpointer) take(ctx context.Context) error {
	_, r := c.request()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *checkpointer) run(s *Session) {
	for {
		c.mu.Lock()
		if c.wanted == c.begun {
			c.mu.Unlock()
			return
		}
		c.begun = c.wanted
		seq := c.begun
		c.mu.Unlock()
		err := s.takeCheckpoint(seq)
		c.mu.Lock()
		c.settle(seq, err)
		c.failed = err != nil && !isDead(err) && kindOfError(err) != Lost
		c.mu.Unlock()
	}
}

func (c *checkpointer) hasFailed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// next is a number for a checkpoint that is taken beside the checkpointer, which can
// take none any more.
func (c *checkpointer) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted++
	c.begun = c.wanted
	return c.wanted
}

func (c *checkpointer) settle(seq int, err error) {
	if w := c.waiters[seq]; w != nil {
		w.err = err
		close(w.done)
		delete(c.waiters, seq)
	}
	c.begun = max(c.begun, seq)
}

// checkpointTimeout bounds a checkpoint that nobody waits for.
const checkpointTimeout = 10 * time.Minute

// takeCheckpoint captures, makes it durable and announces it, in this order.
func (s *Session) takeCheckpoint(seq int) error {
	ctx, cancel := context.WithTimeout(context.Background(), checkpointTimeout)
	defer cancel()
	sb, err := s.sandbox("take a checkpoint")
	if err == nil {
		err = explained("take a checkpoint", s.ID(), s.captureDurably(ctx, seq, sb))
	}
	if err != nil && !isDead(err) {
		s.warn("a checkpoint failed, and is tried again: %v", err) // the number would make each try another warning
		s.m.o.Log("session %s: checkpoint %d: %v", s.ID(), seq, err)
	}
	if err == nil {
		s.noticeLent(ctx, sb)
	}
	s.m.announce(s)
	return err
}

// captureDurably is a checkpoint without its announcement.
func (s *Session) captureDurably(ctx context.Context, seq int, sb sandbox.Sandbox) error {
	s.trees.Lock()
	defer s.trees.Unlock()
	if err := s.capture(ctx, sb); err != nil {
		return err
	}
	// Files are kept also where the commits cannot be had.
	commits, commitsErr := s.fetchCommits(ctx, sb)
	if commitsErr != nil && !isDead(commitsErr) {
		s.warn("commits made in the sandbox could not be read: %v", commitsErr)
	}
	st := s.snapshotState()
	next := checkpointed{theirs: st.Theirs, head: st.Head}
	moved := commits || next != s.safe
	commit := st.Checkpoint.Commit
	var err error
	if moved || st.Checkpoint.Seq == 0 {
		if commit, err = s.commitCheckpoint(ctx, &st, seq); err != nil {
			return err
		}
	}
	count, err := s.countChanged(ctx, &st)
	if err != nil {
		return err
	}
	s.update(func(st *state) {
		st.Checkpoint = CheckpointInfo{Seq: seq, Commit: commit, At: s.m.o.Now(), ChangedFiles: count}
		st.Counted = [2]string{st.Agreed, st.Theirs}
	})
	// With nothing new, what is on the disk already is as good; only the number is lost.
	if err := s.save(moved); err != nil {
		return err
	}
	s.safe = next
	if len(s.unread) > 0 {
		return &Error{
			Kind: "noSpace", Op: "take a checkpoint", Session: s.ID(), Path: s.unread[0].Path, Checkpoint: seq,
			Message: fmt.Sprintf("%d changed files could not be captured: %s", len(s.unread), s.unread[0].Detail),
			Hint:    "make room and try again; the session stays open, and the other files are safe",
		}
	}
	if isDead(commitsErr) || ctx.Err() != nil {
		return commitsErr
	}
	return nil
}

// checkpointed is what the last checkpoint holds. A sync captures too, so that what
// the last capture found says nothing about what is safe.
type checkpointed struct{ theirs, head string }

// commitCheckpoint keeps the sandbox's tree and its newest commit reachable.
func (s *Session) commitCheckpoint(ctx context.Context, st *state, seq int) (string, error) {
	sig := git.Signature{Name: "glue-lsp", Email: "glue-lsp@localhost", When: s.m.o.Now()}
	var parents []string
	if st.Head != "" {
		parents = []string{st.Head}
	}
	commit, err := s.store.Repo.Commit(ctx, git.CommitSpec{
		Tree: st.Theirs, Parents: parents, Author: sig, Committer: sig,
		Message: fmt.Appendf(nil, "Checkpoint %d\n", seq),
	})
	if err != nil {
		return "", err
	}
	return commit, s.store.Repo.SetRef(ctx, "refs/glue/checkpoint", commit)
}

// countChanged is how many paths the sandbox changed that were neither returned nor
// refused.
func (s *Session) countChanged(ctx context.Context, st *state) (int, error) {
	if st.Agreed == st.Theirs {
		return 0, nil
	}
	diff, err := s.store.Repo.Diff(ctx, st.Agreed, st.Theirs, false)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, d := range diff {
		path := d.New.Path
		if path == "" {
			path = d.Old.Path
		}
		if no, ok := st.Declined[path]; !ok || !no.Same(d.New) {
			n++
		}
	}
	return n, nil
}

// fetchCommits takes in the commits that were made inside.
func (s *Session) fetchCommits(ctx context.Context, sb sandbox.Sandbox) (changed bool, err error) {
	st := s.snapshotState()
	known := []string{st.Base.Commit}
	if st.Head != "" {
		known = append(known, st.Head)
	}
	if err := s.readPastTags(ctx); err != nil {
		return false, err
	}
	known = slices.AppendSeq(known, maps.Keys(s.pastTags))
	c, err := sb.Commits(ctx, sandbox.CommitsRequest{Known: known, Fingerprint: st.Fingerprint})
	if err != nil {
		return false, err
	}
	if c.Unchanged {
		return false, nil
	}
	if c.Problem != "" {
		s.warn("commits made in the sandbox could not be read: %s", c.Problem)
	}
	// Tags that went up with the history were not made inside.
	maps.DeleteFunc(c.Refs, func(_, id string) bool { return s.pastTags[id] })
	head := st.Head
	if c.Bundle != nil {
		err := s.store.Repo.Ingest(ctx, c.Bundle, git.IngestLimits)
		_ = c.Bundle.Close()
		if err != nil {
			// The files themselves are captured; only the history of them is missing.
			s.warn("commits made in the sandbox were refused: %v", err)
			if ctx.Err() == nil && !isFull(err) { // else it is worth another try
				s.update(func(st *state) { st.Fingerprint = c.Fingerprint })
			}
			return false, nil
		}
	}
	if c.Head != "" && c.Head != st.Base.Commit {
		head = c.Head
	}
	if err := s.keepRefs(ctx, c); err != nil {
		s.warn("commits made in the sandbox could not be kept: %v", err)
		return false, nil // the next checkpoint tries again
	}
	refs := map[string]string{}
	for name, id := range c.Refs {
		if id != head && id != st.Base.Commit {
			refs[name] = id
		}
	}
	s.update(func(st *state) { st.Fingerprint, st.Head, st.Refs = c.Fingerprint, head, refs })
	return head != st.Head || c.Bundle != nil, nil
}

// readPastTags finds, once, which objects the tags are that went up with the history;
// the caller holds trees.
func (s *Session) readPastTags(ctx context.Context) error {
	if s.pastTags != nil {
		return nil
	}
	out, err := s.store.Repo.Output(ctx, "for-each-ref", "--format=%(objectname)", "refs/tags/")
	if err != nil {
		return err
	}
	s.pastTags = map[string]bool{}
	for _, id := range strings.Fields(string(out)) {
		s.pastTags[id] = true
	}
	return nil
}

// isFull reports whether git or a write of our own found no space.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || strings.Contains(err.Error(), "No space left on device")
}

// maxRefs bounds how many commits a sandbox's refs can name; what HEAD reaches does not
// need one.
const maxRefs = 10_000

// keepRefs points refs of ours at what the sandbox's refs name, so that all of it is
// in the bundle that a return writes. Ours are named by what they point at: names from
// inside may be any bytes of any length, and thousands of tags name one commit.
func (s *Session) keepRefs(ctx context.Context, c *sandbox.Commits) error {
	refs := map[string]string{}
	if c.Head != "" {
		refs["refs/glue/head"] = c.Head
	}
	base := s.snapshotState().Base.Commit
	var ids []string
	for _, id := range c.Refs {
		if id != c.Head && id != base && !s.kept[id] {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) > maxRefs {
		s.warn("the sandbox has more than %d branches and tags; some are not kept", maxRefs)
		ids = ids[:maxRefs]
	}
	for _, id := range ids {
		refs["refs/glue/inside/"+id] = id
	}
	if err := s.store.Repo.SetRefs(ctx, refs); err != nil {
		return err
	}
	if s.kept == nil {
		s.kept = map[string]bool{}
	}
	for _, id := range ids {
		s.kept[id] = true
	}
	return nil
}
