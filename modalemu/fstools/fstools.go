// Package fstools is the program that Modal's SDK runs inside a sandbox for its file
// operations: one command as JSON in the first argument, contents by standard input
// and output, errors as JSON on standard error.
package fstools

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Name is the program's own.
const Name = "modal-sandbox-fs-tools"

// maxRead is the largest file that the helper gives.
const maxRead = 5 << 30

// command is one of the operations; the others are nil.
type command struct {
	ReadFile  *struct{ Path string }
	WriteFile *struct{ Path string }
	ListFiles *struct{ Path string }
	Stat      *struct{ Path string }
	Remove    *struct {
		Path      string
		Recursive bool
	}
	MakeDirectory *struct {
		Path    string
		Parents bool
	}
	Watch *watch
}

// failure is what goes to standard error.
type failure struct {
	Kind    string `json:"error_kind"`
	Message string `json:"message"`
	Detail  string `json:"detail"`
}

// Main carries out the command and gives the exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := run(args, stdin, stdout)
	if err == nil {
		return 0
	}
	_ = json.NewEncoder(stderr).Encode(explain(err))
	return 1
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("one argument is needed")
	}
	var c command
	if err := json.Unmarshal([]byte(args[0]), &c); err != nil {
		return err
	}
	switch {
	case c.ReadFile != nil:
		return read(c.ReadFile.Path, stdout)
	case c.WriteFile != nil:
		return write(c.WriteFile.Path, stdin)
	case c.ListFiles != nil:
		return list(c.ListFiles.Path, stdout)
	case c.Stat != nil:
		info, err := describe(c.Stat.Path)
		if err != nil {
			return err
		}
		return json.NewEncoder(stdout).Encode(info)
	case c.Remove != nil:
		return remove(c.Remove.Path, c.Remove.Recursive)
	case c.MakeDirectory != nil:
		return makeDirectory(c.MakeDirectory.Path, c.MakeDirectory.Parents)
	case c.Watch != nil:
		return c.Watch.run(stdin, stdout)
	}
	return errors.New("unknown command")
}

// kinded is an error whose kind is not the operating system's.
type kinded struct{ kind, message string }

func (k *kinded) Error() string { return k.message }

func explain(err error) failure {
	f := failure{Kind: "Unknown", Message: err.Error(), Detail: err.Error()}
	var own *kinded
	switch {
	case errors.As(err, &own):
		f.Kind, f.Message = own.kind, own.message
	case errors.Is(err, fs.ErrNotExist):
		f.Kind, f.Message = "NotFound", "No such file or directory"
	case errors.Is(err, syscall.ENOTDIR):
		f.Kind, f.Message = "NotDirectory", "Not a directory"
	case errors.Is(err, syscall.EISDIR):
		f.Kind, f.Message = "IsDirectory", "Is a directory"
	case errors.Is(err, syscall.ENOTEMPTY):
		f.Kind, f.Message = "DirectoryNotEmpty", "Directory not empty"
	case errors.Is(err, fs.ErrExist):
		f.Kind, f.Message = "PathAlreadyExists", "File exists"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		f.Kind, f.Message = "PermissionDenied", "Permission denied"
	}
	return f
}

func read(path string, w io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return &kinded{"IsDirectory", "Is a directory"}
	case info.Size() > maxRead:
		return &kinded{"FileTooLarge", "File too large"}
	}
	_, err = io.Copy(w, f)
	return err
}

func write(path string, r io.Reader) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return &kinded{"IsDirectory", "Is a directory"}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// fileInfo is what the SDK reads of a path. A link is described, not its target.
type fileInfo struct {
	Name          string  `json:"name"`
	Path          string  `json:"path"`
	Type          string  `json:"type"`
	Size          int64   `json:"size"`
	Mode          uint32  `json:"mode"`
	Permissions   string  `json:"permissions"`
	Owner         string  `json:"owner"`
	Group         string  `json:"group"`
	ModifiedTime  float64 `json:"modified_time"`
	SymlinkTarget *string `json:"symlink_target"`
}

func describe(path string) (fileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return fileInfo{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileInfo{}, errors.New("no status")
	}
	out := fileInfo{
		Name: filepath.Base(path), Path: path, Type: "file", Size: info.Size(), Mode: st.Mode,
		Permissions: fmt.Sprintf("%04o", st.Mode&0o7777), Owner: strconv.Itoa(int(st.Uid)), Group: strconv.Itoa(int(st.Gid)),
		ModifiedTime: float64(info.ModTime().UnixNano()) / 1e9,
	}
	if u, err := user.LookupId(out.Owner); err == nil {
		out.Owner = u.Username
	}
	if g, err := user.LookupGroupId(out.Group); err == nil {
		out.Group = g.Name
	}
	switch {
	case info.IsDir():
		out.Type = "directory"
	case info.Mode()&fs.ModeSymlink != 0:
		out.Type = "symlink"
		if target, err := os.Readlink(path); err == nil {
			out.SymlinkTarget = &target
		}
	}
	return out, nil
}

func list(path string, w io.Writer) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &kinded{"NotDirectory", "Not a directory"}
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	out := []fileInfo{}
	for _, e := range entries {
		d, err := describe(filepath.Join(path, e.Name()))
		if err != nil {
			continue // gone meanwhile
		}
		out = append(out, d)
	}
	return json.NewEncoder(w).Encode(out)
}

func remove(path string, recursive bool) error {
	if _, err := os.Lstat(path); err != nil {
		return err
	}
	if recursive {
		return os.RemoveAll(path)
	}
	return os.Remove(path)
}

func makeDirectory(path string, parents bool) error {
	if !parents {
		return os.Mkdir(path, 0o755)
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return fmt.Errorf("%w", syscall.EEXIST)
	}
	return os.MkdirAll(path, 0o755)
}
