package modal

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// times are the formats of a file's two times.
func (d *direct) times() []string { return []string{d.timeFormat("Y"), d.timeFormat("Z")} }

// fetchBulk fetches many files as one stream. It takes nothing, and says so, where one of
// them moved meanwhile: which bytes are whose cannot be told then.
func (c *capture) fetchBulk(list []listed) (ok bool, err error) {
	f, err := c.spool("capture")
	if err != nil {
		return false, err
	}
	defer drop(f)
	word := newNonce()
	args := append([]string{c.info.Root, word}, c.times()...)
	total := int64(0)
	for _, e := range list {
		args = append(args, e.path)
		total += e.stamp.size
	}
	_, err = c.sh(c.ctx, "capture", "", script{name: "bulk.sh", args: args, out: f.Name(), max: total + int64(len(list))*maxRecord})
	var why *sandbox.Error
	if errors.As(err, &why) && (why.Kind == sandbox.Conflict || why.Kind == sandbox.TooLarge) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	rest, err := io.ReadAll(io.NewSectionReader(f, total, int64(len(list))*maxRecord))
	if err != nil {
		return false, c.unreadable(err)
	}
	after, ended := strings.CutPrefix(string(rest), word+"\n"+word+" ")
	if !ended {
		return false, nil
	}
	stamps := map[string]stamped{}
	for record := range strings.SplitSeq(strings.TrimSuffix(after, "\n"), "\n"+word+" ") {
		if e, err := readListed(record, "", false); err == nil {
			stamps[e.path] = e.stamp
		}
	}
	for _, e := range list {
		if stamps[e.path] != c.as(e.stamp) {
			return false, nil
		}
	}
	at := int64(0)
	for _, e := range list {
		if err := c.take(e.path, e.stamp, e.stamp.size, io.NewSectionReader(f, at, e.stamp.size)); err != nil {
			return false, err
		}
		at += e.stamp.size
	}
	return true, nil
}

// as is a stamp of find's as stat tells it, where the two know times differently well.
func (c *capture) as(s stamped) stamped {
	if !c.has.fine {
		s.mtime -= s.mtime % 1e9
		s.ctime -= s.ctime % 1e9
	}
	return s
}

func (c *capture) unreadable(err error) error {
	return &sandbox.Error{Kind: sandbox.Unavailable, Op: "capture", Message: "the sandbox's answer cannot be read: " + err.Error(), Err: err}
}

// fetchFramed fetches files one by one, and gives back those that changed while they were
// read. One that has gone is told as that.
func (c *capture) fetchFramed(list []listed) (moved []listed, err error) {
	f, err := c.spool("capture")
	if err != nil {
		return nil, err
	}
	defer drop(f)
	word := newNonce()
	args := append([]string{c.info.Root, word}, c.times()...)
	room := int64(len(list)) * maxRecord
	for _, e := range list {
		args = append(args, e.path)
		room += e.stamp.size
	}
	// What grows while it is read may be larger than it was, but not without end.
	r, err := c.sh(c.ctx, "capture", "", script{name: "framed.sh", args: args, out: f.Name(), max: room + batchBytes})
	var why *sandbox.Error
	if errors.As(err, &why) && why.Kind == sandbox.TooLarge {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	in := &frames{f: f, word: []byte(word + " "), size: r.size}
	for _, e := range list {
		before, content, after, err := in.next()
		if err != nil {
			return nil, c.unreadable(err)
		}
		first, err1 := frameStamp(before)
		last, err2 := frameStamp(after)
		switch {
		case before == "" && after == "":
			if err := c.left(e.path); err != nil {
				return nil, err
			}
			continue
		case err1 != nil || err2 != nil || first != last || content.Size() != first.size:
			moved = append(moved, e)
			continue
		}
		if modeOf(first.mode) == tree.Absent || first.size > c.maxFile {
			c.skip(e.path, tree.Unstable, "it became something else while it was read")
			continue
		}
		// find and stat may tell times differently well: only find's are compared later.
		stamp := first
		if c.as(e.stamp) == first {
			stamp = e.stamp
		}
		if err := c.take(e.path, stamp, first.size, content); err != nil {
			return nil, err
		}
	}
	return moved, nil
}

// left is for a file that was listed and is gone by now.
func (c *capture) left(p string) error {
	if c.trees.ledger.Known()[p].Exists() {
		return c.gone(p)
	}
	return nil
}

func frameStamp(line string) (stamped, error) {
	e, err := readListed(line+" .", "", false)
	return e.stamp, err
}

// frames reads what framed.sh prints. The word is not in any content, since nobody knew it
// before.
type frames struct {
	f    *os.File
	word []byte
	at   int64
	size int64
}

var errFrame = errors.New("a part is missing")

func (r *frames) next() (before string, content *io.SectionReader, after string, err error) {
	before, err = r.line("before ")
	if err != nil {
		return "", nil, "", err
	}
	if err := r.expect("content "); err != nil {
		return "", nil, "", err
	}
	start := r.at
	end, err := r.find(start, before)
	if err != nil {
		return "", nil, "", err
	}
	r.at = end
	after, err = r.line("after ")
	return before, io.NewSectionReader(r.f, start, end-start), after, err
}

// expect reads the word and what is said after it.
func (r *frames) expect(what string) error {
	want := append(bytes.Clone(r.word), what...)
	got := make([]byte, len(want))
	if _, err := r.f.ReadAt(got, r.at); err != nil || !bytes.Equal(got, want) {
		return errFrame
	}
	r.at += int64(len(want))
	return nil
}

func (r *frames) line(what string) (string, error) {
	if err := r.expect(what); err != nil {
		return "", err
	}
	buf := make([]byte, maxLineOfFrame)
	n, err := r.f.ReadAt(buf, r.at)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	i := bytes.IndexByte(buf[:n], '\n')
	if i < 0 {
		return "", errFrame
	}
	r.at += int64(i) + 1
	return string(buf[:i]), nil
}

const maxLineOfFrame = 256

// find gives where the content that starts there ends: after as many bytes as the file
// had, or else at the word.
func (r *frames) find(start int64, before string) (int64, error) {
	if s, err := frameStamp(before); err == nil && s.size <= r.size-start {
		got := make([]byte, len(r.word))
		if _, err := r.f.ReadAt(got, start+s.size); err == nil && bytes.Equal(got, r.word) {
			return start + s.size, nil
		}
	}
	buf := make([]byte, 256<<10)
	for at := start; at < r.size; {
		n, err := r.f.ReadAt(buf, at)
		if i := bytes.Index(buf[:n], r.word); i >= 0 {
			return at + int64(i), nil
		}
		if err != nil {
			break
		}
		at += int64(n - len(r.word))
	}
	return 0, errFrame
}
