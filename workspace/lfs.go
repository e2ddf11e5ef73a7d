package workspace

import (
	"bytes"
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
)

// lfsPointer begins the small text that stands for a large file which Git LFS keeps
// (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md), and maxPointer is the
// most that one has, in bytes.
const (
	lfsPointer = "version https://git-lfs.github.com/spec/v"
	maxPointer = 1024
)

// lfsRules are the paths that attributes hand to Git LFS, nil if there are none. Only
// that is read of them: no attribute converts anything here (gitattributes(5)).
type lfsRules struct{ matcher *tree.Matcher }

// lfs reads the .gitattributes files among entries from the disk.
func (w *Workspace) lfs(entries []tree.Entry) *lfsRules {
	var files []tree.IgnoreFile
	any := false
	for _, e := range entries {
		if path.Base(e.Path) != ".gitattributes" || e.Mode == tree.Symlink {
			continue
		}
		text, err := readHead(filepath.Join(w.root, filepath.FromSlash(e.Path)), maxIgnoreFile)
		if err != nil {
			continue // it is gone or unreadable: nothing is said of LFS then
		}
		any = any || bytes.Contains(text, []byte("filter=lfs"))
		dir := path.Dir(e.Path)
		if dir == "." {
			dir = ""
		}
		files = append(files, tree.IgnoreFile{Dir: dir, Content: lfsPatterns(text)})
	}
	if !any {
		return nil
	}
	slices.SortStableFunc(files, func(a, b tree.IgnoreFile) int { return strings.Count(a.Dir, "/") - strings.Count(b.Dir, "/") })
	return &lfsRules{tree.NewMatcher(files, w.ignoreCase())}
}

func (r *lfsRules) has(p string) bool { return r != nil && r.matcher.Ignored(p, false) }

// lfsPatterns makes patterns of the lines that set the filter: those that set it to
// lfs, and negated ones of those that set another or none.
func lfsPatterns(attributes []byte) []byte {
	var out bytes.Buffer
	macros := map[string]bool{}
	for line := range strings.Lines(string(attributes)) {
		words := strings.Fields(line)
		if len(words) < 2 || strings.HasPrefix(words[0], "#") || strings.HasPrefix(words[0], `"`) {
			continue
		}
		set, said := false, false
		for _, word := range words[1:] {
			switch {
			case word == "filter=lfs", macros[word]:
				set, said = true, true
			case strings.HasPrefix(word, "filter="), word == "-filter", word == "!filter", word == "filter":
				set, said = false, true
			}
		}
		if name, ok := strings.CutPrefix(words[0], "[attr]"); ok {
			macros[name] = set
			continue
		}
		if !said || strings.HasPrefix(words[0], "!") {
			continue
		}
		if !set {
			out.WriteByte('!')
		}
		out.WriteString(words[0] + "\n")
	}
	return out.Bytes()
}

// LFSPointers gives the files of a snapshot that went up as pointers, because Git LFS
// has not brought their content to this machine.
func (w *Workspace) LFSPointers(ctx context.Context, snap *Snapshot) ([]string, error) {
	rules := w.lfs(snap.Entries)
	if rules == nil {
		return nil, nil
	}
	var out []string
	for _, e := range snap.Entries {
		if e.Size > maxPointer || e.Mode == tree.Symlink || !rules.has(e.Path) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		head, err := readHead(filepath.Join(w.root, filepath.FromSlash(e.Path)), maxPointer)
		if err == nil && bytes.HasPrefix(head, []byte(lfsPointer)) {
			out = append(out, e.Path)
		}
	}
	return out, nil
}

// KeptByLFS gives those of the changed files that Git LFS keeps: what comes back is
// their content, and git makes a pointer of it only when it is added.
func (w *Workspace) KeptByLFS(snap *Snapshot, changes []Change) []string {
	var rules *lfsRules
	var out []string
	for i, c := range changes {
		if i == 0 {
			if rules = w.lfs(snap.Entries); rules == nil {
				return nil
			}
		}
		if c.New.Exists() && rules.has(c.Path) {
			out = append(out, c.Path)
		}
	}
	return out
}
