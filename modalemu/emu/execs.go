package emu

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"modalemu/machine"
)

var errTooOld = status.Error(codes.OutOfRange, "output from so far back is no longer kept")

// spawn asks for a process in a sandbox.
type spawn struct {
	id               string
	argv, env        []string
	dir              string
	pipeOut, pipeErr bool
	errToOut         bool
	tty              *pb.PTYInfo
	timeout          time.Duration
}

// running is a process, or one that has ended.
type running struct {
	p        *machine.Process
	out, err *spool // nil: thrown away
	timer    *time.Timer

	done     chan struct{} // closed when it has ended and its output is whole
	code     int
	signal   int
	timedOut bool

	stdin stdin
}

func (r *running) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// stdin takes writes by offset.
type stdin struct {
	mu      sync.Mutex
	w       *os.File
	tty     bool
	written int64
	closed  bool
	queue   chan []byte // what the process has not read yet; closed at the end of file
}

// start starts a process in the sandbox.
func (sb *sandbox) start(c spawn) (*running, error) {
	r := &running{done: make(chan struct{})}
	files, drains, err := r.files(c, filepath.Join(sb.dir, "out"))
	if err != nil {
		return nil, err
	}
	command := machine.Command{ID: c.id, Argv: c.argv, Env: c.env, Dir: c.dir, TTY: c.tty.GetEnabled(), Stdin: files[0], Stdout: files[1], Stderr: files[2]}
	r.p, err = sb.m.Start(command)
	for i, f := range files {
		if i == 0 || f != files[0] && f != files[i-1] {
			f.Close()
		}
	}
	if err != nil {
		if r.stdin.w != nil {
			r.stdin.w.Close()
		}
		return nil, err
	}
	go r.stdin.pump()
	var drained sync.WaitGroup
	for _, d := range drains {
		drained.Go(d)
	}
	if c.timeout > 0 {
		r.timer = time.AfterFunc(c.timeout, func() {
			r.timedOut = true
			r.p.Kill(syscall.SIGKILL)
		})
	}
	go func() {
		<-r.p.Done()
		r.settle(&drained)
		sb.forgetOldest(c.id)
	}()
	return r, nil
}

// remembered is how many commands that have ended can still be asked about.
const remembered = 4096

// forgetOldest counts a command as ended, and gives back what the oldest one held.
func (sb *sandbox) forgetOldest(id string) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.over = append(sb.over, id)
	if len(sb.over) <= remembered {
		return
	}
	oldest := sb.over[0]
	sb.over = sb.over[1:]
	sb.execs[oldest].forget()
	delete(sb.execs, oldest)
}

// forgetAll gives back what is held of all commands.
func (sb *sandbox) forgetAll() {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	for _, e := range sb.execs {
		e.forget()
	}
	sb.main.forget()
}

func (r *running) forget() {
	if r == nil || r.out == nil {
		return
	}
	r.out.forget()
	r.err.forget()
}

// settle waits for output that is still under way, but not for descendants that keep
// the pipes open.
func (r *running) settle(drained *sync.WaitGroup) {
	all := make(chan struct{})
	go func() {
		drained.Wait()
		for _, s := range []*spool{r.out, r.err} {
			if s != nil {
				s.end()
			}
		}
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(200 * time.Millisecond):
	}
	if r.timer != nil {
		r.timer.Stop()
	}
	r.code, r.signal = r.p.Code, r.p.Signal
	r.stdin.close()
	close(r.done)
}

// files makes what the process reads and writes, and who takes what it wrote.
func (r *running) files(c spawn, dir string) ([3]*os.File, []func(), error) {
	var none [3]*os.File
	r.out, r.err = newSpool(dir, keep), newSpool(dir, keep)
	r.stdin.queue = make(chan []byte, 1024)
	if c.tty.GetEnabled() {
		master, slave, err := pty.Open()
		if err != nil {
			return none, nil, err
		}
		if rows, cols := c.tty.GetWinszRows(), c.tty.GetWinszCols(); rows > 0 && cols > 0 {
			_ = pty.Setsize(master, &pty.Winsize{Rows: uint16(rows), Cols: uint16(cols)})
		}
		r.stdin.w, r.stdin.tty = master, true
		r.err.end()
		return [3]*os.File{slave, slave, slave}, []func(){func() { _, _ = io.Copy(r.out, master) }}, nil
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		return none, nil, err
	}
	r.stdin.w = inW
	sink := func(keep bool, s *spool) (*os.File, func(), error) {
		if !keep {
			s.end()
			f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
			return f, nil, err
		}
		pr, pw, err := os.Pipe()
		if err != nil {
			return nil, nil, err
		}
		return pw, func() {
			defer pr.Close()
			_, _ = io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{pr}, make([]byte, 256<<10))
		}, nil
	}
	outW, drainOut, err := sink(c.pipeOut, r.out)
	if err != nil {
		return none, nil, err
	}
	errW, drainErr := outW, (func())(nil)
	if c.errToOut {
		r.err.end()
	} else if errW, drainErr, err = sink(c.pipeErr, r.err); err != nil {
		return none, nil, err
	}
	var drains []func()
	for _, d := range []func(){drainOut, drainErr} {
		if d != nil {
			drains = append(drains, d)
		}
	}
	return [3]*os.File{inR, outW, errW}, drains, nil
}

// pump writes what was accepted; a process that does not read holds it back alone.
func (s *stdin) pump() {
	for p := range s.queue {
		if _, err := s.w.Write(p); err != nil && !errors.Is(err, syscall.EAGAIN) {
			break
		}
	}
	if s.tty {
		_, _ = s.w.Write([]byte{4}) // end of transmission
		return
	}
	s.w.Close()
}

func (s *stdin) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.queue)
	}
	if s.tty {
		s.w.Close()
	} else {
		_ = s.w.SetWriteDeadline(time.Now()) // whoever still writes
	}
}

// write accepts bytes at an offset. What was already accepted is skipped; a gap is
// refused, as the router does.
func (s *stdin) write(offset int64, data []byte, eof bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed && offset+int64(len(data)) <= s.written:
		return nil // repeated
	case s.closed:
		return status.Error(codes.FailedPrecondition, "stdin is closed, or the process has ended")
	case offset > s.written:
		return status.Errorf(codes.FailedPrecondition, "stdin offset gap: expected %d, got %d", s.written, offset)
	}
	data = data[min(s.written-offset, int64(len(data))):]
	if len(data) > 0 {
		s.queue <- append([]byte(nil), data...)
		s.written += int64(len(data))
	}
	if eof {
		s.closed = true
		close(s.queue)
	}
	return nil
}
