package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
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
	v := &verifier{repo: b.s.Repo, dir: dir}
	failed, err := v.run(ctx, messages, batches(messages))
	if err != nil || failed < 0 {
		return failed, err
	}
	return v.run(ctx, messages, oneByOne(messages)) // which of the batch it is
}

// run applies the messages batch by batch and gives the first message of the first
// batch that fails, -1 when none does.
func (v *verifier) run(ctx context.Context, messages []*mboxMessage, batches [][]*mboxMessage) (int, error) {
	if err := v.start(ctx, messages); err != nil {
		return 0, err
	}
	done := 0
	for _, batch := range batches {
		ok, err := v.apply(ctx, batch)
		if err != nil {
			return 0, err
		}
		if !ok {
			return done, nil
		}
		done += len(batch)
	}
	return -1, nil
}

// maxBatches bounds how many commands a verification takes.
const maxBatches = 32

// batches groups neighbours that touch different paths: one comparison after all of
// them says as much as one after each. When that makes too many, all messages are one
// batch: each must fit onto those before it, and the last tree is compared.
func batches(messages []*mboxMessage) [][]*mboxMessage {
	var out [][]*mboxMessage
	touched := map[string]bool{}
	for i, m := range messages {
		apart := i > 0
		for _, p := range m.paths {
			apart = apart && !touched[p.path]
		}
		if !apart {
			out, touched = append(out, nil), map[string]bool{}
		}
		out[len(out)-1] = append(out[len(out)-1], m)
		for _, p := range m.paths {
			touched[p.path] = true
		}
	}
	if len(out) > maxBatches {
		return [][]*mboxMessage{messages}
	}
	return out
}

func oneByOne(messages []*mboxMessage) [][]*mboxMessage {
	out := make([][]*mboxMessage, len(messages))
	for i := range messages {
		out[i] = messages[i : i+1]
	}
	return out
}

type verifier struct {
	repo *git.Repo
	dir  string                // of the index
	want map[string]tree.Entry // what the index must hold
}

func (v *verifier) env() []string { return []string{"GIT_INDEX_FILE=" + filepath.Join(v.dir, "index")} }

// start begins anew with an index of what the messages find.
func (v *verifier) start(ctx context.Context, messages []*mboxMessage) error {
	if err := os.Remove(filepath.Join(v.dir, "index")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	v.want = map[string]tree.Entry{}
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
		Args: []string{"update-index", "-z", "--index-info"}, Stdin: strings.NewReader(in.String()), Env: v.env(),
	})
}

// apply applies a batch by one command and reports whether the index then holds what
// it must.
func (v *verifier) apply(ctx context.Context, batch []*mboxMessage) (bool, error) {
	args := []string{"apply", "--cached", "--whitespace=nowarn", "--"}
	patches := 0
	for i, m := range batch {
		if len(m.paths) == 0 {
			continue
		}
		v.expect(m)
		patches++
		file := filepath.Join(v.dir, strconv.Itoa(i))
		if err := os.WriteFile(file, m.text[m.start:], 0o600); err != nil {
			return false, err
		}
		args = append(args, file)
	}
	if patches == 0 {
		return true, nil
	}
	err := v.repo.Run(ctx, git.Cmd{Args: args, Env: v.env()})
	var failed *git.Error
	if errors.As(err, &failed) && failed.Err == nil {
		return false, nil // git says no; anything else is not the patch's fault
	}
	if err != nil {
		return false, err
	}
	return v.holds(ctx)
}

// expect moves what the index must hold by one message.
func (v *verifier) expect(m *mboxMessage) {
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
}

func (v *verifier) holds(ctx context.Context) (bool, error) {
	var out bytes.Buffer
	if err := v.repo.Run(ctx, git.Cmd{Args: []string{"ls-files", "-s", "-z"}, Stdout: &out, Env: v.env()}); err != nil {
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
