package modal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

var _ sandbox.Cloner = (*direct)(nil)

// CloneRemote implements [sandbox.Cloner].
func (d *direct) CloneRemote(ctx context.Context, req sandbox.CloneRequest) (sandbox.CloneResult, error) {
	const op = "clone"
	if err := d.needShell(op, d.info.Root); err != nil {
		return sandbox.CloneResult{}, err
	}
	if req.Format == "" {
		req.Format = tree.SHA1
	}
	args := []string{d.info.Root, string(req.Format), flag(req.KeepIgnored)}
	for _, s := range req.Sources {
		if req.Progress != nil {
			req.Progress("asking " + s.URL)
		}
		args = append(args, s.URL, s.Commit, s.Ref)
	}
	from, err := d.sh(ctx, op, d.info.Root, script{name: "clone.sh", with: []string{"git.sh"}, args: args})
	if err != nil {
		return sandbox.CloneResult{}, err
	}
	has, err := d.which(ctx, op, req.Objects)
	if err != nil {
		return sandbox.CloneResult{}, err
	}
	return sandbox.CloneResult{URL: strings.TrimSpace(string(from.out)), Has: has}, nil
}

// which tells which objects the repository in the root has.
func (d *direct) which(ctx context.Context, op string, ids []string) ([]bool, error) {
	has := make([]bool, len(ids))
	if len(ids) == 0 {
		return has, nil
	}
	asked, err := d.spool(op)
	if err != nil {
		return nil, err
	}
	defer drop(asked)
	answers, err := d.spool(op)
	if err != nil {
		return nil, err
	}
	defer drop(answers)
	if _, err := io.WriteString(asked, strings.Join(ids, "\n")+"\n"); err != nil {
		return nil, &sandbox.Error{Kind: sandbox.NoSpace, Op: op, Path: asked.Name(), Message: err.Error(), Err: err}
	}
	longest := int64(len(ids)) * int64(len(ids[0])+len(" missing\n"))
	s := script{name: "which.sh", with: []string{"git.sh"}, args: []string{d.info.Root}, in: asked.Name(), out: answers.Name(), max: longest}
	if _, err := d.sh(ctx, op, d.info.Root, s); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(answers, longest))
	if err != nil {
		return nil, &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Path: answers.Name(), Message: err.Error(), Err: err}
	}
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	if len(lines) != len(ids) {
		return nil, &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Message: fmt.Sprintf("git in the sandbox answered for %d objects of %d", len(lines), len(ids))}
	}
	for i, line := range lines {
		has[i] = string(bytes.TrimSpace(line)) == ids[i]
	}
	return has, nil
}
