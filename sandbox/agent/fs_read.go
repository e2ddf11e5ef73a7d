package agent

import (
	"io"
	"os"
	"syscall"

	"glue-lsp/sandbox"
)

// openRead opens length bytes from offset of a file; length < 0 is to its end. size
// is the whole file's. What is not an ordinary file is refused: a pipe could block
// for ever, and a device need not end.
func (f *files) openRead(p string, offset, length int64) (r io.ReadCloser, size int64, err error) {
	const op = "readFile"
	name, err := f.abs(op, p)
	if err != nil {
		return nil, 0, err
	}
	if offset < 0 {
		return nil, 0, refuse(sandbox.InvalidParams, op, name, "offset is negative")
	}
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, fileError(op, name, err)
	}
	size, err = ordinary(op, name, file)
	if err == nil && offset > 0 {
		_, err = file.Seek(offset, io.SeekStart)
		err = fileError(op, name, err)
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	if length < 0 {
		return file, size, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(file, length), file}, size, nil
}

// ordinary gives the size of an open regular file and refuses any other kind.
func ordinary(op, name string, file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, fileError(op, name, err)
	}
	switch {
	case info.IsDir():
		return 0, fileError(op, name, syscall.EISDIR)
	case !info.Mode().IsRegular():
		return 0, &sandbox.Error{
			Kind: sandbox.Unsupported, Op: op, Path: name,
			Message: "it is a pipe, socket or device, not a file",
			Hint:    "use a command to read or write it",
		}
	}
	return info.Size(), nil
}
