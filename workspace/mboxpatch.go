package workspace

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// filePatch is one file's part of a patch.
type filePatch struct {
	head []byte // from "diff --git" up to the content
	body []byte // hunks or a binary patch, empty for none
	text bool   // the body is hunks
}

// rawPath is what a message does to one path.
type rawPath struct {
	path     string
	old, new tree.Entry
}

// render makes the text of every message that fits, and verifies them.
func (b *mboxBuilder) render(ctx context.Context) error {
	blobs, err := b.s.Repo.Blobs(ctx)
	if err != nil {
		return err
	}
	defer blobs.Close() //nolint:errcheck // only read
	for {
		fits, err := b.diff(ctx, blobs)
		if err != nil {
			return err
		}
		split, err := b.makeWay(ctx, fits)
		if err != nil {
			return err
		}
		if split {
			continue
		}
		failed, err := b.verify(ctx, b.messages[:fits])
		if err != nil {
			return err
		}
		if failed < 0 {
			b.meta.Commits, b.meta.Verified = fits, true
			break
		}
		if !b.fallBack(failed) {
			b.meta.Commits = fits
			b.warn("git apply does not make the sandbox's tree of the mbox; the bundle holds it")
			break
		}
	}
	if b.meta.Truncated = b.meta.Commits < len(b.messages); b.meta.Truncated {
		b.warn("the mbox was cut at %d bytes, after %d of %d messages; runtime.bundle holds everything", b.r.MaxBytes, b.meta.Commits, len(b.messages))
	}
	for _, m := range b.messages {
		b.meta.Folded = append(b.meta.Folded, m.folded...)
	}
	b.meta.Messages = nil
	for _, m := range b.messages[:b.meta.Commits] {
		if _, lost := letterOf(m.commit, b.meta.CapturedAt); lost != nil {
			b.meta.Messages = append(b.meta.Messages, *lost)
		}
	}
	return nil
}

// fallBack writes a message that failed its check as binary patches only, or, when it
// is so already, folds it into the next. It is false when there is nothing left to do.
func (b *mboxBuilder) fallBack(i int) bool {
	m := b.messages[i]
	switch {
	case !m.binary:
		m.binary = true
		return true
	case i+1 == len(b.messages):
		return false
	}
	next := b.messages[i+1]
	next.from = m.from
	if m.commit != nil {
		m.folded = append(m.folded, m.commit.id)
	}
	next.folded = append(m.folded, next.folded...)
	if m.way {
		next.whole = true
		b.warn("a symbolic link becomes a folder within one message of the mbox, which git am may refuse; runtime.bundle holds it")
	}
	b.messages = append(b.messages[:i], b.messages[i+1:]...)
	return true
}

// diff makes the patches of all messages by one command, and their texts. It gives
// how many messages fit.
func (b *mboxBuilder) diff(ctx context.Context, blobs *git.Blobs) (int, error) {
	var in strings.Builder
	for _, m := range b.messages {
		fmt.Fprintf(&in, "%s %s\n", m.from, m.to)
		m.patch, m.paths = nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	var ran error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		args := diffTree("--stdin", "--raw", "-p", "--binary", "--full-index", "--no-abbrev")
		ran = b.s.Repo.Run(ctx, git.Cmd{Args: args, Stdin: strings.NewReader(in.String()), Stdout: w})
		w.CloseWithError(ran)
	}()
	fits, err := b.parse(ctx, &patchReader{in: bufio.NewReaderSize(r, 1<<16)}, blobs)
	_ = r.CloseWithError(errFull)
	if errors.Is(err, errFull) {
		cancel()
		<-ended // with an error, since it was told to
		return fits, nil
	}
	<-ended
	return fits, errors.Join(err, ran)
}

func (b *mboxBuilder) parse(ctx context.Context, p *patchReader, blobs *git.Blobs) (int, error) {
	room := b.r.MaxBytes
	if err := p.next(); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	for i, m := range b.messages {
		if string(p.line) != m.from+" "+m.to+"\n" {
			return i, fmt.Errorf("git diff-tree answered %q for the trees %s and %s", p.line, m.from, m.to)
		}
		p.left = room
		if err := p.message(m); err != nil {
			return i, err
		}
		if err := b.exact(m, blobs); err != nil {
			return i, err
		}
		if len(m.patch) == 0 {
			if err := b.nothing(ctx, m, blobs); err != nil {
				return i, err
			}
		}
		m.text = b.compose(m)
		if room -= int64(len(m.text)); room < 0 {
			return i, errFull
		}
	}
	return len(b.messages), nil
}

