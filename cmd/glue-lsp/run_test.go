package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// person is somebody at a shell in a repository of theirs.
type person struct {
	*testing.T
	home, repo string
	env        []string // laid over the environment
}

func newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{T: t, home: filepath.Join(t.TempDir(), "glue"), repo: filepath.Join(t.TempDir(), "repo")}
	p.host("", "git", "init", "-q", "-b", "main", p.repo)
	p.write("a.txt", "one\n")
	p.host(p.repo, "git", "add", "-A")
	p.host(p.repo, "git", "-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-qm", "first")
	return p
}

func (p *person) write(name, content string) {
	p.Helper()
	if err := os.WriteFile(filepath.Join(p.repo, name), []byte(content), 0o644); err != nil {
		p.Fatal(err)
	}
}

func (p *person) read(name string) string {
	p.Helper()
	b, err := os.ReadFile(filepath.Join(p.repo, name))
	if err != nil {
		p.Fatal(err)
	}
	return string(b)
}

// host runs a program of the host.
func (p *person) host(dir string, argv ...string) string {
	p.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// glue makes the program ready to run; stdin is empty.
func (p *person) glue(args ...string) *exec.Cmd {
	p.Helper()
	self, err := os.Executable()
	if err != nil {
		p.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Dir = p.repo
	// Unless a test gives it a Python, nothing asks anybody's account in Modal.
	cmd.Env = append(append(os.Environ(), asProgram+"=1", "GLUE_HOME="+p.home, "GIT_CONFIG_GLOBAL=/dev/null", "MODAL_PYTHON=/no/such/python"), p.env...)
	return cmd
}

// does runs the program and wants an exit status.
func (p *person) does(status int, args ...string) (stdout, stderr string) {
	p.Helper()
	cmd := p.glue(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != status {
		p.Fatalf("glue-lsp %q: exit status %d, want %d\n%s%s", args, got, status, &out, &errs)
	}
	return out.String(), errs.String()
}

func (p *person) sees(text string, want ...string) {
	p.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			p.Errorf("not said: %q in\n%s", w, text)
		}
	}
}

func TestRunPassesOutputStatusAndChangesOn(t *testing.T) {
	p := newPerson(t)
	p.write("dirty.txt", "not committed\n")
	out, errs := p.does(7, "run", "--apply=yes", "--", "sh", "-c", "cat dirty.txt; echo oops >&2; echo hi > new.txt; exit 7")
	if out != "not committed\n" {
		t.Errorf("standard output: %q", out)
	}
	p.sees(errs, "oops\n", "A new.txt", "1 file changed", "Applied.")
	if got := p.read("new.txt"); got != "hi\n" {
		t.Errorf("new.txt: %q", got)
	}
	if list, _ := p.does(0, "sessions", "list"); !strings.Contains(list, "Nothing is waiting") {
		t.Errorf("sessions list: %s", list)
	}
	left, err := os.ReadDir(filepath.Join(p.home, "sessions"))
	if err != nil || len(left) != 0 {
		t.Errorf("a session without anything left to return stays: %v %v", left, err)
	}
}

func TestWhereNobodyReadsTheOutputTheCommandEndsAndItsChangesAreKept(t *testing.T) {
	for name, command := range map[string]string{
		"a command that a broken pipe ends": "echo made >new.txt; yes",
		"one that would go on":              "trap '' PIPE; echo made >new.txt; while :; do echo more; done",
	} {
		t.Run(name, func(t *testing.T) {
			p := newPerson(t)
			cmd := p.glue("run", "--apply=yes", "--", "sh", "-c", command)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = w, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
				t.Error(err)
			}
			r.Close()
			_ = cmd.Wait()
			if !cmd.ProcessState.Exited() || cmd.ProcessState.ExitCode() <= 128 {
				t.Errorf("it ended by %s", cmd.ProcessState)
			}
			p.sees(errs.String(), "A new.txt", "Applied.")
			if got := p.read("new.txt"); got != "made\n" {
				t.Errorf("new.txt: %q", got)
			}
		})
	}
}

