package session

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pruned gives what a prune removed and kept, by name and kind.
func (f *fixture) pruned(o PruneOptions) (removed, kept map[string]string) {
	f.Helper()
	r, err := f.m.Prune(context.Background(), o)
	if err != nil {
		f.Fatal(err)
	}
	removed, kept = map[string]string{}, map[string]string{}
	for _, p := range r.Removed {
		removed[filepath.Base(p.Name)] = p.Kind
	}
	for _, p := range r.Kept {
		kept[filepath.Base(p.Name)] = p.Why
	}
	return removed, kept
}

func (f *fixture) sessions() []string {
	f.Helper()
	entries, err := os.ReadDir(filepath.Join(f.home, "sessions"))
	if err != nil {
		f.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (f *fixture) later(d time.Duration) { f.m.o.Now = func() time.Time { return time.Now().Add(d) } }

func TestU4_PruningDeletesOnlyWhatNobodyNeeds(t *testing.T) {
	f := newFixture(t)
	empty, full := f.open(OpenOptions{}), f.open(OpenOptions{New: true})
	f.run(full, "echo x > x")
	for _, s := range []*Session{empty, full} {
		if _, err := s.Close(context.Background(), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	damaged := filepath.Join(f.home, "sessions", "damaged")
	foreign := filepath.Join(f.home, "sessions", "foreign", "objects.git")
	crumb := filepath.Join(f.home, "sessions", "crumb")
	for _, dir := range []string{damaged, foreign, crumb} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(damaged, stateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := f.open(OpenOptions{New: true})
	if removed, _ := f.pruned(PruneOptions{}); len(removed) != 0 {
		t.Errorf("at once: %v", removed)
	}
	f.later(keptFor + time.Hour)
	want := map[string]string{empty.ID(): "session", "crumb": "session"}
	if removed, _ := f.pruned(PruneOptions{DryRun: true}); cmp.Diff(want, removed) != "" || len(f.sessions()) != 6 {
		t.Errorf("a dry run: %v, left %v", removed, f.sessions())
	}
	removed, kept := f.pruned(PruneOptions{})
	if d := cmp.Diff(want, removed); d != "" {
		t.Error(d)
	}
	for name, why := range map[string]string{full.ID(): "not returned", "damaged": "damaged", "foreign": "no record"} {
		if !strings.Contains(kept[name], why) {
			t.Errorf("%s is kept because %q", name, kept[name])
		}
	}
	if _, ok := removed[open.ID()]; ok || len(f.sessions()) != 4 {
		t.Errorf("left: %v", f.sessions())
	}
	// What was thrown away is needed no more.
	ended, err := f.m.Find(context.Background(), full.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ended.Discard(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if removed, _ := f.pruned(PruneOptions{}); removed[full.ID()] != "session" {
		t.Errorf("discarded, and kept: %v", removed)
	}
}

func TestALostSessionGoesOnlyWhenItsTreeHoldsNothingNew(t *testing.T) {
	f := newFixture(t)
	// lost makes a session whose sandbox ended by itself and whose tree nobody looked at
	// after its last capture.
	lost := func(capturedFrom time.Time) (id, tree string) {
		s := f.open(OpenOptions{New: true})
		if _, err := s.Close(context.Background(), nil, nil); err != nil {
			t.Fatal(err)
		}
		st, err := readState(s.Dir())
		if err != nil {
			t.Fatal(err)
		}
		st.State, st.Final, st.Recovered, st.CapturedFrom = StateLost, false, false, capturedFrom
		if err := writeState(s.Dir(), st, false); err != nil {
			t.Fatal(err)
		}
		tree = filepath.Join(f.home, "trees", s.ID(), "w")
		if err := os.MkdirAll(tree, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, "late.txt"), []byte("late"), 0o600); err != nil {
			t.Fatal(err)
		}
		return s.ID(), tree
	}
	nothing, _ := lost(time.Now().Add(time.Minute))
	something, tree := lost(time.Now().Add(-time.Minute))
	// A forged date does not hide that it is newer.
	old := time.Now().Add(-1000 * time.Hour)
	for _, name := range []string{filepath.Join(tree, "late.txt"), tree} {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	f.later(keptFor + time.Hour)
	removed, kept := f.pruned(PruneOptions{})
	if removed[nothing] != "session" || removed[something] != "" || !strings.Contains(kept[something], "not returned") {
		t.Errorf("removed %v, kept %v", removed, kept)
	}
	if b, err := os.ReadFile(filepath.Join(tree, "late.txt")); err != nil || string(b) != "late" {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(f.home, "trees", nothing)); err == nil {
		t.Error("the tree of a deleted session is still there")
	}
}

func TestU4_TheQuotaNeverTakesWhatWasNotReturned(t *testing.T) {
	f := newFixture(t)
	full := f.open(OpenOptions{})
	f.run(full, "head -c 300000 /dev/urandom > x")
	if _, err := full.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	cache := func(name string, age time.Duration) {
		dir := filepath.Join(f.home, "cache", name)
		if err := os.MkdirAll(filepath.Join(dir, "home", "locked"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"home/a", "home/locked/b"} {
			if err := os.WriteFile(filepath.Join(dir, file), make([]byte, 200_000), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		// As a module cache is: folders without the right to write.
		if err := os.Chmod(filepath.Join(dir, "home", "locked"), 0o500); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
	}
	cache("oldest", 20*24*time.Hour)
	cache("older", 10*24*time.Hour)
	cache("fresh", 2*time.Hour)
	cache("expired", cachesKeptFor+time.Hour)
	u, err := f.m.Usage(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	f.m.o.Quota = u.Total - 900_000 // without expired and oldest, one more has to go
	removed, _ := f.pruned(PruneOptions{})
	if d := cmp.Diff(map[string]string{"expired": "cache", "oldest": "cache", "older": "cache"}, removed); d != "" {
		t.Error(d)
	}
	f.m.o.Quota = 1
	removed, _ = f.pruned(PruneOptions{})
	if removed["fresh"] != "cache" || removed[full.ID()] != "" {
		t.Errorf("with a tiny quota: %v", removed)
	}
	if d := cmp.Diff([]string{full.ID()}, f.sessions()); d != "" {
		t.Error(d)
	}
	if left, err := filepath.Glob(filepath.Join(f.home, "cache", "removing-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestX12_MeasuringAndDeletingFollowNoLinkThatACommandLeft(t *testing.T) {
	f := newFixture(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.MkdirAll(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	treasure := filepath.Join(outside, "treasure")
	if err := os.WriteFile(treasure, make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(f.home, "cache", "hostile")
	if err := os.MkdirAll(filepath.Join(cache, "home"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		filepath.Join(cache, "home", "up"):           outside,
		filepath.Join(cache, "home", "file"):         treasure,
		filepath.Join(cache, "home", "loop"):         filepath.Join(cache, "home"),
		filepath.Join(f.home, "cache", "linked"):     outside,
		filepath.Join(f.home, "sessions", "linked"):  outside,
		filepath.Join(f.home, "trees", "of-nothing"): outside,
	} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	hole, err := os.Create(filepath.Join(cache, "home", "hole"))
	if err != nil {
		t.Fatal(err)
	}
	if err := hole.Truncate(1 << 40); err != nil {
		t.Fatal(err)
	}
	if err := hole.Close(); err != nil {
		t.Fatal(err)
	}
	u, err := f.m.Usage(context.Background())
	if err != nil || u.Total > 1<<20 {
		t.Errorf("measured %d bytes, %v", u.Total, err)
	}
	now := time.Duration(0)
	f.later(cachesKeptFor + time.Hour)
	f.pruned(PruneOptions{OlderThan: &now})
	if _, err := os.Lstat(cache); err == nil {
		t.Error("the cache is still there")
	}
	if info, err := os.Stat(treasure); err != nil || info.Size() != 5<<20 {
		t.Errorf("what a link led to is gone: %v", err)
	}
}

func TestCachesOfOneFolderAreNotThoseOfAnother(t *testing.T) {
	f := newFixture(t)
	a, b := f.m.workspaceOptions(OpenOptions{}, "/home/p/a").CacheDir, f.m.workspaceOptions(OpenOptions{}, "/home/p/b").CacheDir
	if a == b || filepath.Dir(a) != filepath.Join(f.home, "cache") || strings.HasPrefix(a+"/", b+"/") {
		t.Errorf("%s and %s", a, b)
	}
}

func TestTheDaysFirstSessionPrunes(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	m := f.manager()
	m.o.Now = func() time.Time { return time.Now().Add(keptFor + time.Hour) }
	f.open(OpenOptions{})
	m.tidied.Wait()
	if _, err := os.Stat(s.Dir()); err == nil {
		t.Error("an old record is still there")
	}
}

// old makes a folder that was last changed long ago.
func (f *fixture) old(dir string) {
	f.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	at := time.Now().Add(-2 * keptFor)
	if err := os.Chtimes(dir, at, at); err != nil {
		f.Fatal(err)
	}
}

func TestU4_ATreeWhoseSessionAppearedWhileEverythingWasMeasuredStays(t *testing.T) {
	f := newFixture(t)
	f.old(filepath.Join(f.home, "trees", "gone"))
	f.old(filepath.Join(f.home, "trees", "opened"))
	f.m.o.Now = func() time.Time { // is first asked for after everything was measured
		if err := os.MkdirAll(filepath.Join(f.home, "sessions", "opened"), 0o700); err != nil {
			t.Error(err)
		}
		return time.Now()
	}
	removed, kept := f.pruned(PruneOptions{})
	if d := cmp.Diff(map[string]string{"gone": "tree"}, removed); d != "" || !strings.Contains(kept["opened"], "by now") {
		t.Errorf("kept %q, removed:\n%s", kept, d)
	}
	if _, err := os.Stat(filepath.Join(f.home, "trees", "opened")); err != nil {
		t.Error(err)
	}
}

func TestU4_ASessionThatNobodySettledYetIsNotPruned(t *testing.T) {
	f := newFixture(t)
	s := f.open(OpenOptions{})
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	f.m.tidied.Wait() // it reads the clock
	f.old(filepath.Join(f.home, "trees", s.ID(), "w"))
	ended, err := readState(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	f.later(keptFor + time.Hour)
	for name, become := range map[string]func(st *state){
		"its server died and its sandbox may run":           func(st *state) { st.State, st.Final, st.CapturedFrom = Ready, false, time.Now().Add(time.Hour) },
		"its server died in a return":                       func(st *state) { st.State, st.Final, st.CapturedFrom = Returning, false, time.Now().Add(time.Hour) },
		"its end was recorded, but not what it left behind": func(st *state) { st.Final, st.CapturedFrom = false, time.Time{} },
	} {
		st := *ended
		become(&st)
		if err := writeState(s.Dir(), &st, false); err != nil {
			t.Fatal(err)
		}
		now := time.Duration(0)
		if removed, kept := f.pruned(PruneOptions{OlderThan: &now, Quota: 1}); removed[s.ID()] != "" || kept[s.ID()] == "" {
			t.Fatalf("%s: removed %q, kept %q", name, removed, kept)
		}
	}
	if err := writeState(s.Dir(), ended, false); err != nil {
		t.Fatal(err)
	}
	if removed, _ := f.pruned(PruneOptions{}); removed[s.ID()] != "session" {
		t.Errorf("when it has ended it is not removed: %q", removed)
	}
}
