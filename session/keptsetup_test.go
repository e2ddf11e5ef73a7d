package session

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/internal/gittest"
)

// keeping is a fixture whose runtime keeps what setup made, and a setup that counts its
// runs on this machine and makes an ignored folder inside.
func keeping(t *testing.T) (*fixture, *distantRuntime, OpenOptions, func() int) {
	t.Helper()
	f := newFixture(t)
	f.write(".gitignore", "deps/\n")
	f.write("package-lock.json", "1\n")
	f.commit("with a lock file")
	log := filepath.Join(t.TempDir(), "runs")
	runs := func() int {
		b, _ := os.ReadFile(log)
		return strings.Count(string(b), "ran\n")
	}
	return f, f.distant(1 << 30), OpenOptions{Setup: []string{"echo ran >>" + log + "; mkdir -p deps && cat package-lock.json >deps/made"}}, runs
}

func (f *fixture) end(s *Session) {
	f.Helper()
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		f.Fatal(err)
	}
}

func TestF30_WhatSetupMadeIsThereInTheNextSessionWithoutRunningAgain(t *testing.T) {
	f, rt, o, runs := keeping(t)
	s := f.open(o)
	if got := f.output(s, "cat deps/made"); got != "1" || runs() != 1 || len(rt.kept) != 1 {
		t.Fatalf("the first session: %q after %d runs, %d kept", got, runs(), len(rt.kept))
	}
	f.run(s, "echo of the first session > left.txt; echo x > deps/later")
	f.end(s)

	f.write("a.txt", "edited since\n")
	if err := os.Remove(filepath.Join(f.repo, "b.txt")); err != nil {
		t.Fatal(err)
	}
	s = f.open(o)
	if got := f.output(s, "cat deps/made a.txt; git status --porcelain; ls"); got != "1\nedited since\na.txt\ndeps\ndir\npackage-lock.json" {
		t.Errorf("the second session has %q", got)
	}
	if runs() != 1 {
		t.Errorf("setup ran %d times", runs())
	}
	if got := f.giveBack(s); len(got.Files) > 0 || got.Mbox != nil {
		t.Errorf("what was kept comes back as a change: %+v", got.Files)
	}
	f.end(s)

	// Another lock file, another setup; also within the session.
	f.write("package-lock.json", "2\n")
	s = f.open(o)
	if got := f.output(s, "cat deps/made"); got != "2" || runs() != 2 || len(rt.kept) != 2 {
		t.Errorf("with another lock file: %q after %d runs, %d kept", got, runs(), len(rt.kept))
	}
	f.write("package-lock.json", "3\n")
	if got := f.output(s, "cat deps/made"); got != "3" || runs() != 3 {
		t.Errorf("after the lock file changed: %q after %d runs", got, runs())
	}
	f.end(s)

	// Another image, app or environment as well.
	rt.key = "alpine"
	s = f.open(o)
	if f.run(s, "true"); runs() != 4 {
		t.Errorf("with another image setup ran %d times", runs())
	}
	// And other commands.
	f.end(s)
	o.Setup = append(o.Setup, "true")
	s = f.open(o)
	if f.run(s, "true"); runs() != 5 {
		t.Errorf("with other commands setup ran %d times", runs())
	}
}

func TestF30_WhereWhatSetupMadeIsGoneItRunsAgainAndSaysSo(t *testing.T) {
	f, rt, o, runs := keeping(t)
	s := f.open(o)
	f.run(s, "true")
	f.end(s)
	rt.mu.Lock()
	clear(rt.kept)
	rt.mu.Unlock()
	s = f.open(o)
	if w := strings.Join(s.Info().Warnings, "\n"); !strings.Contains(w, "im-0 is gone") {
		t.Errorf("the warnings are %q", w)
	}
	if got := f.output(s, "cat deps/made"); got != "1" || runs() != 2 || len(rt.kept) != 1 {
		t.Errorf("%q after %d runs, %d kept", got, runs(), len(rt.kept))
	}
}

