package modal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"glue-lsp/sandbox"
)

// listed is one path of a sandbox's tree as find(1) or stat(1) tell it.
type listed struct {
	path   string // relative to the root; "" is the root
	stamp  stamped
	target string // of a link, where find tells it
	told   bool   // whether it does
	sum    string // instead of all that: a checksum, of a file that was listed before
}

// stamped is what tells one state of a file from another.
type stamped struct {
	mode         uint32 // with the type
	size         int64
	inode        uint64
	mtime, ctime int64 // nanoseconds since 1970
}

// How far a file's times may lag behind its change: kernels stamp with the last timer
// tick, and some systems or tools know whole seconds only.
const (
	tickLag   = 50 * time.Millisecond
	secondLag = 2100 * time.Millisecond
)

// racy reports whether the file could change after the moment without this showing it.
func (s stamped) racy(moment time.Time) bool {
	lag := tickLag
	if s.mtime%int64(time.Second) == 0 && s.ctime%int64(time.Second) == 0 {
		lag = secondLag
	}
	return max(s.mtime, s.ctime) >= moment.Add(-lag).UnixNano()
}

// listing is a tree as it was listed.
type listing struct {
	began      time.Time // by the sandbox's clock
	unreadable []string  // folders
}

// Bounds on a listing.
const (
	maxListed      = 4 << 20
	maxListedBytes = 1 << 30
	// maxListedText bounds one listing's records in bytes: a watch reads listings without
	// end.
	maxListedText = 512 << 20
	// maxPrunes bounds how many folders find is told to leave out.
	maxPrunes = 300
)

// listWish says what of a folder is listed.
type listWish struct {
	depth int      // how deep; 0 is no bound
	prune []string // folders, relative to it, that are left out
	repos bool     // repositories' own folders as well
}

// list lists what is under dir. The records come in find's order: a folder before what is
// in it.
func (d *direct) list(ctx context.Context, op, dir string, w listWish, each func(listed) error) (listing, error) {
	f, err := d.spool(op)
	if err != nil {
		return listing{}, err
	}
	defer drop(f)
	word := newNonce()
	how, deep, without := "stat", "", ".git"
	if d.has.gnuFind {
		how = "gnu"
	}
	if w.depth > 0 {
		deep = strconv.Itoa(w.depth)
	}
	if w.repos {
		without = ""
	}
	args := []string{word, dir, how, deep, without}
	for _, p := range w.prune[:min(len(w.prune), maxPrunes)] {
		args = append(args, "./"+globQuoted(p))
	}
	if _, err := d.sh(ctx, op, dir, script{name: "list.sh", args: args, out: f.Name(), max: maxListedBytes}); err != nil {
		return listing{}, err
	}
	l, err := readListing(bufio.NewReaderSize(f, 256<<10), how == "gnu", word, each)
	if err == nil && l.began.IsZero() {
		err = &listingError{"it has no time"}
	}
	var own *listingError
	if errors.As(err, &own) {
		return l, &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Path: dir, Message: own.Error()}
	}
	return l, err
}

// globQuoted makes a pattern of fnmatch(3) that matches only p.
func globQuoted(p string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(p)
}

// listingError is a listing that cannot be relied on. It must not be taken for one of an
// empty tree.
type listingError struct{ why string }

func (e *listingError) Error() string { return "the tree could not be listed: " + e.why }

