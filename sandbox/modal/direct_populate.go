package modal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// Populate implements [sandbox.Trees]. Where there is git it takes the bundle; else this
// side takes it apart, and the files go up.
func (d *direct) Populate(ctx context.Context, req sandbox.PopulateRequest) error {
	const op = "populate"
	if err := d.enter(ctx, op); err != nil {
		return err
	}
	defer d.leave()
	t := &d.trees
	if t.populated {
		return refuse(sandbox.Conflict, op, d.info.Root, "the workspace has been filled already")
	}
	if req.Format == "" {
		req.Format = tree.SHA1
	}
	if err := d.checkBundle(&req); err != nil {
		return err
	}
	if req.BundlePath != "" && req.Bundle == nil {
		f, err := os.Open(req.BundlePath)
		if err != nil {
			return &sandbox.Error{Kind: sandbox.InvalidParams, Op: op, Path: req.BundlePath, Message: err.Error(), Err: err}
		}
		defer f.Close()
		req.Bundle = f
	}
	fill := d.fillByGit
	if !d.has.git {
		fill = d.fillByFiles
	}
	if err := fill(ctx, req); err != nil {
		return err
	}
	t.format, t.seen = req.Format, map[string]seenFile{}
	t.ledger.Adopt(req.Token, req.Entries)
	t.populated, t.fresh = true, false
	if err := d.trust(ctx, req.Entries); err != nil {
		return err
	}
	if req.Progress != nil {
		req.Progress(req.Size, req.Size)
	}
	return nil
}

// checkBundle refuses what need not go up.
func (d *direct) checkBundle(req *sandbox.PopulateRequest) error {
	if !isObjectID(req.Commit) {
		return refuse(sandbox.InvalidParams, "populate", d.info.Root, fmt.Sprintf("%q is no commit", clip(req.Commit, 80)))
	}
	for _, id := range req.Shallow {
		if !isObjectID(id) {
			return refuse(sandbox.InvalidParams, "populate", d.info.Root, fmt.Sprintf("%q is no commit", clip(id, 80)))
		}
	}
	return nil
}

// fillByGit sends the bundle and has git inside take it.
func (d *direct) fillByGit(ctx context.Context, req sandbox.PopulateRequest) error {
	const op = "populate"
	what := "empty"
	switch {
	case req.OverClone:
		what = "clone"
	case req.KeepIgnored:
		what = "kept"
	}
	if !req.OverClone {
		if err := d.canBeFilled(req); err != nil {
			return err
		}
	}
	if req.KeepIgnored {
		if err := d.clearForKept(ctx, op, req); err != nil {
			return err
		}
	}
	// The end of it is told once the tree is there.
	send := req
	if tell := req.Progress; tell != nil {
		send.Progress = func(done, total int64) {
			if done < total {
				tell(done, total)
			}
		}
	}
	if err := d.failed(ctx, op, "", d.sendBundle(ctx, send)); err != nil {
		return err
	}
	args := append([]string{d.info.Root, bootstrapBundle, req.Commit, req.Branch, string(req.Format), what}, req.Shallow...)
	_, err := d.sh(ctx, op, d.info.Root, script{name: "populate.sh", with: []string{"git.sh"}, args: args})
	return err
}

// canBeFilled looks at a bundle's header where that costs no copy.
func (d *direct) canBeFilled(req sandbox.PopulateRequest) error {
	if req.BundlePath == "" {
		return nil
	}
	f, err := os.Open(req.BundlePath)
	if err != nil {
		return &sandbox.Error{Kind: sandbox.InvalidParams, Op: "populate", Path: req.BundlePath, Message: err.Error(), Err: err}
	}
	defer f.Close()
	header, err := agent.ReadBundleHeader(bufio.NewReader(f))
	return whole(header, err, req.Format)
}

// whole refuses a bundle that an empty workspace cannot take.
func whole(header agent.BundleHeader, err error, format tree.Format) error {
	switch {
	case err != nil:
	case header.Format != format:
		err = fmt.Errorf("its object format is %s, not %s", header.Format, format)
	case len(header.Prerequisites) > 0:
		err = errors.New("it needs commits that an empty workspace does not have")
	default:
		return nil
	}
	return badBundle(err)
}

func badBundle(err error) error {
	return &sandbox.Error{Kind: sandbox.InvalidParams, Op: "populate", Message: "the bundle cannot be used: " + err.Error(), Err: err}
}

// trust notes the stat data of what was just filled in, so that it need not be read again.
func (d *direct) trust(ctx context.Context, entries []tree.Entry) error {
	known := make(map[string]tree.Entry, len(entries))
	for _, e := range entries {
		known[e.Path] = e
	}
	t := &d.trees
	var all []listed
	l, err := d.list(ctx, "populate", d.info.Root, listWish{prune: t.prunes}, func(e listed) error {
		if k := known[e.path]; k.Exists() && k.Mode == modeOf(e.stamp.mode) && k.Mode != tree.Symlink && k.Size == e.stamp.size {
			all = append(all, e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range all {
		if !e.stamp.racy(l.began) {
			t.seen[e.path] = seenFile{stamp: e.stamp, hash: known[e.path].Hash}
		}
	}
	return nil
}
