package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"glue-lsp/sandbox"
)

// asError makes a sandbox.Error of any failure in the agent, with the kind that its
// errno says. op and path fill what the error itself does not name.
func asError(op, path string, err error) *sandbox.Error {
	var e *sandbox.Error
	if errors.As(err, &e) {
		c := *e
		if c.Op == "" {
			c.Op = op
		}
		if c.Path == "" {
			c.Path = path
		}
		return &c
	}
	e = &sandbox.Error{Kind: kindOf(err), Op: op, Path: path, Message: reason(err), Err: err}
	if e.Kind == sandbox.NoSpace {
		e.Hint = "free some space and try again"
	}
	return e
}

// kindOf maps errno values, see errno(3), to the contract's kinds.
func kindOf(err error) sandbox.Kind {
	var no syscall.Errno
	if errors.As(err, &no) {
		switch no {
		case syscall.ENOENT:
			return sandbox.FileNotFound
		case syscall.EEXIST:
			return sandbox.FileExists
		case syscall.ENOTDIR:
			return sandbox.NotADirectory
		case syscall.EISDIR:
			return sandbox.IsADirectory
		case syscall.ENOTEMPTY:
			return sandbox.DirectoryNotEmpty
		case syscall.EACCES, syscall.EPERM, syscall.EROFS:
			return sandbox.PermissionDenied
		case syscall.ENOSPC, syscall.EDQUOT:
			return sandbox.NoSpace
		case syscall.EBUSY, syscall.ETXTBSY:
			return sandbox.Conflict
		case syscall.E2BIG, syscall.EFBIG, syscall.EOVERFLOW:
			return sandbox.TooLarge
		case syscall.EINVAL, syscall.ENAMETOOLONG, syscall.ELOOP:
			return sandbox.InvalidParams
		case syscall.ENOSYS, syscall.ENOTSUP, syscall.ENOEXEC, syscall.EXDEV, syscall.ENXIO, syscall.ENODEV:
			return sandbox.Unsupported
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, exec.ErrNotFound):
		return sandbox.FileNotFound
	case errors.Is(err, fs.ErrExist):
		return sandbox.FileExists
	case errors.Is(err, fs.ErrPermission):
		return sandbox.PermissionDenied
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return sandbox.Timeout
	}
	return sandbox.Unavailable
}

// reason is an error's text without the path and call, which the sandbox.Error names.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err.Error()
	}
	var se *os.SyscallError
	if errors.As(err, &se) {
		return se.Err.Error()
	}
	return err.Error()
}
