package tree

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrUnsupported says that trees cannot be read or written safely on this system.
var ErrUnsupported = errors.New("reading and writing trees works on Linux and macOS only")

// PathError says why a path is refused: it could not be written, or read, without
// leaving the root, passing a link or reaching a repository's own folder.
type PathError struct{ Path, Why string }

func (e *PathError) Error() string { return show(e.Path) + ": " + e.Why }

// ChangedError says that a path no longer holds what the caller saw. Found is what
// it holds now.
type ChangedError struct {
	Path  string
	Found Entry
}

func (e *ChangedError) Error() string { return show(e.Path) + ": changed in the meantime" }

// UnstableError says that a file changed each time while it was read.
type UnstableError struct{ Path string }

func (e *UnstableError) Error() string {
	return show(e.Path) + ": kept changing while it was read; try again when it is quiet"
}

// show gives a path as a person may see it: as it is when it is plain text, quoted
// when it could upset a terminal or hide something.
func show(path string) string {
	plain := utf8.ValidString(path) && !strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) })
	if plain && path != "" {
		return path
	}
	return strconv.Quote(path)
}
