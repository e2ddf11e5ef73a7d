package workspace

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// asSomebody is set, to the folder to read, in a copy of the test that runs as a user
// whom permissions stop.
const asSomebody = "GLUE_TEST_AS_SOMEBODY"

// seen is what that user's snapshot holds.
type seen struct {
	Files   map[string]string
	Skipped map[string]tree.Reason
	Err     string
}

// TestWhatAPlainUserSees is run by asPlainUser.
func TestWhatAPlainUserSees(t *testing.T) {
	dir := os.Getenv(asSomebody)
	if dir == "" {
		asPlainUser(t, newRepo(t, "a.txt", "a\n").dir)
		return
	}
	var out seen
	snap, s, err := snapshotOf(dir, t.TempDir())
	if err != nil {
		out.Err = err.Error()
	} else {
		out.Files, out.Skipped = contents(t, s, snap.Tree), skippedPaths(snap)
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	// Standard output has the test's own lines in it.
	if _, err := os.NewFile(3, "answer").Write(b); err != nil {
		t.Fatal(err)
	}
}

func snapshotOf(dir, temp string) (*Snapshot, *Store, error) {
	ctx := context.Background()
	g, err := git.Find(ctx)
	if err != nil {
		return nil, nil, err
	}
	w, err := Open(ctx, g, dir, Options{CacheDir: filepath.Join(temp, "cache")})
	if err != nil {
		return nil, nil, err
	}
	s, err := CreateStore(ctx, g, filepath.Join(temp, "objects.git"), tree.SHA1)
	if err != nil {
		return nil, nil, err
	}
	snap, err := w.Snapshot(ctx, s, nil)
	return snap, s, err
}

// asPlainUser takes a snapshot of dir as a user who is not root: permissions stop
// nothing that root does. The user is "nobody" if the tests run as root.
func asPlainUser(t *testing.T, dir string) seen {
	t.Helper()
	const nobody = 65534
	base, err := os.MkdirTemp("", "glue-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	// The folder that t.TempDir makes can be entered by its owner only.
	for at := dir; len(at) > len(os.TempDir()); at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && at != dir {
			if err := os.Chmod(at, info.Mode().Perm()|0o011); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestWhatAPlainUserSees$", "-test.count=1")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + base, "TMPDIR=" + base, asSomebody + "=" + dir}
	cmd.Dir = base
	if os.Getuid() == 0 {
		if err := os.Chown(base, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // only read
	cmd.ExtraFiles = []*os.File{w}
	out, err := cmd.CombinedOutput()
	w.Close() //nolint:errcheck // the answer is small and in the pipe
	if err != nil {
		t.Fatalf("as another user: %v\n%s", err, out)
	}
	var got seen
	if err := json.NewDecoder(r).Decode(&got); err != nil {
		t.Fatalf("as another user: %v\n%s", err, out)
	}
	return got
}

func chmod(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(name, 0o755) })
}

func TestWhatAPlainUserCannotReadIsNamedAndHoldsNothingUp(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n", "locked.txt", "secret\n", "dir/b.txt", "b\n", "shut/c.txt", "c\n")
	h.write("dir/new-locked", "x")
	h.write("new-shut/file", "x")
	for name, mode := range map[string]os.FileMode{"locked.txt": 0, "dir/new-locked": 0, "shut": 0, "new-shut": 0} {
		chmod(t, h.path(name), mode)
	}
	got := asPlainUser(t, h.dir)
	if got.Err != "" {
		t.Fatal(got.Err)
	}
	wantFiles := map[string]string{"a.txt": "a\n", "dir/b.txt": "b\n"}
	if diff := cmp.Diff(wantFiles, got.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	want := map[string]tree.Reason{
		"locked.txt": tree.Unreadable, "dir/new-locked": tree.Unreadable, "shut": tree.Unreadable, "shut/c.txt": tree.Unreadable,
		"new-shut": tree.Unreadable,
	}
	if diff := cmp.Diff(want, got.Skipped); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

func TestARepositoryOfAnotherUserIsReadAndItsConfigurationRunsNothing(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	h.write("new.txt", "new\n")
	// git itself refuses such a repository (safe.directory), because of what it would run.
	canary := filepath.Join(t.TempDir(), "canary")
	h.run("config", "core.fsmonitor", "touch "+canary)
	if os.Getuid() != 0 {
		t.Log("not root: the repository is this user's own")
	}
	got := asPlainUser(t, h.dir)
	if diff := cmp.Diff(map[string]string{"a.txt": "a\n", "new.txt": "new\n"}, got.Files); diff != "" || got.Err != "" {
		t.Errorf("files (-want +got):\n%s%s", diff, got.Err)
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("a program that the repository names was run")
	}
}

func TestARepositoryWhoseFolderIsShutIsAnErrorThatSaysSo(t *testing.T) {
	h := newRepo(t, "a.txt", "a\n")
	chmod(t, h.path(".git"), 0)
	got := asPlainUser(t, h.dir)
	if !strings.Contains(got.Err, "permission denied") || len(got.Files) > 0 {
		t.Errorf("got %+v", got)
	}
}
