package tree

// Mode is a git file mode. Zero means that there is nothing at the path.
type Mode uint32

// The modes that a tree can hold. Directories exist only through their files.
const (
	Absent     Mode = 0
	Regular    Mode = 0o100644
	Executable Mode = 0o100755
	Symlink    Mode = 0o120000
)

// Format is a repository's hash function, under git's own name for it.
type Format string

// The object formats that git knows.
const (
	SHA1   Format = "sha1"
	SHA256 Format = "sha256"
)

// Entry is one path of a tree. Path is relative to the root, separated by
// slashes, and may hold any byte but NUL. Hash is the hexadecimal git blob hash
// of the content (a link's content is its target). Size is in bytes.
type Entry struct {
	Path string
	Mode Mode
	Hash string
	Size int64
}

// Same reports whether two entries hold the same kind of file with the same
// content. Paths and sizes are not compared.
func (e Entry) Same(o Entry) bool { return e.Mode == o.Mode && e.Hash == o.Hash }

// Exists reports whether there is anything at the entry's path.
func (e Entry) Exists() bool { return e.Mode != Absent }

// Skipped names a path that a scan left out, and why.
type Skipped struct {
	Path   string
	Reason Reason
	Detail string
}

// Reason says why a path was left out of a scan.
type Reason string

// The reasons for which a scan leaves a path out.
const (
	Unstable   Reason = "unstable"    // kept changing while it was read
	Unreadable Reason = "unreadable"  // permission or input/output error
	NoRoom     Reason = "no room"     // no space or memory to take it in; it can be read later
	Special    Reason = "special"     // socket, device, pipe
	TooLarge   Reason = "too large"   // over the limit that the caller set
	TooMuch    Reason = "too much"    // with others, over the limit that the caller set for all
	Secret     Reason = "secret"      // on the list of secret names
	NotSent    Reason = "not sent"    // e.g. the stash
	BadPath    Reason = "unsafe path" // cannot be represented safely
)

// OnlyInside reports whether a file that was left out of a capture for this reason is one
// that a person would want back: it is only where it was found.
func (r Reason) OnlyInside() bool {
	switch r {
	case Unstable, Unreadable, NoRoom, TooLarge, TooMuch:
		return true
	}
	return false
}
