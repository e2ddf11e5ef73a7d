package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"glue-lsp/internal/git"
)

const (
	// maxChain is how many commits become messages of their own; older ones are folded
	// into the first.
	maxChain = 2000
	// maxNamed bounds the lists of commits in the meta file.
	maxNamed = 1000
	// maxMessages bounds what is read of commits, in bytes.
	maxMessages = 32 << 20
)

// mboxCommit is a commit that was made inside.
type mboxCommit struct {
	id, tree    string
	parents     []string
	name, email string
	date        string // seconds since 1970 and zone
	message     string // any bytes but NUL
}

// chain reads the sandbox's commits on the first-parent chain that the first snapshot
// does not hold, and names those that are not on it.
func (b *mboxBuilder) chain(ctx context.Context) error {
	if b.r.Head != "" && b.r.Head != b.r.BaseCommit {
		if err := b.readChain(ctx); err != nil {
			return err
		}
		if err := b.nameRoots(ctx); err != nil {
			return err
		}
	}
	return b.nameOthers(ctx)
}

func (b *mboxBuilder) readChain(ctx context.Context) error {
	// The formats of git-log(1), PRETTY FORMATS; git converts messages to UTF-8 where
	// a commit states its encoding.
	const fields = 7
	args := []string{
		"log", "-z", "--first-parent", "--reverse", "--max-count=" + strconv.Itoa(maxChain+1), "--encoding=UTF-8", "--date=raw",
		"--no-decorate", "--no-notes", "--no-show-signature", "--no-mailmap", "--no-color", "--no-patch",
		"--format=tformat:%H%x00%T%x00%P%x00%an%x00%ae%x00%ad%x00%B", b.r.Head,
	}
	if b.r.BaseCommit != "" {
		args = append(args, "--not", b.r.BaseCommit)
	}
	out, cut, err := b.s.outputUpTo(ctx, maxMessages, append(args, "--")...)
	if err != nil {
		return fmt.Errorf("read the sandbox's commits: %w", err)
	}
	if cut {
		b.warn("the sandbox's commit messages are larger than %d bytes; its work is one message without them, and runtime.bundle holds them", maxMessages)
		return nil
	}
	parts := bytes.Split(out, []byte{0})
	for ; len(parts) > fields-1; parts = parts[fields:] {
		b.commitsInside = append(b.commitsInside, mboxCommit{
			id: string(parts[0]), tree: string(parts[1]), parents: strings.Fields(string(parts[2])),
			name: string(parts[3]), email: string(parts[4]), date: string(parts[5]), message: string(parts[6]),
		})
	}
	if len(b.commitsInside) > maxChain {
		b.commitsInside = b.commitsInside[len(b.commitsInside)-maxChain:]
		b.warn("the sandbox made more than %d commits; the oldest are in the first message", maxChain)
	}
	return nil
}

// nameRoots says so when the chain does not stand on the first snapshot: what the
// sandbox then calls its history was written anew.
func (b *mboxBuilder) nameRoots(ctx context.Context) error {
	if len(b.commitsInside) == 0 {
		if len(b.meta.Warnings) > 0 {
			return nil // they were not read
		}
		b.warn("the sandbox went back to %s, which the first snapshot holds; what it changed counts as not committed", b.r.Head)
		return nil
	}
	first := b.commitsInside[0]
	if b.r.BaseCommit == "" || len(first.parents) > 0 && first.parents[0] == b.r.BaseCommit {
		return nil
	}
	out, err := b.s.Repo.Output(ctx, "merge-base", b.r.BaseCommit, b.r.Head)
	var failed *git.Error
	switch {
	case errors.As(err, &failed) && failed.Code == 1:
		b.warn("the sandbox's history does not stand on the first snapshot (it was amended or begun anew); its commits from %s on are taken as they are", first.id)
	case err != nil:
		return err
	case strings.TrimSpace(string(out)) != b.r.BaseCommit:
		b.warn("the sandbox's history leaves that of the first snapshot at %s (the snapshot was amended or rebased)", strings.TrimSpace(string(out)))
	default:
		b.warn("the first snapshot came into the sandbox's branch by a merge; the chain begins at %s", first.id)
	}
	return nil
}

// nameOthers names the commits that were made inside but are not on the chain: merged
// in, on other branches, in a stash.
func (b *mboxBuilder) nameOthers(ctx context.Context) error {
	merges := false
	onChain := map[string]bool{}
	for _, c := range b.commitsInside {
		onChain[c.id] = true
		merges = merges || len(c.parents) > 1
	}
	if !merges && len(b.r.Refs) == 0 {
		return nil
	}
	args := []string{"log", "-z", "--max-count=" + strconv.Itoa(maxNamed+len(onChain)), "--encoding=UTF-8", "--no-decorate", "--no-notes", "--no-show-signature", "--no-color", "--no-patch", "--format=tformat:%H %s"}
	args = append(args, nonEmpty(b.r.Head)...)
	for _, name := range sortedKeys(b.r.Refs) {
		args = append(args, nonEmpty(b.r.Refs[name])...)
	}
	if b.r.BaseCommit != "" {
		args = append(args, "--not", b.r.BaseCommit)
	}
	out, cut, err := b.s.outputUpTo(ctx, maxMessages, append(args, "--")...)
	if err != nil {
		return fmt.Errorf("list the sandbox's commits: %w", err)
	}
	if cut {
		b.warn("the names of the commits off the chain are too long to list; runtime.bundle holds all of them")
		return nil
	}
	for len(out) > 0 {
		var line []byte
		line, out = cutNUL(out)
		id, _, _ := strings.Cut(string(line), " ")
		if onChain[id] {
			continue
		}
		if len(b.meta.Merged) == maxNamed {
			b.warn("more than %d commits lie off the chain; the bundle holds all of them", maxNamed)
			break
		}
		b.meta.Merged = append(b.meta.Merged, strings.ToValidUTF8(string(line), "\uFFFD"))
	}
	return nil
}

func (b *mboxBuilder) warn(format string, args ...any) {
	b.meta.Warnings = append(b.meta.Warnings, fmt.Sprintf(format, args...))
}