func TestF30_WhatSetupMadeThatNoTreeGoesIntoIsNotTriedAgain(t *testing.T) {
	f, rt, o, runs := keeping(t)
	s := f.open(o)
	f.run(s, "true")
	f.end(s)
	rt.unfit = true
	if _, err := f.m.Open(context.Background(), OpenOptions{Folder: f.repo, Setup: o.Setup}, nil); err == nil || !strings.Contains(err.Error(), "cannot remove 'deps'") {
		t.Fatalf("the opening says %v", err)
	}
	s = f.open(o)
	if got := f.output(s, "cat deps/made"); got != "1" || runs() != 2 {
		t.Errorf("the next session has %q after %d runs", got, runs())
	}
}

func TestF30_ASetupThatChangesTheTreeOrFailsOrLeavesSomethingRunningIsNotKept(t *testing.T) {
	for name, command := range map[string]string{
		"changes the tree":         "echo x > generated.txt",
		"fails":                    "exit 3",
		"leaves something running": "setsid sleep 60 >/dev/null 2>&1 </dev/null &",
	} {
		t.Run(name, func(t *testing.T) {
			f, rt, o, runs := keeping(t)
			o.Setup = append(o.Setup, command)
			s := f.open(o)
			f.run(s, "true")
			if len(rt.kept) > 0 {
				t.Error("it was kept")
			}
			f.end(s)
			s = f.open(o)
			if f.run(s, "true"); runs() != 2 {
				t.Errorf("setup ran %d times", runs())
			}
		})
	}
}

func TestF30_WhatSetupMadeIsKeptAlsoUnderATreeOverTheCap(t *testing.T) {
	f, rt, o, runs := keeping(t)
	f.largeTree(gittest.Options{})
	rt.bundleMax = mebi
	s := f.open(o)
	f.run(s, "true")
	f.end(s)
	f.write("a.txt", "edited since\n")
	s = f.open(o)
	if b := s.Info().Bootstrap; b.Strategy != "clone" {
		t.Errorf("it went up by %+v", b)
	}
	if got := f.output(s, "cat deps/made a.txt; git status --porcelain"); got != "1\nedited since" || runs() != 1 {
		t.Errorf("%q after %d runs", got, runs())
	}
	// Where the clone turns out to be broken, what was kept goes with it.
	f.end(s)
	rt.broken = true
	s = f.open(o)
	if got := f.output(s, "cat deps/made a.txt; git status --porcelain"); got != "1\nedited since" || runs() != 2 {
		t.Errorf("after a broken clone: %q after %d runs", got, runs())
	}
}

func TestF30_WhatWentUpBeforeIsNotInTheImageForLaterSessions(t *testing.T) {
	f, _, o, runs := keeping(t)
	f.write("deps/vendored.txt", "tracked below an ignored folder\n")
	f.git("-C", f.repo, "add", "-f", "deps/vendored.txt")
	f.commit("vendored")
	f.write("deps/wanted.txt", "ignored, and named by include\n")
	f.write("key.txt", "not yet excluded\n")
	f.write("notes.txt", "not yet ignored\n")
	o.Include = []string{"deps/wanted.txt"}
	const look = "cat deps/made; ls deps; ls *.txt; git status --porcelain"
	s := f.open(o)
	if got, want := f.output(s, look), "1\nmade\nvendored.txt\nwanted.txt\na.txt\nb.txt\nkey.txt\nnotes.txt"; got != want {
		t.Fatalf("the first session has %q, want %q", got, want)
	}
	f.end(s)

	for _, name := range []string{"deps/vendored.txt", "deps/wanted.txt"} {
		if err := os.Remove(filepath.Join(f.repo, name)); err != nil {
			t.Fatal(err)
		}
	}
	f.write(".gitignore", "deps/\nnotes.txt\n")
	o.Exclude = []string{"key.txt"}
	s = f.open(o)
	if got, want := f.output(s, look), "1\nmade\na.txt\nb.txt"; got != want || runs() != 1 {
		t.Errorf("the second session has %q after %d runs, want %q", got, runs(), want)
	}
	if got := f.giveBack(s); len(got.Files) > 0 {
		t.Errorf("it comes back: %+v", got.Files)
	}
}