func TestRunStartsInAFolderOfWhichNothingGoesUp(t *testing.T) {
	p := newPerson(t)
	p.write(".gitignore", "*.log\n")
	if err := os.MkdirAll(filepath.Join(p.repo, "objs", "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("objs/deep/x.log", "ignored\n")
	cmd := p.glue("run", "--", "pwd")
	cmd.Dir = filepath.Join(p.repo, "objs", "deep")
	if out, err := cmd.Output(); err != nil || string(out) != "/workspace/objs/deep\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if list, _ := p.does(0, "sessions", "list"); !strings.Contains(list, "Nothing is waiting") {
		t.Errorf("the folder counts as a change: %s", list)
	}
}

func TestRunRefusesAHomeFolder(t *testing.T) {
	p := newPerson(t)
	home := t.TempDir()
	p.env = append(p.env, "HOME="+home)
	cmd := p.glue("run", "--", "true")
	cmd.Dir = home
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != exitFailure {
		t.Errorf("it ended by %v", cmd.ProcessState)
	}
	p.sees(string(out), "is no project", "git init")
}

func TestRunReadsItsStandardInput(t *testing.T) {
	p := newPerson(t)
	cmd := p.glue("run", "--", "tr", "a-z", "A-Z")
	cmd.Stdin = strings.NewReader("typed\n")
	out, err := cmd.Output()
	if err != nil || string(out) != "TYPED\n" {
		t.Errorf("got %q %v", out, err)
	}
}

func TestX11_ArgumentsStayArguments(t *testing.T) {
	p := newPerson(t)
	args := []string{"-n", "--", "a b", "$(id)", "`id`", "new\nline", `quo"te's`, "*", "\\", ""}
	out, _ := p.does(0, append([]string{"run", "--", "printf", "%s|"}, args...)...)
	if want := strings.Join(args, "|") + "|"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestR1_WithoutATerminalChangesWaitUntilTheyAreAppliedExportedOrDiscarded(t *testing.T) {
	p := newPerson(t)
	_, errs := p.does(0, "run", "--", "sh", "-c", "echo two >> a.txt; printf '\\0' > b.bin; git add -A; git commit -qm inside")
	p.sees(errs, "Kept as session", "glue-lsp sessions apply")
	var list struct {
		Sessions []struct {
			ID           string `json:"id"`
			ChangedFiles int    `json:"changedFiles"`
			Folder       string `json:"folder"`
		} `json:"sessions"`
	}
	out, _ := p.does(0, "sessions", "list", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Sessions) != 1 || list.Sessions[0].ChangedFiles != 2 {
		t.Fatalf("sessions list --json: %s (%v)", out, err)
	}
	id := list.Sessions[0].ID
	out, _ = p.does(0, "sessions", "show", id)
	p.sees(out, id, "M a.txt", "A b.bin")
	out, _ = p.does(0, "sessions", "show", id, "--json")
	p.sees(out, `"status": "modified"`, `"kind": "binary"`)
	out, errs = p.does(0, "sessions", "diff", id)
	p.sees(out, "+two")
	p.sees(errs, "not in the patch: b.bin")

	to := filepath.Join(t.TempDir(), "export")
	out, _ = p.does(0, "sessions", "export", id, "--to", to)
	p.sees(out, "runtime.mbox", "runtime.mbox.meta.json", "runtime.bundle")
	clone := filepath.Join(t.TempDir(), "clone")
	p.host("", "git", "clone", "-q", p.repo, clone)
	p.host(clone, "git", "-c", "user.name=C", "-c", "user.email=c@example.com", "am", "-q", filepath.Join(to, "runtime.mbox"))
	if got := p.host(clone, "git", "log", "-1", "--format=%s"); got != "inside\n" {
		t.Errorf("the exported mbox gives %q", got)
	}

	_, errs = p.does(exitFailure, "sessions", "apply", id)
	p.sees(errs, "--yes")
	before := p.host(p.repo, "git", "rev-parse", "HEAD")
	p.does(0, "sessions", "apply", id, "--branch", "try-it", "--yes")
	if got := p.host(p.repo, "git", "show", "try-it:a.txt"); got != "one\ntwo\n" {
		t.Errorf("on the branch: %q", got)
	}
	if p.read("a.txt") != "one\n" || p.host(p.repo, "git", "rev-parse", "HEAD") != before || p.host(p.repo, "git", "status", "--porcelain") != "" {
		t.Error("a branch touched the working tree, HEAD or the index")
	}
	p.does(0, "sessions", "apply", id, "--commits", "--yes")
	if got := p.host(p.repo, "git", "log", "-1", "--format=%s", "glue/"+id); got != "inside\n" {
		t.Errorf("as commits: %q", got)
	}
	p.does(0, "sessions", "apply", id, "--yes")
	if got := p.read("a.txt"); got != "one\ntwo\n" {
		t.Errorf("applied: %q", got)
	}
	p.does(0, "sessions", "discard", id, "--yes")
	_, errs = p.does(exitFailure, "sessions", "show", id)
	p.sees(errs, "there is no session "+id)
}

// alive counts processes whose environment or arguments hold a mark.
func alive(t *testing.T, mark string) int {
	t.Helper()
	n := 0
	for _, pattern := range []string{"/proc/[0-9]*/cmdline"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if b, err := os.ReadFile(name); err == nil && bytes.Contains(b, []byte(mark)) {
				n++
			}
		}
	}
	return n
}

func TestL2_InterruptsReachTheCommandAndLeaveNoProcessBehind(t *testing.T) {
	for _, tc := range []struct {
		name   string
		sig    syscall.Signal
		script string
		status int
	}{
		{"interrupt", syscall.SIGINT, "sleep 61.%d & setsid sleep 61.%d & echo started; wait; sleep 61.%d", 130},
		{"the command handles it", syscall.SIGINT, "trap 'echo cleaned up; exit 3' INT; echo started; sleep 61.%d & wait", 3},
		{"terminate", syscall.SIGTERM, "trap '' INT; echo started; sleep 61.%d", 143},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPerson(t)
			mark := fmt.Sprint(os.Getpid(), tc.status) // a fraction of a second, to tell these sleeps from others
			script := strings.ReplaceAll(tc.script, "%d", mark)
			cmd := p.glue("run", "--apply=no", "--", "bash", "-c", script)
			var errs bytes.Buffer
			cmd.Stderr = &errs
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			in, err := cmd.StdinPipe() // open, so that the command does not end by itself
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 64)
			if n, err := out.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "started") {
				t.Fatalf("%q %v\n%s", buf[:n], err, &errs)
			}
			if err := cmd.Process.Signal(tc.sig); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- cmd.Wait() }()
			select {
			case <-done:
			case <-time.After(time.Minute):
				_ = cmd.Process.Kill()
				t.Fatal("it did not end")
			}
			if got := cmd.ProcessState.ExitCode(); got != tc.status {
				t.Errorf("exit status %d, want %d\n%s", got, tc.status, &errs)
			}
			if n := alive(t, "61."+mark); n != 0 {
				t.Errorf("%d processes are left", n)
			}
		})
	}
}

