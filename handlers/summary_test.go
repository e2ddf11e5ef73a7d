package handlers

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
	"glue-lsp/session"
	"glue-lsp/workspace"
)

func TestOutcomesInWords(t *testing.T) {
	long := make([]byte, shortOutput+1)
	for i := range long {
		long[i] = 'x'
	}
	type said struct {
		text  string
		short bool
	}
	for name, x := range map[string]struct {
		o    session.ExecOutcome
		want said
	}{
		"nothing printed": {session.ExecOutcome{}, said{"make: done", true}},
		"a short output":  {session.ExecOutcome{Stdout: []byte("ok\n"), Stderr: []byte("w\xFC\n")}, said{"make: done\nok\nw\\xFC", true}},
		"a status":        {session.ExecOutcome{ExecResult: sandbox.ExecResult{ExitCode: 2}}, said{"make: ended with status 2", true}},
		"a signal":        {session.ExecOutcome{ExecResult: sandbox.ExecResult{ExitCode: 137, Signal: "SIGKILL"}}, said{"make: ended by SIGKILL", true}},
		"a time-out":      {session.ExecOutcome{ExecResult: sandbox.ExecResult{ExitCode: 124, TimedOut: true}}, said{"make: timed out", true}},
		"a long output":   {session.ExecOutcome{Stdout: long}, said{"make: done", false}},
		"many lines":      {session.ExecOutcome{Stdout: []byte("1\n2\n3\n4\n5\n")}, said{"make: done", false}},
		"a cut output":    {session.ExecOutcome{Stdout: []byte("x"), TruncatedStdout: 1}, said{"make: done", false}},
	} {
		text, short := outcomeText("make", x.o)
		if diff := cmp.Diff(x.want, said{text, short}, cmp.AllowUnexported(said{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestReturnsInWords(t *testing.T) {
	files := []workspace.Change{{Path: "a"}, {Path: "b"}}
	for name, x := range map[string]struct {
		r    session.Return
		want string
	}{
		"nothing":     {session.Return{}, "Nothing has changed in the sandbox."},
		"applied":     {session.Return{Files: files, Applied: true}, "2 files returned."},
		"not applied": {session.Return{Files: files[:1]}, "1 changed file not applied; the changes are kept."},
		"a branch":    {session.Return{Files: files, Branch: "glue/s1"}, "The changes are on glue/s1."},
		"conflicts":   {session.Return{Files: files, Applied: true, Conflicts: []workspace.Conflict{{Path: "c"}}}, "2 files returned. Changed on both sides: c."},
		"left out":    {session.Return{Skipped: []session.Skipped{{Path: ".envrc", Reason: "runs on open"}}}, "Left out: .envrc (runs on open)."},
		"lost": {
			session.Return{Files: files, Applied: true, Unavailable: &session.Unavailable{Message: "The sandbox is gone.", Recovered: &session.CheckpointInfo{Seq: 3}}},
			"2 files returned. The sandbox is gone. Checkpoint 3 was returned instead.",
		},
	} {
		if _, got := returnText(&x.r); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
	if got := nameSome([]string{"1", "2", "3", "4", "5", "6", "7"}); got != "1, 2, 3, 4, 5, and 2 more" {
		t.Errorf("seven paths are %q", got)
	}
}

func TestX4_AViewNeverLeavesTheSessionsFolder(t *testing.T) {
	home := t.TempDir()
	s := New(Options{NewManager: noManager, Home: home})
	name, err := s.writeView("s1", "base", "d/gr\xFC.txt", []byte("x"))
	if err != nil || name != filepath.Join(home, "sessions/s1/view/base/d/gr\xFC.txt") {
		t.Fatalf("%s %v", name, err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	for _, p := range []string{"../x", "/etc/x", "a/../../x", "", "a/\x00"} {
		if name, err := s.writeView("s1", "base", p, nil); err == nil {
			t.Errorf("%q was written to %s", p, name)
		}
	}
	if _, err := s.writeView("../s1", "base", "x", nil); err == nil {
		t.Error("a session's id left the folder")
	}
	// A link that a former view could have left must not be followed out either.
	if err := os.Symlink(t.TempDir(), filepath.Join(home, "sessions/s1/view/base/out")); err != nil {
		t.Fatal(err)
	}
	if name, err := s.writeView("s1", "base", "out/x", nil); err == nil {
		t.Errorf("a link led to %s", name)
	}
}

func TestFilesHaveTheirPlaceInTheSandbox(t *testing.T) {
	sub := session.Info{ID: "s", Folder: "/home/me/repo/sub", Root: "/workspace", Cwd: "/workspace/sub"}
	whole := session.Info{ID: "s", Folder: "/home/me/repo", Root: "/workspace", Cwd: "/workspace"}
	for _, x := range []struct {
		info       session.Info
		file, want string
	}{
		{sub, "/home/me/repo/sub/a/b.go", "a/b.go"},
		{sub, "/home/me/repo/x.go", "/workspace/x.go"},
		{sub, "/home/me/repo/subway/x.go", "/workspace/subway/x.go"},
		{sub, "/home/me/other/x.go", ""},
		{sub, "/home/me/repo", ""},
		{whole, "/home/me/repo/x.go", "x.go"},
		{whole, "/home/me/repos/x.go", ""},
	} {
		got, err := fileInSandbox(x.info, x.file)
		if got != x.want || (err == nil) != (x.want != "") {
			t.Errorf("%s in %s is %q, %v; want %q", x.file, x.info.Folder, got, err, x.want)
		}
	}
}

func TestSelectionsLoseTheirCommonIndentation(t *testing.T) {
	for in, want := range map[string]string{
		"    a\n      b\n\n    c\n": "a\n  b\n\nc\n", "\ta\n\t\tb": "a\n\tb", "a\n  b": "a\n  b", "": "", "  \n\tx": "  \nx",
	} {
		if diff := cmp.Diff(want, dedent(in)); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
}
