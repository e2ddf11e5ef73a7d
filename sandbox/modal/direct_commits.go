package modal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

const (
	// maxForgotten bounds how many commits that have no name any more are kept.
	maxForgotten = 1000
	// maxCommitBytes bounds the pack of what was committed inside.
	maxCommitBytes = 1 << 30
	// maxKnownIDs bounds what git inside is told to leave out: more make the pack smaller.
	maxKnownIDs = 10_000
	// maxRefs bounds the branches and tags of a repository.
	maxRefs = 1 << 20
)

// Commits implements [sandbox.Trees]. The bundle is a file of this machine.
func (d *direct) Commits(ctx context.Context, req sandbox.CommitsRequest) (*sandbox.Commits, error) {
	const op = "commits"
	if why := d.death(); why != nil {
		return nil, ended(why, op, "")
	}
	if !d.has.git {
		return &sandbox.Commits{Fingerprint: "none", Refs: map[string]string{}, Unchanged: req.Fingerprint == "none"}, nil
	}
	f, err := d.spool(op)
	if err != nil {
		return nil, err
	}
	args := []string{d.info.Root, req.Fingerprint, strconv.Itoa(maxForgotten)}
	for _, id := range req.Known[:min(len(req.Known), maxKnownIDs)] {
		if _, err := hex.DecodeString(id); err == nil {
			args = append(args, id)
		}
	}
	out := &sandbox.Commits{HasGit: true, Refs: map[string]string{}}
	_, err = d.sh(ctx, op, d.info.Root, script{name: "commits.sh", with: []string{"git.sh"}, args: args, out: f.Name(), max: maxCommitBytes})
	if err == nil {
		err = d.readCommits(f, req, out)
	}
	if err != nil || out.Bundle == nil {
		drop(f)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// readCommits reads what commits.sh prints.
func (d *direct) readCommits(f *os.File, req sandbox.CommitsRequest, out *sandbox.Commits) error {
	wrong := func(why string) error {
		return refuse(sandbox.Unavailable, "commits", d.info.Root, "the sandbox's answer cannot be read: "+why)
	}
	in := bufio.NewReaderSize(f, 64<<10)
	format := tree.SHA1
	var tips []agent.BundleRef
	var boundary strings.Builder
	for lines := 0; ; lines++ {
		line, err := in.ReadString('\n')
		if err != nil {
			break
		}
		if lines > 4*maxRefs || len(line) > maxRecord {
			return wrong("it is too long")
		}
		head, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch head {
		case "fingerprint":
			out.Fingerprint = clip(rest, 128)
			out.Unchanged = rest == req.Fingerprint
		case "format":
			format = tree.Format(rest)
		case "head":
			out.Head = rest
		case "branch":
			out.Branch = strings.TrimPrefix(rest, "refs/heads/")
		case "ref", "tip":
			id, name, ok := strings.Cut(rest, " ")
			if !ok || !isObjectID(id) {
				return wrong("a ref names no object")
			}
			if head == "ref" {
				out.Refs[name] = id
			} else {
				tips = append(tips, agent.BundleRef{ID: id, Name: name})
			}
		case "boundary":
			if !isObjectID(strings.TrimPrefix(rest, "-")) {
				return wrong("a commit has no id")
			}
			boundary.WriteString(rest + "\n")
		case "problem":
			out.Problem = "the git repository in " + d.info.Root + " cannot be read: " + plain(clip(rest, 2000))
		case "gone":
			out.Problem, out.HasGit = "there is no git repository in "+d.info.Root+" any more", false
		case "pack":
			if format != tree.SHA1 && format != tree.SHA256 {
				return wrong("its object format is unknown")
			}
			var header bytes.Buffer
			agent.WriteBundleHeader(&header, format, boundary.String(), tips)
			out.Bundle = unnamed{io.MultiReader(&header, in), f}
			return nil
		}
	}
	if out.Head != "" && !isObjectID(out.Head) {
		return wrong("HEAD has no id")
	}
	return nil
}

// isObjectID reports whether s is a whole object id in hexadecimal.
func isObjectID(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}