func TestWhatCannotWorkIsSaidWithWhatToDo(t *testing.T) {
	// One tool is enough to start the sandbox; git is given or withheld.
	bin := func(p *person, git string) string {
		dir := p.TempDir()
		bwrap, err := exec.LookPath("bwrap")
		if err != nil {
			p.Fatal(err)
		}
		if err := os.Symlink(bwrap, filepath.Join(dir, "bwrap")); err != nil {
			p.Fatal(err)
		}
		if git != "" {
			if err := os.WriteFile(filepath.Join(dir, "git"), []byte(git), 0o755); err != nil {
				p.Fatal(err)
			}
		}
		return "PATH=" + dir
	}
	for _, tc := range []struct {
		name  string
		setUp func(p *person)
		want  []string
	}{
		{"no git", func(p *person) { p.env = []string{bin(p, "")} }, []string{"git is not installed", "install git 2.38"}},
		{"an old git", func(p *person) { p.env = []string{bin(p, "#!/bin/sh\necho git version 2.30.1\n")} }, []string{"2.30.1", "too old", "2.38"}},
		{"a bare repository (T6)", func(p *person) {
			bare := filepath.Join(p.TempDir(), "bare.git")
			p.host("", "git", "clone", "-q", "--bare", p.repo, bare)
			p.repo = bare
		}, []string{"bare"}},
		{"a wrong setting", func(p *person) { p.env = []string{"GLUE_RUNTIME=docker"} }, []string{"setting runtime (environment)", "local, modal"}},
		{"a runtime that is not there", func(p *person) {
			p.env = []string{"GLUE_RUNTIME=modal", "MODAL_PYTHON=/no/such/python"}
		}, []string{"modal.python_path (MODAL_PYTHON)", "/no/such/python"}},
		{"an isolation that cannot be had", func(p *person) {
			p.env = []string{"PATH=" + p.barePath(), "GLUE_LOCAL_ISOLATION=bubblewrap"}
		}, []string{"bubblewrap", "install"}},
		{"a network that cannot be taken away", func(p *person) {
			p.env = []string{"GLUE_LOCAL_ISOLATION=none", "GLUE_LOCAL_NETWORK=none"}
		}, []string{"network"}},
		{"a state folder that cannot be made", func(p *person) { p.home = "/proc/glue" }, []string{"GLUE_HOME"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPerson(t)
			tc.setUp(p)
			_, errs := p.does(exitFailure, "run", "--", "true")
			p.sees(errs, tc.want...)
		})
	}
	t.Run("a program that is not there", func(t *testing.T) {
		p := newPerson(t)
		_, errs := p.does(127, "run", "--", "no-such-program")
		p.sees(errs, "no-such-program")
	})
}

