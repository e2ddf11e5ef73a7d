package workspace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"glue-lsp/internal/tree"
)

// Document is a buffer that an editor has open.
type Document struct {
	Path    string // absolute host path
	Version int32
	Text    []byte // UTF-8, as the editor sent it
	Changed bool   // edited since it was opened or saved, or unlike the disk when opened
}

// errDangling is for a buffer of a link whose target does not exist: where it would
// be saved is the editor's choice.
var errDangling = errors.New("the buffer's file is a link that points nowhere")

// locate gives the path relative to the root of the file that a buffer would be
// saved to: links are followed, since editors write through them. It is not ok for
// files outside of the root and for those of a repository's own folder.
func (w *Workspace) locate(file string) (rel string, ok bool, err error) {
	real, err := resolve(filepath.Clean(file))
	if err != nil {
		return "", false, err
	}
	rel, ok = within(w.root, real)
	if !ok || rel == "" {
		return "", false, nil
	}
	for part := range strings.SplitSeq(rel, "/") {
		if strings.EqualFold(part, ".git") {
			return "", false, nil
		}
	}
	return rel, true, tree.CheckPath(rel)
}

// resolve follows the links in a path, of which the last components need not exist.
func resolve(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	if _, err := os.Lstat(path); err == nil {
		return "", errDangling
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path, nil
	}
	real, err = resolve(parent)
	return filepath.Join(real, filepath.Base(path)), err
}

// within gives path relative to root with slashes, "" for the root itself.
func within(root, path string) (string, bool) {
	rel, err := filepath.Rel(root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return "", false
	}
	if rel == "." {
		rel = ""
	}
	return filepath.ToSlash(rel), true
}

// buffers are the open documents of a snapshot, by path relative to the root.
type buffers struct {
	docs    map[string]Document
	astray  map[string]bool // see [Snapshot].Astray
	skipped []tree.Skipped
}

// Open gives the documents that lie in the tree, by path relative to the root, as
// [Snapshot].Docs does.
func (w *Workspace) Open(docs []Document) map[string]Document { return w.buffers(docs).docs }

// buffers finds the documents that lie in the tree. Where two are the same file, one
// that was changed counts.
func (w *Workspace) buffers(docs []Document) buffers {
	out := buffers{docs: make(map[string]Document, len(docs)), astray: map[string]bool{}}
	for _, d := range docs {
		rel, ok, err := w.locate(d.Path)
		switch {
		case err != nil && d.Changed:
			name, inside := within(w.root, filepath.Clean(d.Path))
			if !inside {
				name, inside = within(w.alias, filepath.Clean(d.Path))
			}
			if inside {
				out.astray[name] = true
				out.skip(name, "unsaved text: "+err.Error())
			}
			continue
		case err != nil || !ok:
			continue
		}
		if was, twice := out.docs[rel]; twice && was.Changed && !d.Changed {
			continue
		}
		out.docs[rel] = d
	}
	return out
}

func (b *buffers) skip(path, why string) {
	b.skipped = append(b.skipped, tree.Skipped{Path: path, Reason: tree.NotSent, Detail: why})
}

// unsaved is the content of a buffer that differs from its file.
type unsaved struct {
	entry   tree.Entry
	content []byte
}

func (u unsaved) open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(u.content)), nil }

// overlay gives what the changed buffers lay over the files of a scan. sent looks an
// entry up in the scan; admits says whether a file that does not exist yet would go
// up, and if not why, "" when that need not be said.
func (w *Workspace) overlay(ctx context.Context, b *buffers, f tree.Format,
	sent func(path string) (tree.Entry, bool), admits func(path string) (bool, tree.Skipped),
) (map[string]unsaved, error) {
	over := map[string]unsaved{}
	// In order, so that a folder's name comes before what lies in it.
	for _, path := range slices.Sorted(maps.Keys(b.docs)) {
		d := b.docs[path]
		if !d.Changed {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		was, up := sent(path)
		var content []byte
		var err error
		switch {
		case up:
			content, err = w.bufferOver(was, d.Text, f)
		case w.onDisk(path):
			continue // the file itself does not go up: ignored, secret, too large …
		case w.isFolder(path) || anyAbove(path, over, sent):
			b.skip(path, "unsaved text: a file and a folder of this name meet")
			continue
		default:
			ok, why := admits(path)
			if !ok {
				if why.Reason != "" {
					b.skipped = append(b.skipped, why)
				}
				continue
			}
			was.Mode, content = tree.Regular, d.Text
		}
		switch {
		case err != nil:
			b.skip(path, "unsaved text: "+err.Error()+"; the file as it is on disk goes up instead")
			continue
		case content == nil:
			continue
		case w.opts.MaxFileSize > 0 && int64(len(content)) > w.opts.MaxFileSize:
			b.skipped = append(b.skipped, tree.Skipped{Path: path, Reason: tree.TooLarge, Detail: "unsaved text; the file as it is on disk goes up instead"})
			continue
		}
		over[path] = unsaved{
			entry:   tree.Entry{Path: path, Mode: was.Mode, Hash: tree.HashBytes(f, content), Size: int64(len(content))},
			content: content,
		}
	}
	return over, nil
}

// bufferOver gives the bytes of a file with a buffer's text laid over it, nil when
// the buffer says nothing else than the disk.
func (w *Workspace) bufferOver(was tree.Entry, text []byte, f tree.Format) ([]byte, error) {
	if was.Mode == tree.Symlink {
		return nil, errors.New("the file has become a link")
	}
	file, err := tree.ReadContent(w.root, was.Path, f)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	disk, err := io.ReadAll(file.Reader())
	if err != nil {
		return nil, err
	}
	content, err := overlay(disk, text)
	if err != nil || bytes.Equal(content, disk) {
		return nil, err
	}
	return content, nil
}

// anyAbove reports whether something that is no folder lies on the way to path.
func anyAbove(path string, over map[string]unsaved, sent func(string) (tree.Entry, bool)) bool {
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		_, unsaved := over[path[:i]]
		if _, up := sent(path[:i]); up || unsaved {
			return true
		}
	}
	return false
}

// onDisk reports whether there is anything but a folder at a path, or may be: what
// cannot be looked at is not gone.
func (w *Workspace) onDisk(path string) bool {
	info, err := os.Lstat(filepath.Join(w.root, filepath.FromSlash(path)))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR)
	}
	return !info.IsDir()
}

func (w *Workspace) isFolder(path string) bool {
	info, err := os.Lstat(filepath.Join(w.root, filepath.FromSlash(path)))
	return err == nil && info.IsDir()
}
