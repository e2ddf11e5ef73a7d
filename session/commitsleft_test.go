package session

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// answering is a sandbox whose answers about commits a test may change.
type answering struct {
	sandbox.Sandbox
	commits func(*sandbox.Commits, error) (*sandbox.Commits, error)
}

func (a *answering) Commits(ctx context.Context, r sandbox.CommitsRequest) (*sandbox.Commits, error) {
	c, err := a.Sandbox.Commits(ctx, r)
	if a.commits == nil {
		return c, err
	}
	return a.commits(c, err)
}

// answer puts one before a session's sandbox.
func (f *fixture) answer(s *Session, commits func(*sandbox.Commits, error) (*sandbox.Commits, error)) *answering {
	f.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &answering{Sandbox: s.sb, commits: commits}
	s.sb = a
	return a
}

type brokenBundle struct{ io.Closer }

func (brokenBundle) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

const commitInside = "echo x > a.txt && git add -A && git -c user.name=I -c user.email=i@example.com commit -qm inside"

func TestF7_CommitsThatCouldNotBeTakenInKeepTheSandboxsTree(t *testing.T) {
	for name, commits := range map[string]func(*sandbox.Commits, error) (*sandbox.Commits, error){
		"they cannot be asked for": func(*sandbox.Commits, error) (*sandbox.Commits, error) {
			return nil, &sandbox.Error{Kind: sandbox.NoSpace, Op: "read the commits", Message: "no room for the bundle"}
		},
		"they do not arrive": func(c *sandbox.Commits, err error) (*sandbox.Commits, error) {
			if c != nil && c.Bundle != nil {
				c.Bundle = brokenBundle{c.Bundle}
			}
			return c, err
		},
		"they cannot be kept": func(c *sandbox.Commits, err error) (*sandbox.Commits, error) {
			if c != nil && !c.Unchanged {
				c.Refs = map[string]string{"refs/heads/none": strings.Repeat("1", 40)}
			}
			return c, err
		},
		"the repository cannot be read": func(c *sandbox.Commits, err error) (*sandbox.Commits, error) {
			if c != nil && c.Bundle != nil {
				err = c.Bundle.Close()
				c.Bundle, c.Head, c.Problem = nil, "", "it is damaged"
			}
			return c, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			s := f.open(OpenOptions{})
			f.answer(s, commits)
			f.run(s, commitInside)
			f.giveBack(s)
			if err := s.check.take(context.Background()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Close(context.Background(), nil, nil); err != nil {
				t.Fatal(err)
			}
			tree := filepath.Join(f.home, "trees", s.ID(), "w")
			if got := f.git("-C", tree, "-c", "safe.directory=*", "log", "-1", "--format=%s"); got != "inside\n" {
				t.Errorf("the kept tree's newest commit is %q", got)
			}
			st, err := readState(s.Dir())
			if err != nil || !slices.Contains(st.LeftInside, gitFolder) {
				t.Errorf("left inside: %q, %v", st.LeftInside, err)
			}
			said := strings.Join(s.Info().Warnings, "\n")
			if !strings.Contains(said, "commits made in the sandbox") || !strings.Contains(said, tree) {
				t.Errorf("said %q", said)
			}
			f.m.tidied.Wait() // it reads the clock
			f.later(keptFor + time.Hour)
			if removed, kept := f.pruned(PruneOptions{}); len(removed) > 0 || kept[s.ID()] == "" {
				t.Errorf("pruned %q, kept %q", removed, kept)
			}
		})
	}
}

func TestF7_CommitsThatComeWithALaterCheckpointAreLeftNowhere(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	a := f.answer(s, func(*sandbox.Commits, error) (*sandbox.Commits, error) {
		return nil, &sandbox.Error{Kind: sandbox.NoSpace, Op: "read the commits", Message: "no room for the bundle"}
	})
	f.run(s, commitInside)
	if err := s.check.take(context.Background()); err != nil {
		t.Fatal(err)
	}
	if st := s.snapshotState(); !slices.Equal(st.LeftInside, []string{gitFolder}) || st.Head != "" {
		t.Fatalf("left inside: %q, head %q", st.LeftInside, st.Head)
	}
	s.trees.Lock()
	a.commits = nil
	s.trees.Unlock()
	if err := s.check.take(context.Background()); err != nil {
		t.Fatal(err)
	}
	if st := s.snapshotState(); len(st.LeftInside) > 0 || st.Head == "" {
		t.Errorf("left inside: %q, head %q", st.LeftInside, st.Head)
	}
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(f.home, "trees", s.ID())); !os.IsNotExist(err) {
		t.Errorf("the tree is kept for nothing: %v", err)
	}
}

func TestF7_ARepositoryThatACommandDeletedKeepsNoTree(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	f.run(s, commitInside+" && rm -rf .git")
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(f.home, "trees", s.ID())); !os.IsNotExist(err) {
		t.Errorf("the tree is kept for nothing: %v", err)
	}
}
