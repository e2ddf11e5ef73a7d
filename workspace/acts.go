package workspace

import (
	"path"
	"strings"
	"sync"
)

// When a file that acts by itself does so.
const (
	OnOpen  = "open"  // when the folder is opened, entered or worked in: left out unless confirmed
	OnBuild = "build" // when the project is built, installed, tested or pushed: returned with a badge
)

// Acts says that a file acts by itself.
type Acts struct {
	When string `json:"when"` // OnOpen or OnBuild
	Why  string `json:"why"`  // for a person: what does it, and how
}

// actingFile is one row of the table of files that act by themselves.
type actingFile struct{ pattern, when, why string }

// actingRow is a row made ready for matching.
type actingRow struct {
	names  []string // of the pattern, folded
	folder bool     // everything below the names counts
	acts   Acts
}

var actingRows = sync.OnceValue(func() []actingRow {
	table := actingFiles()
	rows := make([]actingRow, 0, len(table))
	for _, f := range table {
		pattern, folder := strings.CutSuffix(f.pattern, "/")
		names := strings.Split(foldName(pattern), "/")
		rows = append(rows, actingRow{names: names, folder: folder, acts: Acts{When: f.when, Why: f.why}})
	}
	return rows
})

// ActsByItself looks a path up in the one table of such files, in whatever folder it
// lies: any folder may be opened. Case is not compared, nor what a file system may
// drop from a name, because a name that is harmless here may not be so where it is
// carried to. It is nil for a file that just lies there.
func ActsByItself(p string) *Acts {
	names := strings.Split(foldName(p), "/")
	for _, row := range actingRows() {
		if row.matches(names) {
			acts := row.acts
			return &acts
		}
	}
	return nil
}

// matches reports whether a path is named by the row. A path that ends in the middle
// of a pattern counts too: a link `.vscode` brings a whole folder.
func (r actingRow) matches(names []string) bool {
	for start := range names {
		n := min(len(names)-start, len(r.names))
		if !sameNames(r.names[:n], names[start:start+n]) {
			continue
		}
		ends := start+n == len(names)
		if ends && (n == len(r.names) || strings.HasPrefix(r.names[0], ".")) || n == len(r.names) && r.folder {
			return true
		}
	}
	return false
}

func sameNames(patterns, names []string) bool {
	for i, pattern := range patterns {
		if ok, err := path.Match(pattern, names[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// foldName makes paths alike that some file system takes for the same: Windows drops
// trailing dots and spaces, HFS+ the characters that git calls ignored there
// (next_hfs_char in utf8.c).
func foldName(p string) string {
	p = strings.Map(func(r rune) rune {
		switch {
		case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
			return -1
		}
		return r
	}, p)
	names := strings.Split(strings.ToLower(p), "/")
	for i, name := range names {
		if trimmed := strings.TrimRight(name, ". "); trimmed != "" {
			names[i] = trimmed
		}
	}
	return strings.Join(names, "/")
}