func TestAFullDiskIsSaidAndLosesNothing(t *testing.T) {
	p := newPerson(t)
	p.write("a.txt", "mine\n")
	noise := make([]byte, 4<<20) // does not compress
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	p.write("big.bin", string(noise))
	p.home = p.TempDir()
	// The state folder lies on a file system of 2 MiB.
	argv := []string{"--bind", "/", "/", "--dev", "/dev", "--size", "2097152", "--tmpfs", p.home}
	cmd := exec.Command("bwrap", append(argv, p.glue("run", "--apply=yes", "--", "true").Args...)...)
	cmd.Dir, cmd.Env = p.repo, append(p.glue().Env, "GLUE_LOCAL_ISOLATION=none")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != exitFailure {
		t.Fatalf("exit status %d, want %d\n%s", cmd.ProcessState.ExitCode(), exitFailure, out)
	}
	p.sees(strings.ToLower(string(out)), "no space left")
	if got := p.read("a.txt"); got != "mine\n" {
		t.Errorf("a.txt: %q", got)
	}
}

func TestX2_TheRepositorysGitFolderIsNotTouched(t *testing.T) {
	p := newPerson(t)
	canary := filepath.Join(t.TempDir(), "canary")
	for _, hook := range []string{"pre-commit", "post-checkout", "post-index-change", "fsmonitor-watchman"} {
		if err := os.WriteFile(filepath.Join(p.repo, ".git/hooks", hook), []byte("#!/bin/sh\ntouch "+canary+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, kv := range []string{"core.fsmonitor=.git/hooks/fsmonitor-watchman", "filter.evil.clean=touch " + canary, "filter.evil.smudge=touch " + canary, "core.pager=touch " + canary, "diff.external=touch " + canary} {
		k, v, _ := strings.Cut(kv, "=")
		p.host(p.repo, "git", "config", k, v)
	}
	p.write(".gitattributes", "* filter=evil diff=evil\n")
	if err := os.Remove(canary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	before := fingerprint(t, filepath.Join(p.repo, ".git"))
	p.does(0, "run", "--apply=yes", "--", "sh", "-c", "echo changed > a.txt; git add -A; git commit -qm inside")
	if after := fingerprint(t, filepath.Join(p.repo, ".git")); after != before {
		t.Errorf(".git changed:\n%s\nbefore:\n%s", after, before)
	}
	if _, err := os.Stat(canary); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something of the repository ran on the host")
	}
	if got := p.read("a.txt"); got != "changed\n" {
		t.Errorf("a.txt: %q", got)
	}
}

// fingerprint lists every file below a folder with its mode, time and content.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %v %v", path, info.Mode(), info.ModTime())
		if d.Type().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %x", content)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDoctorSaysWhatWorks(t *testing.T) {
	p := newPerson(t)
	out, _ := p.does(0, "doctor", "--json")
	var got struct {
		OK     bool `json:"ok"`
		Checks []struct{ Name, Status, Detail, Hint string }
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || !got.OK || len(got.Checks) < 5 {
		t.Errorf("%v\n%s", err, out)
	}
	p.env = []string{"GLUE_RUNTIME=docker"}
	out, _ = p.does(1, "doctor")
	p.sees(out, "FAIL", "settings")
}

func TestVersionAndHelp(t *testing.T) {
	p := newPerson(t)
	out, _ := p.does(0, "version", "--json")
	p.sees(out, `"version"`, `"go"`)
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"sessions", "apply", "--help"}, {"doctor", "--help"}, {"serve", "--help"}} {
		out, _ := p.does(0, args...)
		p.sees(out, "Examples:")
	}
	short, _ := p.does(0, "--version")
	long, _ := p.does(0, "version")
	if short != long {
		t.Errorf("--version says %q, version %q", short, long)
	}
	for said, args := range map[string][]string{
		"no-such-command":   {"no-such-command"},
		"glue-lsp run --":   {"run"},
		"glue-lsp sessions": {"sessions", "apply"},
	} {
		_, errs := p.does(exitFailure, args...)
		p.sees(errs, said)
	}
	out, _ = p.does(0, "completion", "bash")
	p.sees(out, "complete")
}

// barePath gives a folder with what a machine has on its PATH at the least: git, a shell
// and true.
func (p *person) barePath() string {
	p.Helper()
	dir := p.TempDir()
	for _, name := range []string{"git", "sh", "true"} {
		tool, err := exec.LookPath(name)
		if err != nil {
			p.Fatal(err)
		}
		if err := os.Symlink(tool, filepath.Join(dir, name)); err != nil {
			p.Fatal(err)
		}
	}
	return dir
}

func TestASessionThatIsNotConfinedSaysSo(t *testing.T) {
	p := newPerson(t)
	p.env = []string{"GLUE_LOCAL_ISOLATION=none"}
	_, errs := p.does(0, "run", "--", "true")
	p.sees(errs, "not confined")
	p.env = nil
	if _, errs := p.does(0, "run", "--", "true"); strings.Contains(errs, "not confined") {
		t.Errorf("a confined session says: %s", errs)
	}
}
