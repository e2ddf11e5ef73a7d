package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// cases are the failures that this project promises not to have, by number: what
// people lost with its forerunners and neighbours, and what a hostile tree or sandbox
// may try. A test proves one by carrying its number in its name.
var cases = []struct{ name, promise string }{
	{"S1", "changes in a sandbox that was joined later are measured against a base that is known"},
	{"S2", "new files come back"},
	{"S3", "binary files come back byte for byte"},
	{"S4", "what was captured before a sandbox reached its end is returned"},
	{"S5", "two sessions never write to one sandbox unawares"},
	{"S6", "a killed server loses no captured change and leaves no sandbox running"},
	{"S7", "commits made inside come back one by one"},

	{"W1", "edits that are not committed, and buffers that are not saved, go up"},
	{"W2", "staged edits go up"},
	{"W3", "commits that were never pushed go up"},
	{"W4", "ignored files go up when they are named, secrets only then"},
	{"W5", "detached heads and local branches work"},
	{"W6", "the stash stays and is reported"},
	{"W7", "what submodules hold goes up, and changes in them come back or are refused by name"},
	{"W8", "large files kept by git-lfs go up as they lie on disk"},

	{"T1", "a folder in a repository as workspace"},
	{"T2", "linked worktrees"},
	{"T3", "no remote"},
	{"T4", "several remotes"},
	{"T5", "sparse checkouts"},
	{"T6", "bare repositories are refused"},
	{"T7", "names that differ only in case, and links to nowhere"},

	{"A1", "private remotes by SSH"},
	{"A2", "private remotes by a credential helper"},
	{"A3", "remotes on a host of one's own"},
	{"A4", "remotes behind a proxy"},
	{"A5", "a refused token is said first, and never shown"},
	{"A6", "a sandbox that may not use port 22"},

	{"L1", "resuming joins the same sandbox or says that it is gone"},
	{"L2", "an interrupt ends the command's processes"},
	{"L3", "a lost network loses no session"},
	{"L4", "an error while closing leaves no sandbox"},
	{"L5", "the image of a session is on record"},

	{"R1", "kept changes are found, shown, applied, exported and discarded by command"},
	{"R2", "a kept patch has its context beside it"},
	{"R3", "a dirty tree takes the changes and keeps its own"},
	{"R4", "a tree that moved on takes the changes"},
	{"R5", "renames come back as renames"},
	{"R6", "line ends are bytes"},
	{"R7", "a huge patch is cut with a warning, and the bundle keeps all"},
	{"R8", "lock files from another platform wait for a yes"},

	{"F1", "changes are captured when the client is an editor"},
	{"F2", "an untracked file that the sandbox edited returns"},
	{"F3", "work that is not committed is never folded into the last commit"},
	{"F4", "files with carriage returns come back byte for byte"},
	{"F5", "text and names that are not UTF-8"},
	{"F6", "the workspace is a folder of the repository"},
	{"F7", "merges, amended commits, other branches and stashes are captured or named"},
	{"F8", "awkward subjects, bodies and empty commits survive"},
	{"F9", "resuming keeps the earlier mbox"},
	{"F10", "tracked but ignored files go up, excluded ones do not"},
	{"F11", "the host's git settings change nothing"},
	{"F12", "nested repositories"},
	{"F13", "commits inside need no identity"},
	{"F14", "a repository that the image holds is not taken for ours"},
	{"F15", "commands start in the workspace"},
	{"F16", "a sandbox that shall stay does, and its id is said"},
	{"F17", "a terminated sidecar ends its sandbox"},
	{"F18", "a failing start shows at once"},
	{"F19", "images without git"},
	{"F20", "one slow command blocks nothing else"},
	{"F21", "a tree in motion breaks no snapshot and no checkpoint"},
	{"F22", "attributes change no byte"},
	{"F23", "a session is whole when the repository is gone"},
	{"F24", "a history begun anew inside hides nothing"},
	{"F25", "conflicts and refusals revert nothing later and are offered once"},
	{"F26", "checkpoints go on while a command runs"},
	{"F27", "descendants in sessions of their own end too"},
	{"F28", "a command outlives its server, and its output is whole afterwards"},
	{"F29", "sparse, partial, shallow and SHA-256 repositories, split indexes"},
	{"F30", "the repository's own tests run inside"},
	{"F31", "byte order marks, line ends and encodings of buffers"},

	{"U1", "an emptied side never empties the other without a yes"},
	{"U2", "a return is never refused because the tree is dirty"},
	{"U3", "nothing is hidden in a stash"},
	{"U4", "work done in the sandbox is on the host too"},
	{"U5", "unsaved edits survive"},
	{"U6", "a server that sleeps or dies kills no command"},
	{"U7", "local files go up"},
	{"U8", "a vanished sandbox does not take its work along"},
	{"U9", "a terminal's output is complete"},
	{"U10", "a log that cannot be written is not the command's failure"},
	{"U11", "large output arrives whole while other calls go on"},

	{"X1", "a repository's settings run nothing and send nothing"},
	{"X2", "a hostile repository runs nothing on the host"},
	{"X3", "Python files of the workspace are not imported by the sidecar"},
	{"X4", "paths that leave the root are refused"},
	{"X5", "files that act by themselves wait or are marked"},
	{"X6", "secrets do not go up and cannot be read inside"},
	{"X7", "bombs are stopped before they fill the disk or the memory"},
	{"X8", "floods and escapes of output do no harm"},
	{"X9", "a command that prints the protocol changes nothing"},
	{"X10", "tokens appear nowhere"},
	{"X11", "arguments stay arguments"},
	{"X12", "no link is followed while files are written"},
	{"X13", "the user's tree is written in one place"},
	{"X14", "malformed input ends nothing and costs little"},
	{"X15", "lines that begin with From do not split the mbox"},
}

