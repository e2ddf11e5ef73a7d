package tree

import (
	"runtime"
	"strings"
	"unicode/utf8"
)

// maxPath is the longest path that is looked at or written, in bytes: PATH_MAX of
// limits.h, which is git's own limit too, less the terminating NUL.
const maxPath = 4095

// CheckPath reports why path must never be written under a root: absolute, empty,
// "." or ".." components, NUL, or `.git` in any spelling that some file system
// takes for it. On Windows it also refuses device names and what cannot be a file
// name there. The error is a *PathError. It looks at the name only; [Root] checks
// what the name leads to.
func CheckPath(path string) error { return CheckPathOn(runtime.GOOS, path) }

// CheckPathOn is [CheckPath] for the operating system goos, as in runtime.GOOS.
// `.git` is refused in the spellings of every system on all of them, as git does
// with core.protectHFS and core.protectNTFS, since the tree may be carried there.
// Device names are ordinary names elsewhere (`aux.c`), so only Windows refuses them.
func CheckPathOn(goos, path string) error {
	if why := whyBadPath(goos, path); why != "" {
		return &PathError{Path: path, Why: why}
	}
	return nil
}

func whyBadPath(goos, path string) string {
	switch {
	case path == "":
		return "the path is empty"
	case path[0] == '/':
		return "the path is absolute"
	case path[len(path)-1] == '/':
		return "the path ends in a slash, so it names a folder"
	case len(path) > maxPath:
		return "the path is too long"
	case goos == "windows" && strings.IndexByte(path, '\\') >= 0:
		return "the path holds a backslash, which separates folders on Windows"
	}
	for rest := path; rest != ""; {
		name, after, _ := strings.Cut(rest, "/")
		if why := whyBadName(goos, name); why != "" {
			return why
		}
		rest = after
	}
	return ""
}

// whyBadName says why a path component is refused, "" if it is not.
func whyBadName(goos, name string) string {
	switch {
	case name == "":
		return "the path has an empty component"
	case name == "." || name == "..":
		return "the path has a component " + name
	case strings.IndexByte(name, 0) >= 0:
		return "the path holds a NUL byte"
	case isDotGit(name):
		return "the path leads into a folder that some file system takes for .git"
	case goos == "windows":
		return whyBadOnWindows(name)
	}
	return ""
}

// isDotGit reports whether a component is `.git`, or holds it between backslashes,
// for any file system. See is_hfs_dotgit and is_ntfs_dotgit in git's utf8.c and
// path.c, and verify_path in read-cache.c.
func isDotGit(name string) bool {
	if len(name) < len(".git") {
		return false
	}
	for {
		if isNTFSDotGit(name) || isHFSDotGit(name) {
			return true
		}
		i := strings.IndexByte(name, '\\')
		if i < 0 {
			return false
		}
		name = name[i+1:]
	}
}

// isNTFSDotGit: NTFS ignores case and trailing dots and spaces, takes what follows
// a colon for a stream of the same folder, and gives `.git` the short name GIT~1.
func isNTFSDotGit(name string) bool {
	var rest string
	switch {
	case hasFoldedPrefix(name, ".git"):
		rest = name[len(".git"):]
	case hasFoldedPrefix(name, "git~1"):
		rest = name[len("git~1"):]
	default:
		return false
	}
	rest = strings.TrimLeft(rest, ". ")
	return rest == "" || rest[0] == '\\' || rest[0] == ':'
}

// isHFSDotGit: HFS+ ignores case and drops some code points from a name. What
// follows an invalid byte is not compared, as in git.
func isHFSDotGit(name string) bool {
	const want = ".git"
	matched := 0
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		i += n
		if ignoredByHFS(r) {
			continue
		}
		if matched == len(want) || r > 127 || lower(byte(r)) != want[matched] {
			return false
		}
		matched++
	}
	return matched == len(want)
}

// ignoredByHFS lists what HFS+ leaves out when it compares names (Apple's Technical
// Note TN1150, "Unicode Subtleties"; the same list as git's next_hfs_char).
func ignoredByHFS(r rune) bool {
	switch {
	case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
		return true
	}
	return false
}

// whyBadOnWindows follows "Naming Files, Paths, and Namespaces" of the Win32
// documentation and is_valid_win32_path of git's compat/mingw.c.
func whyBadOnWindows(name string) string {
	for i := range len(name) {
		if name[i] < 0x20 || strings.IndexByte(`<>:"|?*\`, name[i]) >= 0 {
			return "the path holds a character that Windows does not allow in names"
		}
	}
	if last := name[len(name)-1]; last == '.' || last == ' ' {
		return "a component ends in a dot or a space, which Windows drops"
	}
	stem, _, _ := strings.Cut(name, ".")
	if isDevice(strings.ToLower(strings.TrimRight(stem, " "))) {
		return "a component is the name of a Windows device"
	}
	return ""
}

func isDevice(stem string) bool {
	switch stem {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	for _, port := range []string{"com", "lpt"} {
		if digit, ok := strings.CutPrefix(stem, port); ok {
			switch digit {
			case "1", "2", "3", "4", "5", "6", "7", "8", "9", "¹", "²", "³":
				return true
			}
		}
	}
	return false
}

func hasFoldedPrefix(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if lower(s[i]) != prefix[i] {
			return false
		}
	}
	return true
}

// lower folds ASCII only, whatever the locale.
func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// splitPath cuts a path into folder, "" for the root, and last component.
func splitPath(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}
