package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

// kind is an error's kind, "" if it has none.
func kind(err error) sandbox.Kind {
	var e *sandbox.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

func TestACommandsOutputAndStatusComeBack(t *testing.T) {
	c, _ := connect(t, nil)
	got := run(t, c, sandbox.ExecRequest{Command: `echo out; echo err >&2; exit 3`})
	if got.out != "out\n" || got.err != "err\n" || got.ExitCode != 3 {
		t.Errorf("got %+v", got)
	}
}

func TestX11_ArgumentsStayArguments(t *testing.T) {
	c, _ := connect(t, nil)
	args := []string{"-rf", "--", "a b", "line\nline", `"double"`, `'single'`, "$(touch pwned)", "`id`", "${HOME}", "*", "~", "", "\xff\xfe", "ä", ";true", "&&"}
	argv := append([]string{"sh", "-c", `for a in "$@"; do printf '%s\0' "$a"; done`, "sh"}, args...)
	got := run(t, c, sandbox.ExecRequest{Argv: argv})
	if diff := cmp.Diff(args, strings.Split(strings.TrimSuffix(got.out, "\x00"), "\x00")); diff != "" {
		t.Errorf("arguments differ (-sent +got):\n%s", diff)
	}
}

func TestTheCallersEnvironmentLiesOverTheSandboxs(t *testing.T) {
	c, _ := connect(t, nil, "KEPT=kept", "CHANGED=old")
	got := run(t, c, sandbox.ExecRequest{
		Command: `printf '%s|%s|%s' "$KEPT" "$CHANGED" "$NEW"`,
		Env:     map[string]string{"CHANGED": "new", "NEW": "a=b\nc\xff"},
	})
	if want := "kept|new|a=b\nc\xff"; got.out != want {
		t.Errorf("got %q, want %q", got.out, want)
	}
}

func TestF15_CommandsStartInTheWorkspace(t *testing.T) {
	c, a := connect(t, func(args *Args) {
		args.Cwd = filepath.Join(args.Root, "sub")
	})
	mkdir(t, filepath.Join(a.root, "sub"), filepath.Join(a.root, "sub", "deeper"), filepath.Join(a.root, "odd \xff name"))
	for cwd, want := range map[string]string{
		"": "sub", "deeper": "sub/deeper", "..": "", filepath.Join(a.root, "odd \xff name"): "odd \xff name",
	} {
		got := run(t, c, sandbox.ExecRequest{Argv: []string{"pwd"}, Cwd: cwd})
		if got.out != filepath.Join(a.root, want)+"\n" {
			t.Errorf("in %q: pwd is %q", cwd, got.out)
		}
	}
}

func mkdir(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatCannotBeStartedIsAnErrorThatSaysWhy(t *testing.T) {
	c, a := connect(t, nil)
	write(t, filepath.Join(a.root, "plain"), "text", 0o644)
	write(t, filepath.Join(a.root, "lost"), "#!/no/such/interpreter\n", 0o755)
	write(t, filepath.Join(a.root, "binary"), "\x00\x01\x02", 0o755)
	for _, tt := range []struct {
		name string
		req  sandbox.ExecRequest
		kind sandbox.Kind
		path string
	}{
		{"no such program", sandbox.ExecRequest{Argv: []string{"no-such-program"}}, sandbox.FileNotFound, "no-such-program"},
		{"no such path", sandbox.ExecRequest{Argv: []string{"./no/such"}}, sandbox.FileNotFound, "./no/such"},
		{"no such folder", sandbox.ExecRequest{Argv: []string{"true"}, Cwd: "gone"}, sandbox.FileNotFound, filepath.Join(a.root, "gone")},
		{"a file as folder", sandbox.ExecRequest{Argv: []string{"true"}, Cwd: "plain"}, sandbox.NotADirectory, filepath.Join(a.root, "plain")},
		{"not executable", sandbox.ExecRequest{Argv: []string{"./plain"}}, sandbox.PermissionDenied, "./plain"},
		{"interpreter missing", sandbox.ExecRequest{Argv: []string{"./lost"}}, sandbox.FileNotFound, "./lost"},
		{"no program", sandbox.ExecRequest{Argv: []string{"./binary"}}, sandbox.Unsupported, "./binary"},
		{"nothing", sandbox.ExecRequest{}, sandbox.InvalidParams, ""},
		{"both", sandbox.ExecRequest{Command: "true", Argv: []string{"true"}}, sandbox.InvalidParams, ""},
		{"NUL in argv", sandbox.ExecRequest{Argv: []string{"true", "a\x00b"}}, sandbox.InvalidParams, ""},
		{"NUL in command", sandbox.ExecRequest{Command: "true\x00"}, sandbox.InvalidParams, ""},
		{"NUL in cwd", sandbox.ExecRequest{Argv: []string{"true"}, Cwd: "a\x00"}, sandbox.InvalidParams, ""},
		{"NUL in env", sandbox.ExecRequest{Argv: []string{"true"}, Env: map[string]string{"A": "\x00"}}, sandbox.InvalidParams, ""},
		{"= in a variable's name", sandbox.ExecRequest{Argv: []string{"true"}, Env: map[string]string{"": "x"}}, sandbox.InvalidParams, ""},
		{"negative time-out", sandbox.ExecRequest{Argv: []string{"true"}, Timeout: -1}, sandbox.InvalidParams, ""},
		{"too many arguments", sandbox.ExecRequest{Argv: []string{"true", strings.Repeat("x", 4<<20)}}, sandbox.TooLarge, "true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.Start(testContext(t), tt.req)
			var e *sandbox.Error
			if !errors.As(err, &e) || e.Kind != tt.kind || (tt.path != "" && e.Path != tt.path) || e.Message == "" {
				t.Errorf("got %v (%+v), want kind %s on %q", err, e, tt.kind, tt.path)
			}
		})
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestACommandLineRunsByShWhereThereIsNoBash(t *testing.T) {
	bin := t.TempDir()
	if err := os.Symlink("/bin/sh", filepath.Join(bin, "sh")); err != nil {
		t.Fatal(err)
	}
	c, _ := connect(t, nil, "PATH="+bin)
	if got := run(t, c, sandbox.ExecRequest{Command: `echo "$0"`}); got.out != "sh\n" {
		t.Errorf("run by %q", got.out)
	}
}

func TestF19_WithoutAShellACommandLineSaysSoAndArgvWorks(t *testing.T) {
	bin := t.TempDir()
	c, _ := connect(t, nil, "PATH="+bin)
	_, err := c.Start(testContext(t), sandbox.ExecRequest{Command: "true"})
	if kind(err) != sandbox.FileNotFound || !strings.Contains(err.Error(), "neither bash nor sh") {
		t.Errorf("got %v", err)
	}
	if got := run(t, c, sandbox.ExecRequest{Argv: []string{"/bin/echo", "here"}}); got.out != "here\n" {
		t.Errorf("got %q", got.out)
	}
}

func TestDeathByASignalIsAResult(t *testing.T) {
	c, _ := connect(t, nil)
	got := run(t, c, sandbox.ExecRequest{Command: "kill -KILL $$"})
	if got.ExitCode != 137 || got.Signal != "SIGKILL" || got.TimedOut || got.Canceled {
		t.Errorf("got %+v", got.ExecResult)
	}
}

func TestF20_OneSlowCommandBlocksNothing(t *testing.T) {
	c, _ := connect(t, nil)
	slow, err := c.Start(testContext(t), sandbox.ExecRequest{Argv: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if got := run(t, c, sandbox.ExecRequest{Command: "echo quick"}); got.out != "quick\n" {
			t.Errorf("got %q", got.out)
		}
	}
	if err := slow.Cancel(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, slow); !got.Canceled {
		t.Errorf("got %+v", got.ExecResult)
	}
}

func TestNoExitCodeIsLostUnderLoad(t *testing.T) {
	c, _ := connect(t, nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 50)
	for i := range 400 {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			// Each leaves an orphan, which the agent adopts and reaps.
			command := fmt.Sprintf("(setsid sleep 0.01 >/dev/null 2>&1 &); echo %d; exit %d", i, i%250)
			p, err := c.Start(testContext(t), sandbox.ExecRequest{Command: command})
			if err != nil {
				t.Error(err)
				return
			}
			if got := wait(t, p); got.ExitCode != i%250 || got.out != fmt.Sprintln(i) {
				t.Errorf("command %d: %+v", i, got)
			}
		})
	}
	wg.Wait()
}

func TestOrphansDoNotStayAsZombies(t *testing.T) {
	c, a := connect(t, nil)
	run(t, c, sandbox.ExecRequest{Command: "for i in 1 2 3 4 5; do (setsid sleep 0.05 >/dev/null 2>&1 &); done"})
	until(t, "the agent reaps its orphans", func() bool {
		out := run(t, c, sandbox.ExecRequest{Command: fmt.Sprintf("ps -o stat= --ppid %d | grep -c Z", a.cmd.Process.Pid)})
		return out.out == "0\n"
	})
}

func TestAnIdIsTakenOnce(t *testing.T) {
	c, _ := connect(t, nil)
	run(t, c, sandbox.ExecRequest{ID: "mine", Command: "true"})
	if _, err := c.Start(testContext(t), sandbox.ExecRequest{ID: "mine", Command: "true"}); kind(err) != sandbox.Conflict {
		t.Errorf("got %v", err)
	}
	if _, err := c.Attach(testContext(t), "other", sandbox.Offsets{}); kind(err) != sandbox.NoSuchExec {
		t.Errorf("got %v", err)
	}
	// A start that failed leaves its id free.
	if _, err := c.Start(testContext(t), sandbox.ExecRequest{ID: "free", Argv: []string{"no-such-program"}}); kind(err) != sandbox.FileNotFound {
		t.Fatalf("got %v", err)
	}
	run(t, c, sandbox.ExecRequest{ID: "free", Command: "true"})
}

func TestDurationIsTheCommandsOwn(t *testing.T) {
	c, _ := connect(t, nil)
	got := run(t, c, sandbox.ExecRequest{Command: "sleep 0.2"})
	if got.Duration < 200*time.Millisecond || got.Duration > patience {
		t.Errorf("took %s", got.Duration)
	}
}

func BenchmarkTrue(b *testing.B) {
	c, _ := connect(b, nil)
	for b.Loop() {
		run(b, c, sandbox.ExecRequest{Argv: []string{"true"}})
	}
}

func BenchmarkPing(b *testing.B) {
	c, _ := connect(b, nil)
	for b.Loop() {
		if err := c.Ping(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOutput(b *testing.B) {
	c, _ := connect(b, nil)
	const size = 100 << 20
	b.SetBytes(size)
	for b.Loop() {
		p, err := c.Start(b.Context(), sandbox.ExecRequest{Argv: []string{"head", "-c", "104857600", "/dev/zero"}})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		if _, err := p.Wait(b.Context(), func(_ sandbox.Stream, _ int64, p []byte) error { n += len(p); return nil }); err != nil || n != size {
			b.Fatal(n, err)
		}
	}
}
