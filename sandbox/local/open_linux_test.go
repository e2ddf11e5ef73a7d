package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

func openError(t *testing.T, o Options, spec sandbox.Spec) *sandbox.Error {
	t.Helper()
	if spec.TreeDir == "" {
		spec.TreeDir = t.TempDir()
	}
	box, err := New(o).Open(testContext(t), spec)
	if err == nil {
		_ = box.Close(testContext(t))
	}
	var e *sandbox.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	return e
}

func TestBubblewrapThatIsMissingOrFailsIsToldWithWhatToDo(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "bwrap")
	put(t, broken, "#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
	for name, tt := range map[string]struct {
		o    Options
		want string
	}{
		"missing": {Options{Environ: []string{"PATH=" + t.TempDir()}}, "not installed"},
		"broken":  {Options{Bubblewrap: broken, Environ: []string{"PATH=/usr/bin:/bin"}}, "No permissions to create new namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.o.Isolation = Bubblewrap
			e := openError(t, tt.o, sandbox.Spec{})
			if e.Kind != sandbox.RuntimeUnavailable || !strings.Contains(e.Message, tt.want) || e.Hint == "" {
				t.Errorf("got %+v", e)
			}
			// Left to itself, the runtime takes the next best.
			tt.o.Isolation = Auto
			if info := open(t, tt.o, nil).Info(); info.Isolation != Landlock {
				t.Errorf("got %+v", info)
			}
		})
	}
}

func TestAutoTakesBubblewrapWhereItWorks(t *testing.T) {
	box := open(t, Options{}, nil)
	if info := box.Info(); info.Isolation != Bubblewrap || info.Root != "/workspace" || len(info.Gaps) == 0 || info.Transport != "agent" || !info.HasGit {
		t.Errorf("got %+v", info)
	}
}

func TestAnIsolationThatIsNotThereIsRefused(t *testing.T) {
	if e := openError(t, Options{Isolation: "jail"}, sandbox.Spec{}); e.Kind != sandbox.InvalidParams {
		t.Errorf("got %+v", e)
	}
}

func TestTheNetworkIsNotTakenAwayWhereThatCannotBeHeld(t *testing.T) {
	if e := openError(t, Options{Isolation: None}, sandbox.Spec{Network: "none"}); e.Kind != sandbox.Unsupported || e.Hint == "" {
		t.Errorf("got %+v", e)
	}
}

func TestASpecThatMakesNoSenseIsRefused(t *testing.T) {
	for name, spec := range map[string]sandbox.Spec{
		"relative tree":   {TreeDir: "relative"},
		"folder outside":  {Subdir: "../x"},
		"absolute folder": {Subdir: "/etc"},
		"network":         {Network: "maybe"},
	} {
		if e := openError(t, Options{}, spec); e.Kind != sandbox.InvalidParams {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestASandboxThatDoesNotStartSaysWhatItsLauncherSaid(t *testing.T) {
	agentPath := filepath.Join(t.TempDir(), "agent")
	put(t, agentPath, "#!/bin/sh\necho 'cannot find my libraries' >&2\nexit 1\n")
	for _, isolation := range isolations {
		e := openError(t, Options{Isolation: isolation, AgentPath: agentPath}, sandbox.Spec{})
		if e.Kind != sandbox.RuntimeUnavailable || !strings.Contains(e.Message, "cannot find my libraries") {
			t.Errorf("%s: %+v", isolation, e)
		}
	}
	if e := openError(t, Options{AgentPath: "/no/such/agent"}, sandbox.Spec{}); e.Kind != sandbox.RuntimeUnavailable {
		t.Errorf("got %+v", e)
	}
}

func TestOddPathsWork(t *testing.T) {
	for _, isolation := range isolations {
		for _, name := range []string{"with space", "--dash", "quo'te\"s", "new\nline", "\xff\xfe", strings.Repeat("long", 40), "$(touch pwned)", "ünï"} {
			t.Run(isolation, func(t *testing.T) {
				base := filepath.Join(t.TempDir(), name)
				box := open(t, Options{Isolation: isolation, Home: base}, func(s *sandbox.Spec) { s.Subdir = name })
				tree := filepath.Join(base, "trees", "s1", "w")
				if err := os.MkdirAll(filepath.Join(tree, name), 0o755); err != nil {
					t.Fatal(err)
				}
				if _, errs, status := run(t, box, sandbox.ExecRequest{Command: "echo here >file"}); status != 0 {
					t.Fatalf("%q: %s", name, errs)
				}
				if b, err := os.ReadFile(filepath.Join(tree, name, "file")); err != nil || string(b) != "here\n" {
					t.Errorf("%q: %q, %v", name, b, err)
				}
				if want := box.Info().Root + "/" + name; box.Info().Cwd != want {
					t.Errorf("commands start in %q, not %q", box.Info().Cwd, want)
				}
			})
		}
	}
}

func TestTheHomeIsPrivateAndLasts(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			box := open(t, Options{Isolation: isolation}, nil)
			sh(t, box, "echo kept >~/file")
			if got := sh(t, box, "cat ~/file"); got != "kept\n" {
				t.Errorf("got %q", got)
			}
			home, err := os.UserHomeDir()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(home, "file")); err == nil {
				t.Error("the user's own HOME was written")
			}
		})
	}
}

func TestTheSandboxsEndByItsCapIsToldBefore(t *testing.T) {
	box := open(t, Options{}, func(s *sandbox.Spec) { s.Timeout = patience })
	if box.Info().ExpiresAt.IsZero() {
		t.Error("no date")
	}
}
