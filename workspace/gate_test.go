package workspace

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writers are the files that may call functions which write files, with what they
// write. None of it is the person's tree: that is written by internal/tree's Root,
// which only Apply is given in this module's host part.
var writers = map[string]string{
	"internal/tree/":          "the one writer of trees, by directory handles; caches and spools in private folders",
	"internal/git/":           "private git folders; branch.go lets git write a branch, by explicit wish",
	"workspace/journal.go":    "Apply's own undo: permissions of a file that it has just put back",
	"workspace/record.go":     "Apply's journal, in the state folder",
	"workspace/recover.go":    "the same journal, and what only it holds; files go back through the root of Apply",
	"workspace/mboxverify.go": "a private index in a temporary folder",
	"workspace/mbox.go":       "the session's folder: mbox and bundle",
	"workspace/meta.go":       "the session's folder: meta file",
	"workspace/base.go":       "the session's folder: bundle of the first snapshot",
	"workspace/store.go":      "the session's own store",
	"workspace/open.go":       "the private cache folder",
	"workspace/wish.go":       "opens for reading only",
	"workspace/import.go":     "opens for reading only",
	"handlers/summary.go":     "the folder of documents that are shown",
	"session/":                "the session's folder",
	"sandbox/":                "inside the sandbox, and the session's folder",
	"sidecar/":                "the unpacked program in a private folder",
	"config/":                 "the user's own configuration folder",
	"cmd/":                    "what the command line was told to export to",
	"internal/bench/":         "benchmarks, on folders of their own",
	"internal/demo/":          "demonstrations, on folders of their own",
	"internal/lsptest/":       "tests",
	"internal/lawtest/":       "tests",
	"internal/modaltest/":     "tests",
	"modalemu/":               "a module of its own, for tests",
}

// writing are functions that change files by name.
var writing = map[string]map[string]bool{
	"os": set("WriteFile", "Create", "CreateTemp", "OpenFile", "OpenRoot", "Rename", "Remove", "RemoveAll", "Mkdir", "MkdirAll", "MkdirTemp", "Symlink", "Link",
		"Chmod", "Chown", "Lchown", "Chtimes", "Truncate", "CopyFS"),
	"ioutil":  set("WriteFile", "TempFile", "TempDir"),
	"syscall": set("Open", "Openat", "Rename", "Renameat", "Unlink", "Unlinkat", "Rmdir", "Mkdir", "Mkdirat", "Symlink", "Link", "Chmod", "Fchmodat", "Truncate", "Creat"),
	"unix": set("Open", "Openat", "Openat2", "Rename", "Renameat", "Renameat2", "Unlink", "Unlinkat", "Rmdir", "Mkdir", "Mkdirat", "Symlink", "Symlinkat",
		"Link", "Linkat", "Chmod", "Fchmodat", "Truncate", "Creat"),
	"renameio": set("WriteFile", "NewPendingFile", "TempFile", "Symlink"),
	"tree":     set("OpenRoot"),
}

// gate are the files that may open the person's tree for writing.
var gate = set("workspace/apply.go", "workspace/down.go", "workspace/readback.go")

func set(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}

func TestX13_NoSecondWayToWriteTheUsersTreeExists(t *testing.T) {
	calls := 0
	eachSource(t, func(file string, syntax *ast.File) {
		for _, name := range disguised(syntax) {
			t.Errorf("%s imports %s under another name, which hides what it writes from this test", file, name)
		}
		ast.Inspect(syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := call.X.(*ast.Ident)
			if !ok || !writing[pkg.Name][call.Sel.Name] {
				return true
			}
			calls++
			switch {
			case pkg.Name == "tree" && (gate[file] || !strings.HasPrefix(file, "workspace/") && allowed(file)):
			case pkg.Name != "tree" && allowed(file):
			default:
				t.Errorf("%s calls %s.%s: the person's tree is written by workspace.Apply only. If this writes something else, name the file in writers, with what", file, pkg.Name, call.Sel.Name)
			}
			return true
		})
	})
	if calls < 10 {
		t.Errorf("only %d calls were looked at: the test does not see the module's sources", calls)
	}
}

// disguised names the packages that write files and that a file imports under another
// name than their own.
func disguised(syntax *ast.File) []string {
	own := map[string]string{
		"os": "os", "io/ioutil": "ioutil", "syscall": "syscall", "golang.org/x/sys/unix": "unix",
		"github.com/google/renameio/v2": "renameio", "glue-lsp/internal/tree": "tree",
	}
	var out []string
	for _, imp := range syntax.Imports {
		path := strings.Trim(imp.Path.Value, `"`)
		if name := own[path]; name != "" && imp.Name != nil && imp.Name.Name != name && imp.Name.Name != "_" {
			out = append(out, path)
		}
	}
	return out
}

func TestX13_ADisguisedImportIsSeen(t *testing.T) {
	for source, want := range map[string]int{
		`package p; import "os"`: 0, `package p; import o "os"`: 1, `package p; import . "golang.org/x/sys/unix"`: 1, `package p; import os "os"`: 0,
		`package p; import r "github.com/google/renameio/v2"`: 1, `package p; import files "glue-lsp/internal/tree"`: 1, `package p; import o "example.com/other"`: 0,
	} {
		syntax, err := parser.ParseFile(token.NewFileSet(), "p.go", source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := disguised(syntax); len(got) != want {
			t.Errorf("%s: %q", source, got)
		}
	}
}

func TestX13_OnlyApplyUsesARootThatWrites(t *testing.T) {
	eachSource(t, func(file string, syntax *ast.File) {
		if !gate[file] || file == "workspace/apply.go" {
			return
		}
		ast.Inspect(syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); ok && (sel.Sel.Name == "Write" || sel.Sel.Name == "Remove" || sel.Sel.Name == "Sync") {
				t.Errorf("%s calls %s: it may look at the person's tree, not write it", file, sel.Sel.Name)
			}
			return true
		})
	})
}

func allowed(file string) bool {
	for prefix := range writers {
		if file == prefix || strings.HasSuffix(prefix, "/") && strings.HasPrefix(file, prefix) {
			return true
		}
	}
	return false
}

// eachSource parses every Go file of the module but its tests.
func eachSource(t *testing.T, do func(file string, syntax *ast.File)) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the module's root is not where it was: %v", err)
	}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "node_modules" || base == "testdata" || strings.HasPrefix(base, ".") && name != root {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil //nolint:nilerr // the compiler will say so
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		do(filepath.ToSlash(rel), syntax)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
