package agent

import (
	"io/fs"
	"os"

	"glue-lsp/sandbox"
)

// The types of the contract.
const (
	typeFile      = "file"
	typeDirectory = "directory"
	typeOther     = "other"
)

func fileType(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return typeFile
	case m.IsDir():
		return typeDirectory
	}
	return typeOther
}

func (f *files) stat(p string) (sandbox.FileInfo, error) {
	const op = "stat"
	name, err := f.abs(op, p)
	if err != nil {
		return sandbox.FileInfo{}, err
	}
	info, err := os.Lstat(name)
	if err != nil {
		return sandbox.FileInfo{}, fileError(op, name, err)
	}
	out := sandbox.FileInfo{Type: fileType(info.Mode())}
	if info.Mode()&fs.ModeSymlink != 0 {
		out.IsSymlink = true
		if out.Target, err = os.Readlink(name); err != nil {
			return sandbox.FileInfo{}, fileError(op, name, err)
		}
		// A link that leads nowhere keeps its own size and time, and type other.
		if followed, err := os.Stat(name); err == nil {
			info = followed
			out.Type = fileType(info.Mode())
		}
	}
	out.Size, out.ModTime, out.Mode = info.Size(), info.ModTime(), info.Mode().Perm()
	return out, nil
}

func (f *files) statMany(paths []string) []sandbox.StatResult {
	out := make([]sandbox.StatResult, len(paths))
	for i, p := range paths {
		out[i].Info, out[i].Err = f.stat(p)
	}
	return out
}

// readDir lists a directory, sorted by the bytes of the names.
func (f *files) readDir(p string) ([]sandbox.DirEntry, error) {
	const op = "readDirectory"
	name, err := f.abs(op, p)
	if err != nil {
		return nil, err
	}
	list, err := os.ReadDir(name)
	if err != nil {
		return nil, fileError(op, name, err)
	}
	out := make([]sandbox.DirEntry, 0, len(list))
	for _, d := range list {
		e := sandbox.DirEntry{Name: d.Name(), Type: fileType(d.Type())}
		if d.Type()&fs.ModeSymlink != 0 {
			e.IsSymlink = true
			if info, err := os.Stat(name + "/" + d.Name()); err == nil {
				e.Type = fileType(info.Mode())
			}
		}
		out = append(out, e)
	}
	return out, nil
}
