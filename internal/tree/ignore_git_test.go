package tree_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"glue-lsp/internal/tree"
)

// TestIgnoreRulesAgreeWithGit makes random trees with random rules at every place
// where git looks for them, and asks git about every path.
func TestIgnoreRulesAgreeWithGit(t *testing.T) {
	repo := t.TempDir()
	git(t, repo, "", "init", "-q")
	rapid.Check(t, func(rt *rapid.T) {
		w := drawIgnoreWorld(rt)
		w.write(t, repo)
		fold := rapid.Bool().Draw(rt, "ignoreCase")
		want := gitIgnored(t, repo, w.paths, fold)
		m := tree.NewMatcher(w.rules, fold)
		for _, p := range w.paths {
			if got := m.Ignored(p, w.isDir[p]); got != want[p] {
				rt.Errorf("%q (folder: %v): ignored %v, git says %v\nrules: %q", p, w.isDir[p], got, want[p], w.rules)
			}
		}
	})
}

// ignoreWorld is a tree and the rules in it, in rising precedence.
type ignoreWorld struct {
	paths []string // folders too
	isDir map[string]bool
	rules []tree.IgnoreFile
}

var (
	ignoreNames = rapid.SampledFrom([]string{
		"a", "b", "A", "ab", "aab", "abab", "a.b", "b.a", "a b", "a ", ".x", "[a]", `\a`, "a*", "!a", "#a", "-", "\xe4",
		"x\ty", "1", "B2", "a\rb", "**", "a?", "-a]",
	})
	ignoreTokens = rapid.SampledFrom([]string{
		"a", "a", "b", "b", "A", "ab", "B", "*", "*", "**", "***", "/", "/", "/", "**/", "/**", "/**/", "?", "[ab]", "[!a]", "[^b]",
		"[a-b]", "[B-a]", "[b-a]", "[[:alpha:]]", "[[:upper:]]", "[[:lower:]]", "[![:digit:]]", "[[:space:]]", "[[:punct:]]",
		"[[:alnum:][:blank:]]", "[[:cntrl:]]", "[[:graph:]]", "[[:print:]]", "[[:xdigit:]]", "[[:nope:]]", "[[:alpha]", "[[:alpha:",
		"[]", "[]a]", "[!]a]", "[a", "[a-]", "[-a]", "[a-", "[\\]]", "[\\a-b]", "[a-\\b]", "[A-Z]", "[/]", "[!/]", "[[a]", "[\\",
		`\`, `\a`, `\A`, `\*`, `\?`, `\[`, `\\`, `\!`, `\#`, `\ `, ` `, "  ", ".", "!", "#", "-", "]", "\xe4", "\t", "\r", "x", "1", "2",
		"\\/", "[^", "[!", "\x00",
	})
)

func drawIgnoreWorld(t *rapid.T) ignoreWorld {
	w := ignoreWorld{isDir: map[string]bool{}}
	dirs := []string{""}
	for range rapid.IntRange(2, 14).Draw(t, "paths") {
		dir := rapid.SampledFrom(dirs).Draw(t, "in")
		p := ignoreNames.Draw(t, "name")
		if dir != "" {
			p = dir + "/" + p
		}
		if _, ok := w.isDir[p]; ok {
			continue
		}
		w.isDir[p] = rapid.Bool().Draw(t, "isDir")
		w.paths = append(w.paths, p)
		if w.isDir[p] {
			dirs = append(dirs, p)
		}
	}
	w.rules = append(w.rules, tree.IgnoreFile{Content: drawRules(t)}) // info/exclude
	for _, dir := range dirs {
		if dir == "" || rapid.IntRange(0, 2).Draw(t, "hasRules") == 0 {
			w.rules = append(w.rules, tree.IgnoreFile{Dir: dir, Content: drawRules(t)})
		}
	}
	return w
}

func drawRules(t *rapid.T) []byte {
	var b strings.Builder
	if rapid.IntRange(0, 9).Draw(t, "bom") == 0 {
		b.WriteString("\ufeff")
	}
	for range rapid.IntRange(0, 5).Draw(t, "lines") {
		if rapid.IntRange(0, 3).Draw(t, "negated") == 0 {
			b.WriteString("!")
		}
		for range rapid.IntRange(0, 5).Draw(t, "tokens") {
			b.WriteString(ignoreTokens.Draw(t, "token"))
		}
		b.WriteString(rapid.SampledFrom([]string{"\n", "\n", "\n", "/\n", "\r\n", " \n", "/ \n", ""}).Draw(t, "end"))
	}
	return []byte(b.String())
}

func (w ignoreWorld) write(t *testing.T, repo string) {
	t.Helper()
	left, err := os.ReadDir(repo)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if e.Name() != ".git" {
			if err := os.RemoveAll(filepath.Join(repo, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, p := range w.paths {
		if w.isDir[p] {
			mkdir(t, repo, p)
		} else {
			put(t, repo, p, "")
		}
	}
	for i, r := range w.rules {
		if i == 0 {
			put(t, repo, ".git/info/exclude", string(r.Content))
		} else {
			put(t, repo, filepath.Join(r.Dir, ".gitignore"), string(r.Content))
		}
	}
}

// gitIgnored asks git which of the paths are ignored.
func gitIgnored(t *testing.T, repo string, paths []string, fold bool) map[string]bool {
	t.Helper()
	ignored := map[string]bool{}
	if len(paths) == 0 {
		return ignored
	}
	ignoreCase := "core.ignoreCase=false"
	if fold {
		ignoreCase = "core.ignoreCase=true"
	}
	out := git(t, repo, strings.Join(paths, "\x00")+"\x00", "-c", ignoreCase, "check-ignore", "--no-index", "-v", "-n", "-z", "--stdin")
	// source NUL line NUL pattern NUL path NUL
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	if len(fields) != 4*len(paths) {
		t.Fatalf("git check-ignore gave %d fields for %d paths", len(fields), len(paths))
	}
	for f := range slices.Chunk(fields, 4) {
		ignored[f[3]] = f[0] != "" && !strings.HasPrefix(f[2], "!")
	}
	return ignored
}
