package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

// known is a change whose hash the caller knows.
func known(f tree.Format, path, content string) Change {
	c := write(path, content, tree.Regular)
	c.Entry.Hash = tree.HashBytes(f, []byte(content))
	return c
}

func TestMuchContentIsPackedAsGitWould(t *testing.T) {
	isolate(t)
	g := findGit(t)
	for _, f := range formats {
		r := newStore(t, g, f)
		files := corpus(300, 6000)
		files["empty"], files["one"], files["twice"], files["two/ice"] = "", "x", "same", "same"
		files["large"] = strings.Repeat("large and streamed\n", wholeBlob/19+1)
		files["edge"] = strings.Repeat("e", wholeBlob)
		for _, n := range []int{15, 16, 2047, 2048} { // where a size takes another byte
			files[fmt.Sprint(n)] = strings.Repeat("n", n)
		}
		var changes []Change
		for path, content := range files {
			changes = append(changes, known(f, path, content))
		}
		unknown := write("unknown", "whose hash is not known", tree.Executable)
		id := update(t, r, "", append(changes, unknown)...)
		want := regular(files)
		want["unknown"] = "100755 whose hash is not known"
		if d := cmp.Diff(want, contents(t, r, id)); d != "" {
			t.Error(d)
		}
		commit := makeCommit(t, r, id)
		if err := r.SetRef(t.Context(), "refs/glue/x", commit); err != nil {
			t.Fatal(err)
		}
		if out, err := r.Output(t.Context(), "fsck", "--full", "--strict", "--no-dangling"); err != nil || len(out) > 0 {
			t.Errorf("fsck: %s %v", out, err)
		}
		if left := leftovers(t, r); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
		other := newStore(t, g, f)
		transfer(t, r, other, "refs/glue/x")
		if d := cmp.Diff(want, contents(t, other, id)); d != "" {
			t.Error(d)
		}
	}
}

func TestContentThatIsNotWhatItsHashSaysIsRefused(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	for _, size := range []int{10, muchContent, wholeBlob + 1} {
		c := known(tree.SHA1, "a", strings.Repeat("x", size))
		c.Open = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(strings.Repeat("y", size))), nil }
		if _, err := r.Update(t.Context(), "", []Change{c}); err == nil || !strings.Contains(err.Error(), "has the hash") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	failing := errors.New("the disk is on fire")
	c := known(tree.SHA1, "a", strings.Repeat("x", muchContent))
	c.Open = func() (io.ReadCloser, error) { return nil, failing }
	if _, err := r.Update(t.Context(), "", []Change{c, known(tree.SHA1, "b", "1")}); !errors.Is(err, failing) {
		t.Errorf("content that cannot be opened: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.Open = func() (io.ReadCloser, error) {
		cancel()
		return io.NopCloser(bytes.NewReader(bytes.Repeat([]byte("x"), muchContent))), nil
	}
	if _, err := r.Update(ctx, "", []Change{c}); !errors.Is(err, context.Canceled) {
		t.Errorf("an update that is called off: %v", err)
	}
	if left := leftovers(t, r); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
