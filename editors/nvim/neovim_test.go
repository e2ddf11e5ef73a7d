// Package nvim holds the Neovim plugin; its tests type into real editors. See test/driver.lua.
package nvim

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"glue-lsp/internal/editortest"
	"glue-lsp/internal/modaltest"
)

// A spec is one story. It is played in both versions on this machine, and in the cloud where
// that makes a difference to the editor, by the versions that are named.
var specs = []struct {
	name  string
	modal []string
}{
	{"story", []string{"0.12", "0.10"}},
	{"leaving", []string{"0.12", "0.10"}},
	{"terminal", []string{"0.12"}},
	{"trouble", nil},
	{"setup", nil},
	{"output", nil},
	{"returning", nil},
	{"parts", nil},
}

const (
	patience = 30 * time.Second // for one thing that a spec waits for
	limit    = 2 * time.Minute  // for a whole spec
)

func TestNeovim(t *testing.T) {
	if testing.Short() {
		t.Skip("types into real editors, which -short leaves out")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	editortest.DependOnSources(t, filepath.Join("..", ".."), "editors/nvim")
	server := glueServer(t)
	for _, version := range []string{"0.12", "0.10"} {
		for _, spec := range specs {
			runtimes := []string{"local"}
			if slices.Contains(spec.modal, version) {
				runtimes = append(runtimes, "modal")
			}
			for _, runtime := range runtimes {
				t.Run(fmt.Sprintf("%s/%s/%s", version, spec.name, runtime), func(t *testing.T) {
					t.Parallel()
					play(t, here, server, version, spec.name, runtime)
				})
			}
		}
	}
}

// play runs one spec in an editor, and wants nothing of it to go on afterwards.
func play(t *testing.T, here, server, version, spec, runtime string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(dir, "home")
	env := append(
		os.Environ(),
		"GLUE_HOME="+home, "GLUE_RUNTIME="+runtime, "HOME="+filepath.Join(dir, "person"),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GLUE_TEST_DIR="+dir, "GLUE_TEST_NVIM="+neovim(t, version), "GLUE_TEST_SERVER="+server,
		"GLUE_TEST_PLUGIN="+here, "GLUE_TEST_SPEC="+filepath.Join(here, "test", spec+".lua"),
		"GLUE_TEST_RUNTIME="+runtime, "GLUE_TEST_VERSION="+version,
		fmt.Sprintf("GLUE_TEST_PATIENCE=%d", int(patience.Seconds())), fmt.Sprintf("GLUE_TEST_LIMIT=%d", int(limit.Seconds())),
	)
	if runtime == "modal" {
		env = append(env, modaltest.Shared(t).Environ()...)
		env = append(env, "MODAL_PYTHON="+modaltest.Python(t))
	}
	if err := os.Mkdir(filepath.Join(dir, "person"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit+patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, neovim(t, "0.12"), "--clean", "--headless", "-c", "luafile "+filepath.Join(here, "test", "driver.lua"))
	cmd.Env, cmd.Dir = env, dir
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s", err, strings.TrimSpace(said.String()))
	}
	nothingGoesOn(t, home)
}

// neovim gives the program of a version, as scripts/install-editors puts it.
func neovim(t *testing.T, version string) string {
	t.Helper()
	editors := os.Getenv("GLUE_TEST_EDITORS")
	if editors == "" {
		editors = filepath.Join("..", "..", ".tools", "editors")
	}
	program, err := filepath.Abs(filepath.Join(editors, "nvim-"+version, "bin", "nvim"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("Neovim %s is not installed at %s: run scripts/install-editors .tools/editors, or set GLUE_TEST_EDITORS", version, program)
	}
	return program
}

// glueServer gives the program under test, built from the sources as they are.
func glueServer(t *testing.T) string {
	t.Helper()
	if named := os.Getenv("GLUE_TEST_SERVER"); named != "" {
		if _, err := os.Stat(named); err != nil {
			t.Fatalf("GLUE_TEST_SERVER names no program: %v", err)
		}
		return named
	}
	program := filepath.Join(t.TempDir(), "glue-lsp")
	if out, err := exec.Command("go", "build", "-o", program, "glue-lsp/cmd/glue-lsp").CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, out)
	}
	return program
}

// nothingGoesOn waits until no process has to do with a state folder.
func nothingGoesOn(t *testing.T, home string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		left := tiedTo(home)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, p := range left {
				t.Errorf("a process goes on: %.200s", p)
			}
			return
		}
	}
}

// tiedTo are the command lines of processes that have a folder in their arguments, their
// environment or their mounts.
func tiedTo(folder string) []string {
	var out []string
	parts := strings.Split(folder, "/")
	mounted := strings.Join(parts[max(0, len(parts)-3):], "/") + "/trees/"
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		if dir == fmt.Sprintf("/proc/%d", os.Getpid()) {
			continue
		}
		command, _ := os.ReadFile(dir + "/cmdline")
		environ, _ := os.ReadFile(dir + "/environ")
		mounts, _ := os.ReadFile(dir + "/mountinfo")
		if bytes.Contains(command, []byte(folder)) || bytes.Contains(environ, []byte(folder)) || bytes.Contains(mounts, []byte(mounted)) {
			out = append(out, dir+" "+string(bytes.ReplaceAll(command, []byte{0}, []byte{' '})))
		}
	}
	return out
}
