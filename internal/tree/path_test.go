package tree_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"glue-lsp/internal/tree"
)

func TestX4_PathsThatLeaveTheRootOrReachGitAreRefused(t *testing.T) {
	for _, path := range []string{
		"", "/", "/etc/passwd", "//a", "a//b", "a/", "a/b/",
		".", "..", "./a", "../a", "a/.", "a/..", "a/../b", "a/./b",
		"a\x00b", "a/b\x00", strings.Repeat("a/", 2048) + "a",
		".git", ".GIT", ".Git", ".git/config", "a/.git/hooks/pre-commit", "a/b/.gIt",
		".git ", ".git.", ".git...", ".git . .", ".git /config",
		"git~1", "GIT~1", "Git~1/config", "git~1.", "git~1 ",
		".git::$INDEX_ALLOCATION", ".git:stream", ".git::$INDEX_ALLOCATION/config", "git~1:x",
		`a\.git\config`, `a\git~1\config`, `.git\config`, `\.git`, `x\y\.GIT `, `a\.git:x`,
		".g\u200cit", "\u200d.git", ".git\ufeff", ".gi\u202et/config", ".\u206ag\u206fit", ".git\u200e\u200f",
		".\u202aG\u202bI\u202cT\u202d/x", ".git\xff",
	} {
		err := tree.CheckPath(path)
		var refused *tree.PathError
		if !errors.As(err, &refused) {
			t.Errorf("CheckPath(%q) = %v, want a *PathError", path, err)
			continue
		}
		if refused.Path != path || refused.Why == "" {
			t.Errorf("CheckPath(%q): path %q, why %q", path, refused.Path, refused.Why)
		}
	}
}

func TestX4_OrdinaryPathsAreAccepted(t *testing.T) {
	for _, path := range []string{
		"a", "a/b/c", ".a", "..a", "...", "a..", ".gitignore", ".gitmodules", ".gitattributes", ".github/x", ".git2",
		"git", "git~2", "git~10", "a.git", "x.git/config", ".gi", "gi", ".gitx/.git-y", "-rf", "a b", " ", "a\nb",
		`a\b`, `\`, `a\.gitx`, "caf\u00e9", "\xff\xfe", "\xffgit", "a:b", "aux.c", "con", "NUL", "com1", "trailing.", "trailing ",
		"\u200c", ".g\u00efit", ".git\u00e9", strings.Repeat("a/", 2047) + "a", ".g\xffit",
	} {
		if err := tree.CheckPathOn("linux", path); err != nil {
			t.Errorf("CheckPathOn(linux, %q) = %v", path, err)
		}
	}
}

func TestX4_DeviceNamesAreRefusedOnWindowsOnly(t *testing.T) {
	for _, path := range []string{
		"con", "CON", "aux.c", "a/NUL", "nul.tar.gz", "prn ", "com1", "COM9.txt", "lpt1", "lpt9", "conin$", "CONOUT$",
		"com¹", "aux .txt", "a:b", "c:/x", `a\b`, "a?", "a*", "a|b", "a<b", `a"b`, "a\x01b", "a.", "a ", "dir./x",
	} {
		if err := tree.CheckPathOn("windows", path); err == nil {
			t.Errorf("CheckPathOn(windows, %q) accepted it", path)
		}
		if err := tree.CheckPathOn("linux", path); err != nil {
			t.Errorf("CheckPathOn(linux, %q) = %v", path, err)
		}
	}
	for _, path := range []string{"console", "auxiliary.c", "com", "com10", "com0", "lpt", "a.b", "nully/x", "caf\u00e9"} {
		if err := tree.CheckPathOn("windows", path); err != nil {
			t.Errorf("CheckPathOn(windows, %q) = %v", path, err)
		}
	}
}

func TestX8_ErrorsDoNotCarryTerminalEscapes(t *testing.T) {
	for _, path := range []string{"a\x1b[2J/../b", "\xff/..", "a\n/.."} {
		err := tree.CheckPath(path)
		if err == nil {
			t.Fatalf("%q was accepted", path)
		}
		if msg := err.Error(); strings.ContainsAny(msg, "\x1b\n") || !utf8.ValidString(msg) {
			t.Errorf("message %q holds raw bytes of the path", msg)
		}
	}
}

// TestX4_GitRefusesWhatIsRefused compares with git's own check of index entries.
func TestX4_GitRefusesTheSameSpellings(t *testing.T) {
	repo := t.TempDir()
	git(t, repo, "", "init", "-q")
	blob := strings.TrimSpace(git(t, repo, "x", "hash-object", "-w", "--stdin"))
	for _, path := range []string{
		".git", ".GIT/x", ".git /x", "git~1", ".git::$INDEX_ALLOCATION/x", `a\.git\config`, ".g\u200cit/x", ".git\ufeff",
		".git. ./x", "a/../b", "a//b", "./a", "GIT~1/x", ".git\xff",
		"a", ".gitignore", "git~2", ".git2/x", "aux.c", `a\b`, "\xff", ".gitx", "..a",
	} {
		// update-index fails as a whole, so each path gets a run.
		refused := gitRefuses(t, repo, blob, path)
		if ours := tree.CheckPathOn("linux", path) != nil; ours != refused {
			t.Errorf("%q: refused by us %v, by git %v", path, ours, refused)
		}
	}
}

func gitRefuses(t *testing.T, repo, blob, path string) bool {
	t.Helper()
	git(t, repo, "", "read-tree", "--empty")
	out := git(t, repo, "", "-c", "core.protectHFS=true", "-c", "core.protectNTFS=true", "-c", "alias.try=!"+
		`git update-index --add --cacheinfo "100644,$1,$2" 2>/dev/null && echo taken || echo refused; :`,
		"try", blob, path)
	return strings.HasPrefix(out, "refused")
}

func FuzzCheckPath(f *testing.F) {
	for _, seed := range []string{"a/b", "../a", ".git", ".GiT/x", "git~1 ", ".g\u200cit", `a\.git`, "a//b", "\xff", "con", ".git::$DATA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		for _, goos := range []string{"linux", "darwin", "windows"} {
			if tree.CheckPathOn(goos, path) == nil {
				checkAccepted(t, goos, path)
			}
		}
	})
}

// checkAccepted holds an accepted path against what file systems do to names, put
// another way than the code under test puts it.
func checkAccepted(t *testing.T, goos, path string) {
	t.Helper()
	const root = "/root/of/tree"
	full := filepath.Join(root, path)
	if full != root+"/"+path || strings.ContainsRune(path, 0) {
		t.Fatalf("%s: %q is not a clean path below the root: %q", goos, path, full)
	}
	for _, name := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		hfs := strings.Map(func(r rune) rune {
			if strings.ContainsRune("\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u206a\u206b\u206c\u206d\u206e\u206f\ufeff", r) {
				return -1
			}
			return r
		}, name)
		ntfs, _, _ := strings.Cut(name, ":")
		ntfs = strings.TrimRight(ntfs, ". ")
		for _, folded := range []string{name, hfs, ntfs} {
			if strings.EqualFold(folded, ".git") || strings.EqualFold(folded, "git~1") && folded == ntfs {
				t.Fatalf("%s: %q has a component that is taken for .git", goos, path)
			}
		}
	}
	if goos == "windows" && strings.ContainsAny(path, "\\:") {
		t.Fatalf("windows: %q has a separator or a stream", path)
	}
}

func TestPathErrorsNameThePath(t *testing.T) {
	err := tree.CheckPath("a/../../etc/passwd")
	if err == nil || !strings.HasPrefix(err.Error(), "a/../../etc/passwd: ") {
		t.Errorf("message %q", err)
	}
}
