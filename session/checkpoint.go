package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	// Nobody would begin the one that is waited for.
	c.settle(c.wanted, &Error{Kind: Lost, Op: "take a checkpoint", Message: "the sandbox is gone"})
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
	commits, owed, commitsErr := s.fetchCommits(ctx, sb)
	if commitsErr != nil && !isDead(commitsErr) {
		s.warn("commits made in the sandbox could not be read, and are tried again; until then they are only in its own repository: %v", commitsErr)
	}
	owes := !isDead(commitsErr) && s.owe(owed)
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
	if err := s.save(moved || owes); err != nil {
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
	if commitsErr == nil {
		s.noteCaptured(sb)
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
