package modal

import (
	"bufio"
	"context"
	"errors"
	"path"
	"strings"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// keptDepths are how deep the root is listed, time after time, until no folder of which
// more is to be known lies at the bottom: most of what a setup makes is in few folders near
// the top, of which nothing is to be known.
var keptDepths = []int{2, 5, 0}

// clearForKept takes out of the root what is not to be there when the sandbox was made of
// an image that was kept after a setup. What goes is decided as in the agent.
func (d *direct) clearForKept(ctx context.Context, op string, req sandbox.PopulateRequest) error {
	what := agent.NewKept(req.Entries, req.Ignore, req.Gone, req.OverClone)
	found, err := d.findKept(ctx, op, what)
	if err != nil {
		return notSorted(err)
	}
	going, err := what.Going(func(dir string) ([]agent.KeptChild, error) { return found.children[dir], nil })
	if err != nil {
		return notSorted(err)
	}
	if err := d.clear(ctx, op, going); err != nil {
		return notSorted(err)
	}
	d.trees.prunes = found.shut
	return nil
}

// notSorted says what failed when a setup's image could not be used.
func notSorted(err error) error {
	var e *sandbox.Error
	if !errors.As(err, &e) || e.Kind == sandbox.ExecutorDead {
		return err
	}
	again := *e
	again.Message = "the former tree could not be taken out of the image that was kept after setup: " + e.Message
	return &again
}

// keptRoot is what there is in the root, as far as that matters.
type keptRoot struct {
	what     *agent.Kept
	children map[string][]agent.KeptChild // of the root and the folders that open
	shut     []string                     // the other folders in these
}

// findKept lists the root.
func (d *direct) findKept(ctx context.Context, op string, what *agent.Kept) (*keptRoot, error) {
	k := &keptRoot{what: what, children: map[string][]agent.KeptChild{"": nil}}
	known := 0 // levels
	for _, depth := range keptDepths {
		deeper := false
		l, err := d.list(ctx, op, d.info.Root, listWish{depth: depth, prune: k.shut, repos: true}, func(e listed) error {
			level := strings.Count(e.path, "/") + 1
			if e.path != "" && level > known && k.add(e) {
				deeper = deeper || level == depth
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, dir := range l.unreadable {
			if _, open := k.children[dir]; open {
				return nil, refuse(sandbox.PermissionDenied, op, path.Join(d.info.Root, dir), "the folder cannot be read")
			}
		}
		if !deeper {
			break
		}
		known = depth
	}
	return k, nil
}

// add sorts in something of the root, and reports whether it is a folder that opens. What
// the sandbox lists where nothing can be is passed over.
func (k *keptRoot) add(e listed) (opens bool) {
	dir, name := path.Split(e.path)
	dir = strings.TrimSuffix(dir, "/")
	siblings, open := k.children[dir]
	if !open || name == "" || name == "." || name == ".." {
		return false
	}
	isDir := e.stamp.mode&modeType == modeDir
	k.children[dir] = append(siblings, agent.KeptChild{Name: name, IsDir: isDir})
	switch {
	case !isDir:
		return false
	case k.what.Opens(e.path):
		k.children[e.path] = nil
		return true
	}
	k.shut = append(k.shut, e.path)
	return false
}

// clear removes paths of the root, each with all that is in it, and the bundle that a
// former session left.
func (d *direct) clear(ctx context.Context, op string, going []string) error {
	f, err := d.spool(op)
	if err != nil {
		return err
	}
	defer drop(f)
	out := bufio.NewWriter(f)
	for _, p := range going {
		_, _ = out.WriteString("./" + p + "\x00")
	}
	if err := out.Flush(); err != nil {
		return &sandbox.Error{Kind: sandbox.NoSpace, Op: op, Path: f.Name(), Message: err.Error(), Err: err}
	}
	_, err = d.sh(ctx, op, d.info.Root, script{name: "clear.sh", args: []string{d.info.Root, bootstrapBundle}, in: f.Name()})
	return err
}
