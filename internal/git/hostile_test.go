package git

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

// hostile makes a repository and a home in which every setting that can run a
// program, or convert a file, does.
func hostile(t *testing.T) (dir string, ranNothing func()) {
	home := isolate(t)
	files := map[string]string{"crlf.txt": "a\r\nb\r\n", "id": "$Id$\n", "big.bin": "content of a large file\n", "wide": "w\n", "sub/a": "1\n"}
	dir = userRepo(t, files)
	program, check := canary(t)
	for _, hook := range []string{"post-index-change", "pre-commit", "reference-transaction", "fsmonitor-watchman", "post-checkout"} {
		script(t, filepath.Join(dir, ".git/hooks", hook), program+" "+hook)
	}
	config := "[core]\n\tfsmonitor = " + program + "\n\thooksPath = " + filepath.Join(dir, ".git/hooks") +
		"\n\tautocrlf = true\n\teol = crlf\n\tuntrackedCache = true\n\tpager = " + program + "\n\tsshCommand = " + program + "\n\taskPass = " + program + "\n\teditor = " + program +
		"\n\tattributesFile = " + filepath.Join(home, "attributes") +
		"\n[filter \"lfs\"]\n\tclean = " + program + "\n\tsmudge = " + program + "\n\tprocess = " + program + "\n\trequired = true" +
		"\n[diff]\n\texternal = " + program + "\n[diff \"x\"]\n\ttextconv = " + program + "\n[merge \"x\"]\n\tdriver = " + program +
		"\n[credential]\n\thelper = " + program + "\n[gpg]\n\tprogram = " + program + "\n[commit]\n\tgpgSign = true\n[tag]\n\tgpgSign = true" +
		"\n[init]\n\ttemplateDir = " + filepath.Join(home, "template") + "\n[alias]\n\tls-files = !" + program + "\n[pager]\n\tls-files = " + program +
		"\n[uploadpack]\n\tpackObjectsHook = " + program + "\n[gc]\n\tauto = 1\n[fastimport]\n\tunpackLimit = 100000\n"
	writeFiles(t, home, map[string]string{
		".gitconfig": config, "attributes": "* filter=lfs text=auto eol=crlf\n",
		"template/hooks/post-index-change": "#!/bin/sh\n" + program + "\n",
		"template/config":                  config,
	})
	if err := os.Chmod(filepath.Join(home, "template/hooks/post-index-change"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, ".git/config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(config); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string]string{
		".gitattributes":       "* text=auto eol=crlf filter=lfs diff=x merge=x ident\nwide working-tree-encoding=UTF-16LE\n",
		".git/info/attributes": "* filter=lfs\n",
		"sub/new":              "1\n",
	})
	for _, name := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"} {
		t.Setenv(name, filepath.Join(home, "nowhere"))
	}
	for _, name := range []string{"GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_SSH", "GIT_ASKPASS", "PAGER", "EDITOR"} {
		t.Setenv(name, program)
	}
	t.Setenv("GIT_TRACE", filepath.Join(home, "trace"))
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
	t.Setenv("GIT_CONFIG_VALUE_0", program)
	t.Setenv("GIT_CONFIG_PARAMETERS", "'core.fsmonitor="+program+"'")
	return dir, check
}

func TestX2_NothingOfAHostileRepositoryRunsAndNothingInItChanges(t *testing.T) {
	dir, ranNothing := hostile(t)
	g := findGit(t)
	// A time that differs from the index's tempts git to refresh it.
	if err := os.Chtimes(filepath.Join(dir, "sub/a"), longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, dir)
	src := inspect(t, g, filepath.Join(dir, "sub"))
	list, err := g.ListFiles(t.Context(), src, filepath.Join(t.TempDir(), "private"))
	if err != nil {
		t.Fatal(err)
	}
	wantPaths(t, list, ".gitattributes", "big.bin", "crlf.txt", "id", "sub/a", "sub/new", "wide")
	if d := cmp.Diff(before, fingerprint(t, dir)); d != "" {
		t.Errorf("the repository changed: %s", d)
	}
	ranNothing()
}

func TestF11_F22_NoSettingAndNoAttributeChangesAByteInTheStore(t *testing.T) {
	_, ranNothing := hostile(t)
	g := findGit(t)
	r := newStore(t, g, tree.SHA1)
	files := map[string]string{
		".gitattributes": "* text=auto eol=crlf filter=lfs ident working-tree-encoding=UTF-16LE diff=x merge=x export-subst\n[attr]binary text\n",
		"crlf":           "a\r\nb\r\n", "lf": "a\nb\n", "mixed": "a\r\nb\nc\r", "id": "$Id$ $Format:%H$\n", "wide": "\xff\xfea\x00",
	}
	base := makeTree(t, r, files)
	if d := cmp.Diff(regular(files), contents(t, r, base)); d != "" {
		t.Fatal(d)
	}
	ours := update(t, r, base, write("lf", "A\nb\n", tree.Regular), write("crlf", "a\r\nB\r\n", tree.Regular))
	theirs := update(t, r, base, write("lf", "a\nb\nC\n", tree.Regular), write("new", "x\r\n", tree.Regular))
	if _, err := r.Diff(t.Context(), base, ours, true); err != nil {
		t.Fatal(err)
	}
	m, err := r.Merge(t.Context(), base, ours, theirs)
	if err != nil || len(m.Conflicts) > 0 {
		t.Fatalf("the merge gives %+v, %v", m, err)
	}
	commit := makeCommit(t, r, m.Tree)
	if err := r.SetRef(t.Context(), "refs/glue/base", commit); err != nil {
		t.Fatal(err)
	}
	other := newStore(t, g, tree.SHA1)
	transfer(t, r, other, "refs/glue/base")
	files["lf"], files["crlf"], files["new"] = "A\nb\nC\n", "a\r\nB\r\n", "x\r\n"
	if d := cmp.Diff(regular(files), contents(t, other, m.Tree)); d != "" {
		t.Error(d)
	}
	if _, err := r.Output(t.Context(), "log", "-p", "--ext-diff", "--textconv", commit); err != nil {
		t.Error(err)
	}
	ranNothing()
}
