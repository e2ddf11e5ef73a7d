package modal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

const (
	maxName = 255  // bytes of a name, NAME_MAX of limits.h
	maxPath = 4095 // bytes of a path, PATH_MAX less its NUL
	// smallContent is read before anything is asked; of a larger one it is asked first
	// whether it may go there.
	smallContent = 1 << 20
	// streamedContent and more goes up by the SDK's way for files, which does not wait for
	// each piece.
	streamedContent = 8 << 20
	// maxListing bounds what a directory may cost here, in bytes of its listing.
	maxListing = 192 << 20
	// maxDirEntries bounds it in entries, as the agent's client does.
	maxDirEntries = 2_000_000
)

// resolve gives the path that a caller means.
func (d *direct) resolve(op, p string) (string, error) {
	if strings.IndexByte(p, 0) >= 0 {
		return "", refuse(sandbox.InvalidParams, op, p, "the path holds a NUL byte")
	}
	if !path.IsAbs(p) {
		p = d.info.Cwd + "/" + p
	}
	p = path.Clean(p)
	if len(p) > maxPath {
		return "", refuse(sandbox.InvalidParams, op, p, "the path is too long")
	}
	for name := range strings.SplitSeq(p, "/") {
		if len(name) > maxName {
			return "", refuse(sandbox.InvalidParams, op, p, "a name in it is longer than 255 bytes")
		}
	}
	return p, nil
}

