// Command demo shows the main job to a newcomer: a real conversation between an editor
// and the server, on a copy of a real working tree, in a local sandbox.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"glue-lsp/internal/lsptest"
)

func main() {
	server := flag.String("server", "bin/glue-lsp", "the binary to show")
	tree := flag.String("tree", ".", "the git repository to copy and work on")
	flag.Parse()
	bin, err := filepath.Abs(*server)
	if err != nil {
		log.Fatal(err)
	}
	work, err := os.MkdirTemp("", "glue-demo-")
	if err != nil {
		log.Fatal(err)
	}
	tb := newStage(work)
	defer tb.end()
	play(tb, bin, *tree, work)
}

// What the person types, what the sandbox runs.
const (
	unsaved = "// An edit that was never saved.\n"
	later   = "// Typed while the sandbox worked.\n"
	command = `echo "inside, README has $(wc -l < README.md) lines and CHANGELOG begins with: $(head -1 CHANGELOG.md)"
git status --short | head
sed -i 's/^# Changes$/# Changes (edited in the sandbox)/' CHANGELOG.md
printf '\000\001\002\377' > demo.bin
mkdir -p demo && echo 'made in the sandbox' > demo/new.txt
git mv CONTRIBUTING.md HOWTO.md
rm scripts/install-deps
chmod +x LICENSE
echo "…and it changed six files."`
)

type change struct {
	Path    string `json:"path"`
	OldPath string `json:"oldPath"`
	Status  string `json:"status"`
	Kind    string `json:"kind"`
}

func play(tb *stage, bin, tree, work string) {
	repo := filepath.Join(work, "repo")
	tb.run("git", "clone", "-q", "--no-hardlinks", tree, repo)
	tb.title("A working tree, as an editor has it")
	e := lsptest.Start(tb, lsptest.Binary(bin, []string{"serve", "--stdio", "--log-level", "error"}, append(os.Environ(), "GLUE_HOME="+filepath.Join(work, "home"))), lsptest.Options{Root: repo})
	e.Initialize(lsptest.VSCode())
	e.SaveCleanFiles()
	e.Open("CHANGELOG.md")
	e.Edit("CHANGELOG.md", "0:0-0:0", unsaved)
	tb.say("opened CHANGELOG.md and typed a first line, without saving:\n%s", indent(head(e.Buffer("CHANGELOG.md"), 2)))

	tb.title("glue/session/open: the tree goes into a sandbox, the unsaved line included")
	var info struct {
		Isolation string `json:"isolation"`
		Root      string `json:"root"`
		Base      struct {
			Files   int `json:"files"`
			Bytes   int `json:"bytes"`
			Unsaved int `json:"unsaved"`
		} `json:"base"`
		Bootstrap struct {
			Ms float64 `json:"ms"`
		} `json:"bootstrap"`
	}
	e.Call("glue/session/open", map[string]any{}, &info)
	tb.say("%d files, %d bytes, %d unsaved, in %.0f ms; confined by %s at %s", info.Base.Files, info.Base.Bytes, info.Base.Unsaved, info.Bootstrap.Ms, info.Isolation, info.Root)

	tb.title("glue/exec: a command runs there and changes files")
	tb.say("%s", indent(command))
	var res struct {
		ExitCode int `json:"exitCode"`
		Stdout   struct {
			Data string `json:"data"`
		} `json:"stdout"`
		DurationMs float64 `json:"durationMs"`
	}
	e.Call("glue/exec", map[string]any{"command": command}, &res)
	tb.say("it printed, and ended with %d after %.0f ms:\n%s", res.ExitCode, res.DurationMs, indent(res.Stdout.Data))

	tb.title("Meanwhile, the person goes on typing")
	lines := strings.Count(e.Buffer("CHANGELOG.md"), "\n")
	e.Edit("CHANGELOG.md", fmt.Sprintf("%d:0-%d:0", lines, lines), later)
	tb.say("a last line was added to CHANGELOG.md, again without saving")
	tb.say("on disk nothing has changed: git status says %q", tb.run("git", "-C", repo, "status", "--short"))

	tb.title("glue/session/return: what the sandbox changed comes back, merged")
	var ret struct {
		Applied   bool     `json:"applied"`
		Files     []change `json:"files"`
		Disk      []change `json:"disk"`
		Conflicts []any    `json:"conflicts"`
		Mbox      struct {
			Path    string `json:"path"`
			Commits int    `json:"commits"`
		} `json:"mbox"`
	}
	e.Call("glue/session/return", map[string]any{}, &ret)
	for _, c := range ret.Files {
		name := c.Path
		if c.OldPath != "" {
			name = c.OldPath + " → " + c.Path
		}
		tb.say("  %-9s %-7s %s", c.Status, c.Kind, name)
	}
	tb.say("applied: %v, conflicts: %d, mbox with %d message", ret.Applied, len(ret.Conflicts), ret.Mbox.Commits)
	buffer := e.Buffer("CHANGELOG.md")
	tb.say("CHANGELOG.md in the editor now, all three edits in it:\n%s%s", indent(head(buffer, 2)), indent("…\n"+later))

	tb.check(ret.Applied && len(ret.Files) == 6, "all six changes came back: %v", ret.Files)
	tb.check(strings.HasPrefix(buffer, unsaved+"# Changes (edited in the sandbox)\n") && strings.HasSuffix(buffer, later), "the buffer holds all three edits")
	bytes, err := os.ReadFile(filepath.Join(repo, "demo.bin"))
	tb.check(err == nil && string(bytes) == "\x00\x01\x02\xff", "the binary file is there byte for byte")
	_, err = os.Stat(filepath.Join(repo, "scripts/install-deps"))
	tb.check(os.IsNotExist(err), "the deleted file is gone")
	st, err := os.Stat(filepath.Join(repo, "LICENSE"))
	tb.check(err == nil && st.Mode().Perm()&0o100 != 0, "the mode came back")
	_, err = os.Stat(filepath.Join(repo, "HOWTO.md"))
	tb.check(err == nil, "the renamed file is there")

	var closed struct {
		Terminated bool `json:"terminated"`
	}
	e.Call("glue/session/close", map[string]any{}, &closed)
	tb.check(closed.Terminated, "the sandbox has ended")
	e.Shutdown()
	tb.title("That was it")
	tb.say(`An unsaved edit went up, a command ran where it could do no harm, and its changes to text,
binary, new, deleted, renamed and executable files came back, merged with what was typed in
the meantime. The sandbox is gone; nothing else was touched.

Try it on your own tree:   bin/glue-lsp run -- make test
In your editor:            see README.md`)
}

// head gives the first n lines.
func head(s string, n int) string {
	lines := strings.SplitAfterN(s, "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "")
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n    ") + "\n"
}
