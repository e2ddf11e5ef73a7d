//go:build linux || darwin

package tree

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func entryOf(content string) Entry {
	if content == "" {
		return Entry{}
	}
	return Entry{Mode: Regular, Hash: HashBytes(SHA1, []byte(content)), Size: int64(len(content))}
}

// Each row is one moment at which a process can die between two system calls.
func TestEachMomentOfAKilledWriteIsSettled(t *testing.T) {
	for _, x := range []struct {
		name       string
		was, will  string // what the path held and was to hold; "" for nothing
		path, temp string // found
		perm       os.FileMode
		wantPath   string
		wantSaved  string
	}{
		{name: "a new file, half written", will: "new", temp: "ne", perm: 0o644},
		{name: "a new file, not yet named", will: "new", temp: "new", perm: 0o644},
		{name: "a replacement, half written", was: "old", will: "new", path: "old", temp: "ne", perm: 0o600, wantPath: "old"},
		{name: "a replacement, not yet swapped", was: "old", will: "new", path: "old", temp: "new", perm: 0o644, wantPath: "old"},
		{name: "a replacement, swapped", was: "old", will: "new", path: "new", temp: "old", perm: 0o644, wantPath: "old"},
		{name: "a replacement that swapped out what came meanwhile", was: "old", will: "new", path: "new", temp: "theirs", perm: 0o644, wantPath: "theirs"},
		{name: "a replacement that was swapped back", was: "old", will: "new", path: "theirs", temp: "new", perm: 0o644, wantPath: "theirs"},
		{name: "a swap, and what came meanwhile was replaced since", was: "old", will: "new", path: "later", temp: "theirs", perm: 0o644, wantPath: "later", wantSaved: "theirs"},
		{name: "a swap, and somebody has put the old one there", was: "old", will: "new", path: "old", temp: "theirs", perm: 0o644, wantPath: "old", wantSaved: "theirs"},
		{name: "a swap, and somebody has removed ours", was: "old", will: "new", temp: "old", perm: 0o644},
		{name: "a removal, moved aside", was: "old", temp: "old", perm: 0o644, wantPath: "old"},
		{name: "a removal that moved aside what came meanwhile", was: "old", temp: "theirs", perm: 0o644, wantPath: "theirs"},
		{name: "a removal, and somebody has made a new one", was: "old", path: "later", temp: "old", perm: 0o644, wantPath: "later"},
		{name: "nothing was left", was: "old", will: "new", path: "old", wantPath: "old"},
	} {
		dir := t.TempDir()
		put := func(name, content string, perm os.FileMode) {
			if content == "" {
				return
			}
			if err := os.WriteFile(name, []byte(content), perm); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
			t.Fatal(err)
		}
		token := NewToken()
		temp := filepath.Join(dir, "d", tokenName(token, "d/f"))
		put(filepath.Join(dir, "d", "f"), x.path, 0o644)
		put(temp, x.temp, x.perm)
		other := filepath.Join(dir, "d", tokenName(NewToken(), "d/f"))
		put(other, "another process's", 0o600)
		r, err := OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		saved := ""
		save := func(c *Content) error {
			b, err := io.ReadAll(c.Reader())
			saved += string(b)
			return err
		}
		for range 2 { // it may be begun anew
			if err := r.Leftover("d/f", token, entryOf(x.was), entryOf(x.will), SHA1, save); err != nil {
				t.Errorf("%s: %v", x.name, err)
			}
		}
		if err := r.Sync(); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		got, _ := os.ReadFile(filepath.Join(dir, "d", "f")) // "" for nothing
		if string(got) != x.wantPath || saved != x.wantSaved {
			t.Errorf("%s: the path holds %q and %q was saved, want %q and %q", x.name, got, saved, x.wantPath, x.wantSaved)
		}
		if _, err := os.Lstat(temp); err == nil {
			t.Errorf("%s: the temporary file is still there", x.name)
		}
		if b, err := os.ReadFile(other); err != nil || string(b) != "another process's" {
			t.Errorf("%s: what is not known to be ours: %q %v", x.name, b, err)
		}
	}
}

func TestATokensTemporaryNamesAreTemporary(t *testing.T) {
	dir := t.TempDir()
	r, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	token := NewToken()
	r.UseToken(token)
	var during []string
	names := func() []string {
		entries, err := os.ReadDir(filepath.Join(dir, "d"))
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return out
	}
	seen := readerFunc(func(p []byte) (int, error) {
		if during != nil {
			return 0, io.EOF
		}
		during = names()
		return copy(p, "x"), nil
	})
	if err := r.Write("d/f", Entry{Path: "d/f"}, Regular, seen, SHA1); err != nil {
		t.Fatal(err)
	}
	want := tokenName(token, "d/f")
	if d := cmp.Diff([]string{want}, during); d != "" || !IsTemporary("d/"+want) || strings.Contains(want, "/") {
		t.Errorf("while it was written: %s", d)
	}
	if d := cmp.Diff([]string{"f"}, names()); d != "" {
		t.Error(d)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