// readListing reads what list.sh prints.
func readListing(in *bufio.Reader, gnu bool, word string, each func(listed) error) (listing, error) {
	r := records{in: in, gnu: gnu, word: "\n" + word + " "}
	if !gnu {
		if first, err := in.Peek(len(word) + 1); err == nil && string(first) == word+" " {
			_, _ = in.Discard(len(first))
		}
	}
	var l listing
	size := 0
	for n := 0; ; n++ {
		text, target, err := r.next()
		if err != nil {
			return l, &listingError{"its end is missing"}
		}
		if size += len(text) + len(target); n > maxListed || size > maxListedText {
			return l, &listingError{fmt.Sprintf("it has more than %d files", maxListed)}
		}
		head, rest, _ := strings.Cut(text, " ")
		switch head {
		case "now":
			if l.began, err = readTime(rest); err != nil {
				return l, &listingError{"it has no time"}
			}
			continue
		case "!":
			for name := range strings.SplitSeq(rest, "\n") {
				l.unreadable = append(l.unreadable, relative(name))
				n++
			}
			continue
		case "sum":
			if f := strings.SplitN(rest, " ", 3); len(f) == 3 {
				if err := each(listed{path: relative(f[2]), sum: f[0]}); err != nil {
					return l, err
				}
			}
			continue
		case "end":
			if rest != "0" && rest != "1" {
				return l, &listingError{"find ended with status " + clip(rest, 10)}
			}
			return l, nil
		}
		e, err := readListed(text, target, gnu)
		if err != nil {
			return l, &listingError{err.Error()}
		}
		if err := each(e); err != nil {
			return l, err
		}
	}
}

// records splits a listing.
type records struct {
	in   *bufio.Reader
	gnu  bool
	word string // between records, where they do not end in NULs
}

// maxRecord bounds a path and its target.
const maxRecord = 16 << 10

func (r *records) next() (text, target string, err error) {
	if r.gnu {
		if text, err = r.until(0); err == nil {
			target, err = r.until(0)
		}
		return text, target, err
	}
	var b []byte
	for {
		c, err := r.in.ReadByte()
		if errors.Is(err, io.EOF) && len(b) > 0 {
			return strings.TrimSuffix(string(b), "\n"), "", nil
		}
		if err != nil {
			return "", "", err
		}
		b = append(b, c)
		if len(b) > maxRecord {
			return "", "", bufio.ErrBufferFull
		}
		if c == ' ' && len(b) >= len(r.word) && string(b[len(b)-len(r.word):]) == r.word {
			return string(b[:len(b)-len(r.word)]), "", nil
		}
	}
}

func (r *records) until(end byte) (string, error) {
	var b []byte
	for {
		part, err := r.in.ReadSlice(end)
		b = append(b, part...)
		switch {
		case err == nil:
			return string(b[:len(b)-1]), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", err
		case len(b) > maxRecord:
			return "", err
		}
	}
}

// findTypes are the letters of find's %y.
var findTypes = map[string]uint32{"f": modeRegular, "d": modeDir, "l": modeLink}

func readListed(text, target string, gnu bool) (listed, error) {
	bad := func() (listed, error) { return listed{}, fmt.Errorf("%q cannot be read", clip(text, 80)) }
	var e listed
	fields := 6
	if gnu {
		fields = 7
	}
	f := strings.SplitN(text, " ", fields)
	if len(f) != fields {
		return bad()
	}
	if gnu {
		perm, err := strconv.ParseUint(f[1], 8, 32)
		if err != nil {
			return bad()
		}
		e.stamp.mode = findTypes[f[0]] | uint32(perm&0o7777)
		e.target, e.told = target, f[0] == "l"
		f = f[1:]
	} else {
		mode, err := strconv.ParseUint(f[0], 16, 32)
		if err != nil {
			return bad()
		}
		e.stamp.mode = uint32(mode)
	}
	var err error
	if e.stamp, err = readStamp(e.stamp.mode, f[1:5]); err != nil {
		return bad()
	}
	e.path = relative(f[5])
	return e, nil
}

// readStamp reads size, inode and times.
func readStamp(mode uint32, f []string) (stamped, error) {
	s := stamped{mode: mode}
	size, err1 := strconv.ParseInt(f[0], 10, 64)
	inode, err2 := strconv.ParseUint(f[1], 10, 64)
	mtime, err3 := readTime(f[2])
	ctime, err4 := readTime(f[3])
	s.size, s.inode, s.mtime, s.ctime = size, inode, mtime.UnixNano(), ctime.UnixNano()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return s, err
	}
	if size < 0 {
		return s, errors.New("the size is negative")
	}
	return s, nil
}

// relative takes find's ./ away.
func relative(p string) string {
	if p == "." {
		return ""
	}
	return strings.TrimPrefix(p, "./")
}

// permissions are the lowest bits of st_mode.
func permissions(mode uint32) fs.FileMode { return fs.FileMode(mode & 0o777) }
