package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// verify applies the messages one after the other in a private index and compares
// what each gives with its tree. It gives the first that fails, -1 when none does.
// The index holds only the paths that the messages touch, so that the cost does not
// grow with the tree.
func (b *mboxBuilder) verify(ctx context.Context, messages []*mboxMessage) (int, error) {
	if len(messages) == 0 {
		return -1, nil
	}
	dir, err := os.MkdirTemp("", "glue-mbox-*")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a private index in the temporary folder
	v := &verifier{repo: b.s.Repo, env: []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}, want: map[string]tree.Entry{}}
	if err := v.start(ctx, messages); err != nil {
		return 0, err
	}
	for i, m := range messages {
		ok, err := v.apply(ctx, m)
		if err != nil {
			return 0, err
		}
		if !ok {
			return i, nil
		}
	}
	return -1, nil
}

type verifier struct {
	repo *git.Repo
	env  []string
	want map[string]tree.Entry // what the index must hold
}

// start fills the index with what the first message finds.
func (v *verifier) start(ctx context.Context, messages []*mboxMessage) error {
	seen := map[string]bool{}
	var in strings.Builder
	for _, m := range messages {
		for _, p := range m.paths {
			if seen[p.path] {
				continue
			}
			seen[p.path] = true
			if p.old.Exists() {
				v.want[p.path] = p.old
				fmt.Fprintf(&in, "%06o %s\t%s\x00", uint32(p.old.Mode), p.old.Hash, p.path)
			}
		}
	}
	return v.repo.Run(ctx, git.Cmd{
		Args: []string{"update-index", "-z", "--index-info"}, Stdin: strings.NewReader(in.String()), Env: v.env,
	})
}

// apply applies one message and reports whether the index then holds what it must.
func (v *verifier) apply(ctx context.Context, m *mboxMessage) (bool, error) {
	if len(m.patch) == 0 {
		return true, nil
	}
	err := v.repo.Run(ctx, git.Cmd{
		Args: []string{"apply", "--cached", "--whitespace=nowarn", "-"}, Stdin: bytes.NewReader(m.text[m.start:]), Env: v.env,
	})
	var failed *git.Error
	if errors.As(err, &failed) && failed.Err == nil {
		return false, nil // git says no; anything else is not the patch's fault
	}
	if err != nil {
		return false, err
	}
	for _, p := range m.paths {
		if !p.new.Exists() {
			delete(v.want, p.path)
		}
	}
	for _, p := range m.paths {
		if p.new.Exists() {
			v.want[p.path] = p.new
		}
	}
	return v.holds(ctx)
}

func (v *verifier) holds(ctx context.Context) (bool, error) {
	var out bytes.Buffer
	if err := v.repo.Run(ctx, git.Cmd{Args: []string{"ls-files", "-s", "-z"}, Stdout: &out, Env: v.env}); err != nil {
		return false, err
	}
	found := 0
	for rest := out.Bytes(); len(rest) > 0; found++ {
		var record []byte
		record, rest = cutNUL(rest)
		head, path, _ := strings.Cut(string(record), "\t") // <mode> <hash> <stage>
		want, ok := v.want[path]
		if !ok || head != fmt.Sprintf("%06o %s 0", uint32(want.Mode), want.Hash) {
			return false, nil
		}
	}
	return found == len(v.want), nil
}
