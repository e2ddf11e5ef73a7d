package tree

import (
	"cmp"
	"slices"
)

// ScanOptions says what a scan covers.
type ScanOptions struct {
	Format Format
	// Paths, when not nil, is the complete list of files to look at (the host gets
	// it from git); one that is not there, or is a folder, is left out without a
	// word. When nil the scan walks the root itself and asks Ignored.
	Paths []string
	// Ignored reports whether an untracked path is left out; a directory that is
	// ignored is not entered unless Tracked holds something below it, and then all
	// else below it is left out. It is called by several goroutines. Nil: nothing is
	// ignored.
	Ignored func(path string, isDir bool) bool
	// Tracked holds paths that are looked at even where Ignored says otherwise.
	Tracked map[string]bool
	// MaxFileSize leaves larger files out, as TooLarge. Zero means no limit.
	MaxFileSize int64
}

// ScanResult is a tree as it was found.
type ScanResult struct {
	Entries []Entry // sorted by path bytes
	Skipped []Skipped
}

// isSorted reports whether paths ascend strictly, as a scan needs them.
func isSorted(paths []string) bool {
	for i := 1; i < len(paths); i++ {
		if paths[i-1] >= paths[i] {
			return false
		}
	}
	return true
}

func sortedCopy(paths []string) []string {
	if isSorted(paths) {
		return paths
	}
	paths = slices.Clone(paths)
	slices.Sort(paths)
	return slices.Compact(paths)
}

func sortSkipped(s []Skipped) {
	slices.SortFunc(s, func(a, b Skipped) int { return cmp.Compare(a.Path, b.Path) })
}
