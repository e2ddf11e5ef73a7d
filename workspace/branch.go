package workspace

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"glue-lsp/internal/git"
)

// Branch makes refs/heads/<name> in the person's repository, on the commit that HEAD
// is at, and gives the ref's full name. It is the one exception to never writing
// .git, and an explicit wish; it writes objects and the ref, and nothing else: neither
// index, working tree, HEAD, reflog nor configuration.
//
// The branch ends in a commit of tree (a [Down]'s Merged). Commits, when given, are
// those of [Mbox].Chain, oldest first: each is replayed with its author, date and
// message, after one commit of what the host had not committed. One that does not
// replay is folded into the next. Without commits there is one, with the message.
//
// The error is an [*Error] of kind unsupported (no repository), conflict (the branch
// exists, or its name cannot be a branch) or unavailable.
func (w *Workspace) Branch(ctx context.Context, s *Store, name, tree, message string, commits []string) (ref string, err error) {
	const op = "make the branch"
	src := w.Source()
	if src == nil {
		return "", &Error{Kind: "unsupported", Op: op, Path: name, Message: w.Root() + " is not in a git repository", Hint: "return the changes as edits or to disk"}
	}
	ref = "refs/heads/" + name
	tip, err := branchCommits(ctx, s, src, tree, message, commits)
	if err == nil {
		err = s.Repo.Publish(ctx, src, ref, tip)
	}
	var exists *git.RefExistsError
	switch {
	case errors.As(err, &exists):
		return "", &Error{Kind: "conflict", Op: op, Path: name, Message: exists.Error(), Hint: "choose another name, or delete the branch (git branch -D)", Err: err}
	case err != nil:
		return "", storeError(op, name, err)
	}
	return ref, nil
}

// branchCommits makes the commits of a branch in the store and gives the last.
func branchCommits(ctx context.Context, s *Store, src *git.Source, final, message string, commits []string) (string, error) {
	who := git.Signature{Name: "glue", Email: "glue@localhost", When: s.now()}
	tip := src.Head
	add := func(tree string, author git.Signature, message string) (err error) {
		tip, err = s.Repo.Commit(ctx, git.CommitSpec{
			Tree: tree, Parents: nonEmpty(tip), Author: author, Committer: who, Message: []byte(message),
		})
		return err
	}
	if len(commits) == 0 {
		err := add(final, who, message)
		return tip, err
	}
	chain, err := s.readCommits(ctx, commits)
	if err != nil {
		return "", err
	}
	theirs := chain[len(chain)-1].tree
	if before := chain[0].parentTree; before != "" {
		merged, err := s.Repo.Merge(ctx, theirs, final, before)
		if err != nil {
			return "", err
		}
		committed, err := s.Repo.TreeIn(ctx, src, src.Head)
		if err != nil {
			return "", err
		}
		if len(merged.Conflicts) == 0 && merged.Tree != committed {
			if err := add(merged.Tree, who, "Uncommitted changes of the working tree\n"); err != nil {
				return "", err
			}
		}
	}
	for i, c := range chain {
		onto := final
		if i < len(chain)-1 {
			merged, err := s.Repo.Merge(ctx, theirs, final, c.tree)
			if err != nil {
				return "", err
			}
			if len(merged.Conflicts) > 0 {
				continue
			}
			onto = merged.Tree
		}
		if err := add(onto, c.author(), c.message); err != nil {
			return "", err
		}
	}
	return tip, nil
}

// branchCommit is a commit that a branch replays.
type branchCommit struct {
	mboxCommit
	parentTree string // of its first parent, "" when it has none
}

// author gives the commit's author; a date that cannot be read is the beginning of
// 1970.
func (c branchCommit) author() git.Signature {
	seconds, zone, _ := strings.Cut(c.date, " ")
	n, _ := strconv.ParseInt(seconds, 10, 64)
	at := time.Unix(n, 0).UTC()
	if minutes, err := strconv.Atoi(zone); err == nil {
		at = at.In(time.FixedZone("", (minutes/100*60+minutes%100)*60))
	}
	return git.Signature{Name: c.name, Email: c.email, When: at}
}

// readCommits reads commits by their ids, in that order.
func (s *Store) readCommits(ctx context.Context, ids []string) ([]branchCommit, error) {
	const fields = 6
	args := []string{
		"log", "-z", "--no-walk=unsorted", "--encoding=UTF-8", "--date=raw", "--no-decorate", "--no-notes",
		"--no-show-signature", "--no-mailmap", "--no-color", "--no-patch",
		"--format=tformat:%T%x00%P%x00%an%x00%ae%x00%ad%x00%B", "--end-of-options",
	}
	out, err := s.Repo.Output(ctx, append(args, ids...)...)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(string(out), "\x00")
	var chain []branchCommit
	for ; len(parts) > fields-1; parts = parts[fields:] {
		chain = append(chain, branchCommit{mboxCommit: mboxCommit{
			tree: parts[0], parents: strings.Fields(parts[1]), name: parts[2], email: parts[3], date: parts[4], message: parts[5],
		}})
	}
	if len(chain) != len(ids) {
		return nil, fmt.Errorf("the store has %d of %d commits", len(chain), len(ids))
	}
	if parents := chain[0].parents; len(parents) > 0 {
		out, err := s.Repo.Output(ctx, "rev-parse", "--verify", "--end-of-options", parents[0]+"^{tree}")
		if err != nil {
			return nil, err
		}
		chain[0].parentTree = strings.TrimSpace(string(out))
	}
	return chain, nil
}