// onFile resolves a path and runs a script on it.
func (d *direct) onFile(ctx context.Context, op, p string, name string, args ...string) error {
	at, err := d.resolve(op, p)
	if err != nil {
		return err
	}
	if err := d.needShell(op, at); err != nil {
		return err
	}
	_, err = d.sh(ctx, op, at, script{name: name, args: append([]string{at}, args...)})
	return err
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// ReadDir implements [sandbox.Files].
func (d *direct) ReadDir(ctx context.Context, p string) ([]sandbox.DirEntry, error) {
	const op = "readDirectory"
	at, err := d.resolve(op, p)
	if err != nil {
		return nil, err
	}
	if !d.has.shell {
		return d.plainReadDir(ctx, op, at)
	}
	f, err := d.spool(op)
	if err != nil {
		return nil, err
	}
	defer drop(f)
	if _, err := d.sh(ctx, op, at, script{name: "readdir.sh", args: []string{at}, out: f.Name(), max: maxListing}); err != nil {
		return nil, err
	}
	out, err := readEntries(bufio.NewReaderSize(f, 64<<10), maxDirEntries)
	switch {
	case errors.Is(err, errTooMany):
		return nil, refuse(sandbox.TooLarge, op, at, fmt.Sprintf("it has more than %d entries", maxDirEntries))
	case err != nil:
		return nil, refuse(sandbox.Unavailable, op, at, "the sandbox's answer cannot be read")
	}
	slices.SortFunc(out, func(a, b sandbox.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

var errTooMany, errNoEntry = errors.New("too many entries"), errors.New("not an entry")

// readEntries reads what readdir.sh prints, at most so many entries.
func readEntries(in *bufio.Reader, most int) ([]sandbox.DirEntry, error) {
	out := []sandbox.DirEntry{}
	r := records{in: in}
	for {
		record, err := r.until(0)
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		case len(record) < 3 || strings.IndexByte(record[2:], '/') >= 0:
			return nil, errNoEntry
		case len(out) == most:
			return nil, errTooMany
		}
		kind := map[byte]string{'d': "directory", 'f': "file"}[record[0]]
		if kind == "" {
			kind = "other"
		}
		out = append(out, sandbox.DirEntry{Name: record[2:], Type: kind, IsSymlink: record[1] == 'l'})
	}
}

// ReadFile implements [sandbox.Files]. The content comes to a file of this machine first.
func (d *direct) ReadFile(ctx context.Context, p string, offset, length int64) (io.ReadCloser, int64, error) {
	const op = "readFile"
	at, err := d.resolve(op, p)
	switch {
	case err != nil:
		return nil, 0, err
	case offset < 0:
		return nil, 0, refuse(sandbox.InvalidParams, op, at, "the offset is negative")
	}
	f, err := d.spool(op)
	if err != nil {
		return nil, 0, err
	}
	read := d.readInto
	if !d.has.shell {
		read = d.plainRead
	}
	content, size, err := read(ctx, f, op, at, offset, max(length, -1))
	if err != nil {
		drop(f)
		return nil, 0, err
	}
	return unnamed{content, f}, size, nil
}

func (d *direct) readInto(ctx context.Context, f *os.File, op, at string, offset, length int64) (io.Reader, int64, error) {
	r, err := d.sh(ctx, op, at, script{
		name: "read.sh", args: []string{at, strconv.FormatInt(offset, 10), strconv.FormatInt(length, 10)}, out: f.Name(), max: maxContent,
	})
	if err != nil {
		return nil, 0, err
	}
	in := bufio.NewReaderSize(f, 64<<10)
	line, err := in.ReadString('\n')
	size, perr := strconv.ParseInt(strings.TrimSuffix(line, "\n"), 10, 64)
	if err != nil || perr != nil || size < 0 {
		return nil, 0, refuse(sandbox.Unavailable, op, at, "the sandbox's answer cannot be read")
	}
	came := r.size - int64(len(line))
	if length < 0 && offset < size {
		size = offset + came // it may have grown since its size was taken
	}
	return in, size, nil
}

// maxContent bounds one file's content.
const maxContent = 16 << 30

// WriteFile implements [sandbox.Files].
func (d *direct) WriteFile(ctx context.Context, p string, content io.Reader, opts sandbox.WriteOptions) (int64, error) {
	const op = "writeFile"
	at, err := d.resolve(op, p)
	if err != nil {
		return 0, err
	}
	mode := ""
	if opts.Mode != nil {
		mode = fmt.Sprintf("%o", opts.Mode.Perm())
	}
	args := func(size, from string) []string {
		return []string{at, flag(opts.Create), flag(opts.Overwrite), mode, size, agent.UnfinishedName(), from}
	}
	f, err := d.spool(op)
	if err != nil {
		return 0, err
	}
	defer drop(f)
	size, err := io.Copy(f, io.LimitReader(content, smallContent))
	if err == nil && size == smallContent {
		if err := d.mayWrite(ctx, op, at, opts, args("", "")); err != nil {
			return 0, err
		}
		var rest int64
		rest, err = io.Copy(f, readerUntil{d.alive, content})
		size += rest
	}
	if why := d.death(); why != nil {
		return 0, ended(why, op, at)
	}
	if err != nil {
		return 0, &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Path: at, Message: "the content cannot be read: " + err.Error(), Err: err}
	}
	if !d.has.shell {
		return size, d.plainWrite(ctx, op, at, f.Name(), opts)
	}
	write := script{name: "write.sh", args: args(strconv.FormatInt(size, 10), ""), in: f.Name()}
	if size >= streamedContent {
		sent, err := d.sendAside(ctx, op, at, f.Name())
		if err != nil {
			return 0, err
		}
		write.args, write.in = args(strconv.FormatInt(size, 10), sent), ""
	}
	if _, err := d.sh(ctx, op, at, write); err != nil {
		return 0, err
	}
	return size, nil
}

// mayWrite says why a file cannot be written, before its content is read.
func (d *direct) mayWrite(ctx context.Context, op, at string, opts sandbox.WriteOptions, args []string) error {
	if !d.has.shell {
		return d.plainMayWrite(ctx, op, at, opts)
	}
	_, err := d.sh(ctx, op, at, script{name: "write.sh", args: args})
	return err
}

// readerUntil reads while the sandbox lives.
type readerUntil struct {
	alive context.Context
	r     io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.alive.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// sendAside brings a file into the sandbox, near where it will be if that can be said, and
// under a name that no capture takes for a change.
func (d *direct) sendAside(ctx context.Context, op, at, local string) (string, error) {
	dir := path.Dir(at)
	if !utf8.ValidString(dir) {
		dir = "/tmp"
	}
	to := path.Join(dir, agent.UnfinishedName())
	err := d.call(ctx, op, at, "fs/upload", map[string]any{"path": to, "localPath": local}, nil)
	return to, err
}

// Mkdir implements [sandbox.Files].
func (d *direct) Mkdir(ctx context.Context, p string, recursive bool) error {
	if !d.has.shell {
		return d.plainCall(ctx, "createDirectory", p, "fs/createDirectory", map[string]any{"recursive": recursive})
	}
	return d.onFile(ctx, "createDirectory", p, "mkdir.sh", flag(recursive))
}

// Remove implements [sandbox.Files].
func (d *direct) Remove(ctx context.Context, p string, recursive, force bool) error {
	if !d.has.shell {
		return d.plainRemove(ctx, "delete", p, recursive, force)
	}
	return d.onFile(ctx, "delete", p, "remove.sh", flag(recursive), flag(force), d.info.Root, d.info.Cwd)
}

// Rename implements [sandbox.Files].
func (d *direct) Rename(ctx context.Context, from, to string, overwrite bool) error {
	return d.move(ctx, "rename", from, to, overwrite)
}

// Copy implements [sandbox.Files].
func (d *direct) Copy(ctx context.Context, from, to string, overwrite bool) error {
	return d.move(ctx, "copy", from, to, overwrite)
}

func (d *direct) move(ctx context.Context, op, from, to string, overwrite bool) error {
	target, err := d.resolve(op, to)
	if err != nil {
		return err
	}
	source, err := d.resolve(op, from)
	if err != nil {
		return err
	}
	if err := d.needShell(op, source); err != nil {
		return err
	}
	_, err = d.sh(ctx, op, source, script{name: "move.sh", args: []string{op, source, target, flag(overwrite), d.info.Root, d.info.Cwd, agent.UnfinishedName()}})
	return err
}