// TestEveryCaseHasATest lists all cases with -v.
func TestEveryCaseHasATest(t *testing.T) {
	proofs := caseTests(t)
	known := map[string]bool{}
	for _, c := range cases {
		known[c.name] = true
		tests := proofs[c.name]
		if len(tests) == 0 {
			t.Errorf("%s has no test: %s", c.name, c.promise)
			continue
		}
		t.Logf("%-4s %s\n     %s", c.name, c.promise, strings.Join(tests, "\n     "))
	}
	for name, tests := range proofs {
		if !known[name] {
			t.Errorf("there is no case %s, which %v name", name, tests)
		}
	}
}

var (
	// leading are the case numbers that a name begins with: TestW1_W2_…, "F15: …",
	// W1-W2-…txtar.
	leading    = regexp.MustCompile(`^(?:[A-Z]\d+[_-])*[A-Z]\d+(?:[_:-]|$)`)
	inPython   = regexp.MustCompile(`(?m)^\s*(?:async )?def test_([A-Z]\d+_\w+)`)
	caseNumber = regexp.MustCompile(`[A-Z]\d+`)
)

// caseTests finds the tests that carry case numbers: functions, rows of the contract
// that every runtime passes, stories, and those of the sidecar.
func caseTests(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	add := func(name, where string) {
		for _, n := range caseNumber.FindAllString(leading.FindString(name), -1) {
			if proof := where + " " + name; !slices.Contains(found[n], proof) {
				found[n] = append(found[n], proof)
			}
		}
	}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		dir := filepath.ToSlash(filepath.Dir(rel))
		switch {
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "node_modules"):
			return filepath.SkipDir
		case dir == "sidecar/tests" && strings.HasSuffix(path, ".py"):
			text, err := os.ReadFile(path)
			for _, m := range inPython.FindAllStringSubmatch(string(text), -1) {
				add(m[1], dir)
			}
			return err
		case strings.HasSuffix(path, ".txtar") && filepath.Base(filepath.Dir(path)) == "stories":
			add(d.Name(), dir)
		case strings.HasSuffix(path, ".go") && (strings.HasSuffix(path, "_test.go") || dir == "sandbox/sandboxtest"):
			return namesIn(path, func(name string) { add(name, dir) })
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// namesIn gives the test functions of a file without their "Test", and the first
// string of each row of the contract.
func namesIn(path string, each func(string)) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("reading the tests: %w", err)
	}
	contract := !strings.HasSuffix(path, "_test.go")
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if name, ok := strings.CutPrefix(n.Name.Name, "Test"); ok && n.Recv == nil && !contract {
				each(name)
			}
		case *ast.CompositeLit:
			if len(n.Elts) == 0 || !contract {
				break
			}
			if first, ok := n.Elts[0].(*ast.BasicLit); ok && first.Kind == token.STRING {
				if name, err := strconv.Unquote(first.Value); err == nil {
					each(name)
				}
			}
		}
		return true
	})
	return nil
}

// A page that names a test promises that it exists.
func TestThePagesNameTestsThatExist(t *testing.T) {
	tests := map[string]bool{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, "_test.go") {
			return namesIn(path, func(name string) { tests["Test"+name] = true })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	named := regexp.MustCompile(`\b(Test[A-Z]\w+|[\w-]+\.txtar)(…?)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			if strings.HasSuffix(m[1], ".txtar") {
				if _, err := os.Stat(filepath.Join(root, "cmd", "glue-lsp", "testdata", "stories", m[1])); err != nil {
					t.Errorf("%s names the story %s, which is not there", filepath.Base(page), m[1])
				}
				continue
			}
			if tests[m[1]] || m[2] != "" && beginsOne(tests, m[1]) {
				continue
			}
			t.Errorf("%s names the test %s, which is not there", filepath.Base(page), m[1])
		}
	}
}

func beginsOne(tests map[string]bool, prefix string) bool {
	for name := range tests {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
