package plain

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"glue-lsp/internal/modaltest"
)

// world is a person's machine: a home, a repository with uncommitted work, and the
// server on PATH.
type world struct {
	*testing.T
	home, glue, repo string
	env              []string
}

func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{T: t, home: filepath.Join(dir, "home"), glue: filepath.Join(dir, "glue"), repo: filepath.Join(dir, "a shop")}
	archive, err := txtar.ParseFile("testdata/shop.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		w.write(filepath.Join(w.repo, f.Name), string(f.Data))
	}
	w.env = append([]string{
		"PATH=" + serverFolder(t) + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + w.home, "XDG_CONFIG_HOME=" + filepath.Join(w.home, ".config"), "XDG_CACHE_HOME=" + filepath.Join(w.home, ".cache"),
		"GLUE_HOME=" + w.glue, "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "LANG=C.UTF-8",
	}, env...)
	w.git("init", "-q", "-b", "main")
	w.git("add", "-A")
	w.git("-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-qm", "as it was")
	w.write(filepath.Join(w.repo, "notes.txt"), draft)
	w.write(filepath.Join(w.repo, "todo.txt"), "not in git\n")
	t.Cleanup(w.nothingRuns)
	return w
}

// draft is what the person changed without committing it.
const draft = "not tested, a draft\n"

// onModal is the environment that makes Modal's emulator the place where sandboxes run.
func onModal(t *testing.T) []string {
	t.Helper()
	return append(modaltest.Shared(t).Environ(), "GLUE_RUNTIME=modal", "MODAL_PYTHON="+modaltest.Python(t))
}

func (w *world) write(file, text string) {
	w.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) git(args ...string) {
	w.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = w.repo, w.env
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// disk checks a file of the repository; "" is one that is not there.
func (w *world) disk(name, want string) {
	w.Helper()
	got, err := os.ReadFile(filepath.Join(w.repo, name))
	if err != nil && !os.IsNotExist(err) {
		w.Fatal(err)
	}
	if string(got) != want {
		w.Errorf("%s is %q on disk, want %q", name, got, want)
	}
}

// original is the text of a file as it was committed.
func (w *world) original(name string) string {
	w.Helper()
	archive, err := txtar.ParseFile("testdata/shop.txtar")
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range archive.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	w.Fatalf("there is no %s", name)
	return ""
}

// untouched checks that the repository is as the person left it: nothing came back yet,
// or everything was taken back.
func (w *world) untouched() {
	w.Helper()
	for _, name := range []string{"test_cart.py", "old.txt"} {
		w.disk(name, w.original(name))
	}
	w.disk("notes.txt", draft)
	w.disk("todo.txt", "not in git\n")
	w.disk("report.txt", "")
}

// config gives a fenced block of the page on an editor, in a language, as it is written.
func config(t *testing.T, page, language string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "editors", page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(text), "\n```"+language+"\n")
	block, _, ends := strings.Cut(rest, "\n```\n")
	if !begins || !ends {
		t.Fatalf("docs/editors/%s has no block of %s", page, language)
	}
	return block + "\n"
}

// runs lists what belongs to this world and still runs: the server, its helpers, commands.
func (w *world) runs() []string {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		w.Fatal(err)
	}
	var out []string
	for _, p := range processes {
		if pid, err := strconv.Atoi(filepath.Base(p)); err != nil || pid == os.Getpid() {
			continue
		}
		// One that ends meanwhile reads as empty.
		environ, _ := os.ReadFile(filepath.Join(p, "environ"))
		command, _ := os.ReadFile(filepath.Join(p, "cmdline"))
		if bytes.Contains(environ, []byte(w.glue)) || bytes.Contains(command, []byte(w.glue)) || bytes.Contains(command, []byte(w.marker())) {
			out = append(out, filepath.Base(p)+" "+string(bytes.ReplaceAll(command, []byte{0}, []byte{' '})))
		}
	}
	return out
}

// marker is a word in commands of this world, by which they are found; sleep takes it
// for a number.
func (w *world) marker() string {
	hash := fnv.New32()
	_, _ = hash.Write([]byte(w.glue)) // never fails
	return fmt.Sprintf("0.%010d", hash.Sum32())
}

// awaitCommand waits until a command with the marker runs.
func (w *world) awaitCommand() {
	w.Helper()
	w.until("the command to run", func() bool {
		return slices.ContainsFunc(w.runs(), func(p string) bool { return strings.HasSuffix(p, " sleep 300 "+w.marker()+" ") })
	})
}

// killServer kills the server, and nothing else, without a warning.
func (w *world) killServer() {
	w.Helper()
	for _, p := range w.runs() {
		pid, command, _ := strings.Cut(p, " ")
		program, arguments, _ := strings.Cut(command, " ")
		if filepath.Base(program) != "glue-lsp" || strings.Contains(arguments, "agent") {
			continue
		}
		id, err := strconv.Atoi(pid)
		if err != nil {
			w.Fatal(err)
		}
		if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
			w.Fatal(err)
		}
		return
	}
	w.Fatalf("no server runs: %q", w.runs())
}

func (w *world) until(what string, happened func() bool) {
	w.Helper()
	for deadline := time.Now().Add(patience); !happened(); time.Sleep(poll) {
		if time.Now().After(deadline) {
			w.Fatalf("waited in vain for %s; there are %q", what, w.runs())
		}
	}
}

// nothingRuns waits until nothing of this world runs any more.
func (w *world) nothingRuns() {
	w.Helper()
	w.until("everything to end", func() bool { return len(w.runs()) == 0 })
}
