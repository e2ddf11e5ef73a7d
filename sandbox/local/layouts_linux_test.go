package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

// layout is how a version manager keeps a tool in HOME, and what PATH holds then.
type layout struct {
	name string
	// files by path; {home} stands for the user's HOME.
	files map[string]string
	path  []string // below HOME
	run   string
}

// program is a script that says what it is and where it finds what it needs.
const program = "#!/bin/sh\n"

func layouts() []layout {
	return []layout{
		{
			name: "pyenv", path: []string{".pyenv/shims", ".pyenv/bin"}, run: "python3",
			files: map[string]string{
				".pyenv/shims/python3":                 program + `exec "{home}/.pyenv/libexec/pyenv" exec python3 "$@"`,
				".pyenv/libexec/pyenv":                 program + `exec "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.12/bin/python3"`,
				".pyenv/versions/3.12/bin/python3":     program + `exec "$(dirname "$(readlink -f "$0")")/python3.12"`,
				".pyenv/versions/3.12/bin/python3.12":  program + `cat "$(dirname "$0")/../lib/version"`,
				".pyenv/versions/3.12/lib/version":     "ran",
				".pyenv/versions/3.12/lib/credentials": "also a file of a toolchain",
			},
		},
		{
			name: "nvm", path: []string{".nvm/versions/node/v22/bin"}, run: "npm",
			files: map[string]string{
				".nvm/versions/node/v22/bin/npm":                    program + `. "$(dirname "$0")/../lib/node_modules/npm/cli"`,
				".nvm/versions/node/v22/lib/node_modules/npm/cli":   "printf ran",
				".nvm/alias/default":                                "v22",
				".nvm/versions/node/v22/lib/node_modules/npm/npmrc": "",
			},
		},
		{
			name: "rustup", path: []string{".cargo/bin"}, run: "cargo",
			files: map[string]string{
				".cargo/bin/cargo":                    program + `exec "${RUSTUP_HOME:-$HOME/.rustup}/toolchains/stable/bin/cargo"`,
				".rustup/toolchains/stable/bin/cargo": program + "printf ran",
			},
		},
		{
			name: "sdkman", path: []string{".sdkman/candidates/java/current/bin"}, run: "java",
			files: map[string]string{".sdkman/candidates/java/17/bin/java": program + "printf ran"},
		},
		{
			name: "asdf", path: []string{".asdf/shims"}, run: "ruby",
			files: map[string]string{
				".asdf/shims/ruby":                 program + `exec "${ASDF_DATA_DIR:-$HOME/.asdf}/installs/ruby/3/bin/ruby"`,
				".asdf/installs/ruby/3/bin/ruby":   program + "printf ran",
				".asdf/plugins/ruby/bin/exec-path": "",
			},
		},
		{
			name: "volta", path: []string{".volta/bin"}, run: "node",
			files: map[string]string{
				".volta/bin/node":                     program + `exec "${VOLTA_HOME:-$HOME/.volta}/tools/image/node/22/bin/node"`,
				".volta/tools/image/node/22/bin/node": program + "printf ran",
			},
		},
		{
			name: "mise", path: []string{".local/share/mise/shims"}, run: "node",
			files: map[string]string{
				".local/share/mise/shims/node":                program + `exec "${MISE_DATA_DIR:-$HOME/.local/share/mise}/installs/node/22/bin/node"`,
				".local/share/mise/installs/node/22/bin/node": program + "printf ran",
			},
		},
		{name: "~/.local/bin", path: []string{".local/bin"}, run: "tool", files: map[string]string{".local/bin/tool": program + "printf ran"}},
		{name: "~/go/bin", path: []string{"go/bin"}, run: "tool", files: map[string]string{"go/bin/tool": program + "printf ran"}},
		{
			name: "homebrew", path: []string{".linuxbrew/bin"}, run: "tool",
			files: map[string]string{".linuxbrew/Cellar/tool/1/bin/tool": program + "printf ran"},
		},
	}
}

func TestF30_ToolsOfVersionManagersAreTheSameInsideAsOutside(t *testing.T) {
	for _, l := range layouts() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			home, _ := userHome(t, nil)
			for name, content := range l.files {
				put(t, filepath.Join(home, name), strings.ReplaceAll(content, "{home}", home))
			}
			link := func(name, target string) {
				name = filepath.Join(home, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(target, name); err != nil {
					t.Fatal(err)
				}
			}
			switch l.name {
			case "sdkman":
				link(".sdkman/candidates/java/current", "17")
			case "homebrew":
				link(".linuxbrew/bin/tool", "../Cellar/tool/1/bin/tool")
			}
			path := "/usr/bin:/bin"
			for i := len(l.path) - 1; i >= 0; i-- {
				path = filepath.Join(home, l.path[i]) + ":" + path
			}
			for _, isolation := range isolations {
				box := open(t, Options{Isolation: isolation, Environ: []string{"HOME=" + home, "PATH=" + path}}, nil)
				out, errs, _ := run(t, box, sandbox.ExecRequest{Command: "command -v " + l.run + "; " + l.run})
				if want := filepath.Join(home, l.path[0], l.run) + "\nran"; out != want {
					t.Errorf("%s: %s gives %q, want %q: %s", isolation, l.run, out, want, errs)
				}
			}
		})
	}
}