// patchReader reads what `diff-tree --stdin --raw -p` prints.
type patchReader struct {
	in   *bufio.Reader
	line []byte // the current one, with its end; empty at the end of the input
	left int64  // bytes that the message may still have
}

func (p *patchReader) next() error {
	line, err := p.in.ReadBytes('\n')
	p.line = line
	if len(line) > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

// message reads one message up to the next line of two trees.
func (p *patchReader) message(m *mboxMessage) error {
	for {
		err := p.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.left -= int64(len(p.line)); p.left < 0 {
			return errFull
		}
		switch {
		case len(m.patch) == 0 && p.line[0] == ':':
			path, err := parseRaw(p.line)
			if err != nil {
				return err
			}
			m.paths = append(m.paths, path...)
		case bytes.HasPrefix(p.line, []byte("diff --git ")):
			m.patch = append(m.patch, filePatch{head: quoteNames(p.line)})
		case treePair(p.line):
			return nil
		case len(m.patch) == 0: // the empty line after the raw part
		default:
			m.patch[len(m.patch)-1].add(p.line)
		}
	}
}

// quoteNames puts the names of a patch's first line in quotes where they hold a space. For
// an empty file that line alone names it, and git reads no name there of which a folder is
// a single space (git_header_name in git's apply.c); in quotes it reads any.
func quoteNames(line []byte) []byte {
	const before, between = "diff --git a/", " b/"
	names, unquoted := bytes.CutPrefix(bytes.TrimSuffix(line, []byte{'\n'}), []byte(before))
	n := (len(names) - len(between)) / 2
	if !unquoted || n <= 0 || bytes.IndexByte(names[:n], ' ') < 0 || string(names[n:]) != between+string(names[:n]) {
		return bytes.Clone(line)
	}
	return fmt.Appendf(nil, "diff --git \"a/%s\" \"b/%s\"\n", names[:n], names[:n])
}

// treePair recognises the line that begins a message. No line of a patch is like it:
// those of hunks begin with a mark, and those of binary patches hold no space.
func treePair(line []byte) bool {
	a, b, ok := bytes.Cut(bytes.TrimSuffix(line, []byte{'\n'}), []byte{' '})
	return ok && len(a) == len(b) && (len(a) == 40 || len(a) == 64) && isHex(a) && isHex(b)
}

func isHex(s []byte) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func (f *filePatch) add(line []byte) {
	if f.body == nil {
		switch {
		case bytes.HasPrefix(line, []byte("--- ")):
			f.text = true
		case !bytes.HasPrefix(line, []byte("GIT binary patch")):
			f.head = append(f.head, line...)
			return
		}
	}
	f.body = append(f.body, line...)
}

// compose puts a message together.
func (b *mboxBuilder) compose(m *mboxMessage) []byte {
	id := b.final
	if m.commit != nil {
		id = m.commit.id
	}
	l, _ := letterOf(m.commit, b.meta.CapturedAt)
	if m.way {
		l.subject = waySubject
	}
	var w bytes.Buffer
	l.write(&w, id)
	m.start = w.Len()
	for _, f := range m.patch {
		w.Write(f.head)
		w.Write(f.body)
	}
	m.patch = nil
	w.WriteString("-- \nglue-lsp\n\n")
	return w.Bytes()
}

// parseRaw reads a line of raw output (git-diff-tree(1), RAW OUTPUT FORMAT): a path
// that goes, comes or changes, or both paths of a rename.
func parseRaw(line []byte) ([]rawPath, error) {
	head, names, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), "\t")
	fields := strings.Fields(strings.TrimPrefix(head, ":"))
	if !ok || len(fields) != 5 {
		return nil, fmt.Errorf("git diff-tree answered %q", line)
	}
	var sides [2]tree.Entry
	for i := range sides {
		mode, err := strconv.ParseUint(fields[i], 8, 32)
		if err != nil {
			return nil, fmt.Errorf("git diff-tree answered %q", line)
		}
		if mode != 0 {
			sides[i] = tree.Entry{Mode: tree.Mode(mode), Hash: fields[i+2]}
		}
	}
	first, second, two := strings.Cut(names, "\t")
	first = unquotePath(first)
	if !two {
		return []rawPath{{path: first, old: sides[0], new: sides[1]}}, nil
	}
	return []rawPath{{path: first, old: sides[0]}, {path: unquotePath(second), new: sides[1]}}, nil
}

// unquotePath undoes git's C-style quoting (core.quotePath in git-config(1)).
func unquotePath(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	if plain, err := strconv.Unquote(s); err == nil {
		return plain
	}
	return s
}
