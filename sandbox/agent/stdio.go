package agent

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// duplex is one stream of two.
type duplex struct {
	r io.Reader
	w io.Writer

	once sync.Once
	err  error
}

func (d *duplex) Read(p []byte) (int, error)  { return d.r.Read(p) }
func (d *duplex) Write(p []byte) (int, error) { return d.w.Write(p) }

func (d *duplex) Close() error {
	d.once.Do(func() {
		for _, end := range []any{d.r, d.w} {
			if c, ok := end.(io.Closer); ok {
				d.err = errors.Join(d.err, c.Close())
			}
		}
	})
	return d.err
}

// stdio2stream makes one stream of standard input and output whose Close ends a read
// and a write in progress, which closing a plain os.Stdin does not.
func stdio2stream(stdin io.Reader, stdout io.Writer) (io.ReadWriteCloser, error) {
	in, ok1 := stdin.(*os.File)
	out, ok2 := stdout.(*os.File)
	if !ok1 || !ok2 {
		return &duplex{r: stdin, w: stdout}, nil
	}
	if conn := sameSocket(in, out); conn != nil {
		return conn, nil
	}
	r, err := pollable(in)
	if err != nil {
		return nil, err
	}
	w, err := pollable(out)
	if err != nil {
		r.Close()
		return nil, err
	}
	// The peer of a pipe learns of its end when nothing leads to it any more.
	in.Close()
	out.Close()
	return &duplex{r: r, w: w}, nil
}

// sameSocket gives the connection that is both standard input and output, or nil.
func sameSocket(in, out *os.File) net.Conn {
	a, err := in.Stat()
	if err != nil || a.Mode()&os.ModeSocket == 0 {
		return nil
	}
	b, err := out.Stat()
	if err != nil || !os.SameFile(a, b) {
		return nil
	}
	conn, err := net.FileConn(in)
	if err != nil {
		return nil
	}
	return shutConn{conn}
}

// shutConn is a connection that other descriptors lead to as well, those of a
// launcher for one: closing it tells the peer all the same.
type shutConn struct{ net.Conn }

func (c shutConn) Close() error {
	if s, ok := c.Conn.(interface {
		CloseRead() error
		CloseWrite() error
	}); ok {
		_ = s.CloseRead()
		_ = s.CloseWrite()
	}
	return c.Conn.Close()
}

func pollable(f *os.File) (*os.File, error) {
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
