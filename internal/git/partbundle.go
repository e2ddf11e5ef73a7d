package git

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
)

// Below names every tree and blob that a commit's tree holds, without its parents.
func (r *Repo) Below(ctx context.Context, commit string) ([]string, error) {
	if err := r.checkID(commit); err != nil {
		return nil, err
	}
	out, err := r.Output(ctx, "rev-list", "--objects", "--no-object-names", commit+"^{tree}")
	if err != nil {
		return nil, fmt.Errorf("list the objects of %s: %w", commit, err)
	}
	return strings.Fields(string(out)), nil
}

// PartBundle writes to w a bundle whose refs name commits, and which holds only the given
// objects. It is for a repository that has the others already, and says so nowhere: git's
// own bundles can take commits for granted, but not objects (gitformat-bundle(5)).
func (r *Repo) PartBundle(ctx context.Context, w io.Writer, refs map[string]string, objects []string) error {
	var head bytes.Buffer
	writeBundleSignature(&head, r.Format)
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		id := refs[name]
		if err := checkRef(name); err != nil {
			return err
		}
		if err := r.checkID(id); err != nil {
			return err
		}
		fmt.Fprintf(&head, "%s %s\n", id, name)
	}
	head.WriteByte('\n')
	if _, err := w.Write(head.Bytes()); err != nil {
		return err
	}
	for _, id := range objects {
		if err := r.checkID(id); err != nil {
			return err
		}
	}
	err := r.Run(ctx, Cmd{
		Args:   []string{"pack-objects", "--stdout", "--quiet", "--window=0"},
		Stdin:  strings.NewReader(strings.Join(objects, "\n") + "\n"),
		Stdout: w,
	})
	if err != nil {
		return fmt.Errorf("make bundle: %w", err)
	}
	return nil
}

// writeBundleSignature begins a bundle; SHA-256 needs version 3 of the format.
func writeBundleSignature(w io.Writer, format tree.Format) {
	if format == tree.SHA256 {
		fmt.Fprintf(w, "# v3 git bundle\n@object-format=%s\n", format)
		return
	}
	fmt.Fprint(w, "# v2 git bundle\n")
}
