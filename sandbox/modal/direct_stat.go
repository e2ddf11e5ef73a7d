package modal

import (
	"context"
	"strconv"
	"strings"
	"time"

	"glue-lsp/sandbox"
)

// Stat implements [sandbox.Files].
func (d *direct) Stat(ctx context.Context, p string) (sandbox.FileInfo, error) {
	r, err := d.StatMany(ctx, []string{p})
	if err != nil {
		return sandbox.FileInfo{}, err
	}
	return r[0].Info, r[0].Err
}

// Bounds of one round trip's paths.
const (
	statsPerScript = 2000
	statsBytes     = 1 << 20
)

// StatMany implements [sandbox.Files]: some thousand paths are one round trip.
func (d *direct) StatMany(ctx context.Context, paths []string) ([]sandbox.StatResult, error) {
	const op = "stat"
	out := make([]sandbox.StatResult, len(paths))
	var at []int
	full := make([]string, len(paths))
	for i, p := range paths {
		full[i], out[i].Err = d.resolve(op, p)
		if out[i].Err == nil {
			at = append(at, i)
		}
	}
	if !d.has.shell {
		d.plainStats(ctx, full, out)
		return out, d.failed(ctx, op, "", ctx.Err())
	}
	for len(at) > 0 {
		n, bytes := 0, 0
		for n < len(at) && n < statsPerScript && bytes < statsBytes {
			bytes += len(full[at[n]])
			n++
		}
		chunk := at[:n]
		at = at[n:]
		word := newNonce()
		args := []string{word, d.timeFormat("Y")}
		for _, i := range chunk {
			args = append(args, full[i])
		}
		where := ""
		if len(chunk) == 1 {
			where = full[chunk[0]]
		}
		r, err := d.sh(ctx, op, where, script{name: "stat.sh", args: args})
		if err != nil {
			return nil, err
		}
		found := readStats(string(r.out), word)
		for _, i := range chunk {
			out[i].Info, out[i].Err = found.of(op, full[i])
		}
	}
	return out, ctx.Err()
}

// timeFormat is stat's format of a time, by the finest that the image's can give.
func (d *direct) timeFormat(letter string) string {
	if d.has.fine {
		return "%.9" + letter
	}
	return "%" + letter
}

// stats are the records of stat.sh by path.
type stats struct {
	link, followed map[string]statLine
	target         map[string]string
	absent         map[string]sandbox.Kind
}

// statLine is what stat(1) tells of one file.
type statLine struct {
	mode  uint32
	size  int64
	mtime time.Time
}

func readStats(text, word string) stats {
	s := stats{map[string]statLine{}, map[string]statLine{}, map[string]string{}, map[string]sandbox.Kind{}}
	last := ""
	for record := range strings.SplitSeq(text, word+" ") {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(record, "\n"), " ")
		switch kind {
		case "":
		case "l", "f":
			if line, name, ok := readStatLine(rest); ok {
				into := s.link
				if kind == "f" {
					into = s.followed
				}
				into[name] = line
			}
		case "t":
			last = rest
		case "v":
			s.target[last] = rest
		default:
			s.absent[rest] = sandbox.Kind(kind)
		}
	}
	return s
}

// readStatLine reads mode, size, time and name.
func readStatLine(text string) (line statLine, name string, ok bool) {
	f := strings.SplitN(text, " ", 4)
	if len(f) != 4 {
		return line, "", false
	}
	mode, err1 := strconv.ParseUint(f[0], 16, 32)
	size, err2 := strconv.ParseInt(f[1], 10, 64)
	mtime, err3 := readTime(f[2])
	line = statLine{uint32(mode), size, mtime}
	return line, f[3], err1 == nil && err2 == nil && err3 == nil
}

// readTime reads seconds since 1970, with or without a fraction.
func readTime(s string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	var nsec int64
	if fraction != "" {
		if nsec, err = strconv.ParseInt((fraction + "00000000")[:9], 10, 64); err != nil {
			return time.Time{}, err
		}
	}
	return time.Unix(sec, nsec), nil
}

// The types of st_mode, see inode(7).
const (
	modeType    = 0o170000
	modeRegular = 0o100000
	modeDir     = 0o040000
	modeLink    = 0o120000
)

func typeOf(mode uint32) string {
	switch mode & modeType {
	case modeRegular:
		return "file"
	case modeDir:
		return "directory"
	}
	return "other"
}

func (s stats) of(op, p string) (sandbox.FileInfo, error) {
	own, there := s.link[p]
	if !there {
		kind, known := s.absent[p]
		if !known {
			kind = sandbox.FileNotFound // it came or went in the middle
		}
		return sandbox.FileInfo{}, refuse(kind, op, p, meaning[kind])
	}
	info := sandbox.FileInfo{Type: typeOf(own.mode), Size: own.size, ModTime: own.mtime, Mode: permissions(own.mode)}
	if own.mode&modeType != modeLink {
		return info, nil
	}
	info.Type, info.IsSymlink, info.Target = "other", true, s.target[p]
	if to, ok := s.followed[p]; ok {
		info.Type, info.Size, info.ModTime, info.Mode = typeOf(to.mode), to.size, to.mtime, permissions(to.mode)
	}
	return info, nil
}
