package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// Blobs reads objects through one lasting `cat-file --batch`, which costs a
// process once and not for each object. It is safe for concurrent use: reads go
// one after another. Close ends it.
type Blobs struct {
	repo *Repo
	ctx  context.Context // of the process; ends it

	mu     sync.Mutex
	proc   *catFile
	closed bool
}

// TooLargeError says that a blob is over the size that the caller takes.
type TooLargeError struct {
	Hash      string
	Size, Max int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("object %s has %d bytes, more than the %d that are taken", e.Hash, e.Size, e.Max)
}

// NoObjectError says that the store has no such object.
type NoObjectError struct{ Hash string }

func (e *NoObjectError) Error() string { return "there is no object " + e.Hash + " in the store" }

var errBlobsClosed = errors.New("the reader of blobs is closed")

// Blobs starts a reader. It lives until Close is called or ctx ends. A process
// that dies (an object drove it over a limit) fails the read that met it; the
// next read starts another.
func (r *Repo) Blobs(ctx context.Context) (*Blobs, error) {
	b := &Blobs{repo: r, ctx: ctx}
	proc, err := r.startCatFile(ctx)
	if err != nil {
		return nil, err
	}
	b.proc = proc
	return b, nil
}

// Get gives a blob; over max bytes it is a *TooLargeError, before any content was
// read. max < 0: no limit.
func (b *Blobs) Get(hash string, max int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size, err := b.ask(hash)
	if err != nil {
		return nil, err
	}
	if max >= 0 && size > max {
		// The content is on its way already: pass over a little, cut off a lot.
		if size <= 1<<20 {
			err = b.proc.skip(size)
		}
		if size > 1<<20 || err != nil {
			_ = b.drop() // it had nothing to complain of
		}
		return nil, &TooLargeError{Hash: hash, Size: size, Max: max}
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(b.proc.out, content); err != nil {
		return nil, b.broken(hash, err)
	}
	if err := b.proc.endOfObject(); err != nil {
		return nil, b.broken(hash, err)
	}
	return content, nil
}

// Open streams a blob and gives its size. Other reads wait until it was read to
// its end or closed; closing it is the caller's duty.
func (b *Blobs) Open(hash string) (io.ReadCloser, int64, error) {
	b.mu.Lock()
	size, err := b.ask(hash)
	if err != nil {
		b.mu.Unlock()
		return nil, 0, err
	}
	return &blobReader{blobs: b, hash: hash, left: size}, size, nil
}

// Close ends the process, once the blob that is being read is closed. Reads after
// it fail.
func (b *Blobs) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	_ = b.drop() // it is being ended, whatever it says
	return nil
}

// ask sends a request and reads the header of the answer. The lock is held.
func (b *Blobs) ask(hash string) (int64, error) {
	if b.closed {
		return 0, errBlobsClosed
	}
	if err := b.repo.checkID(hash); err != nil {
		return 0, err
	}
	if b.proc == nil {
		proc, err := b.repo.startCatFile(b.ctx)
		if err != nil {
			return 0, err
		}
		b.proc = proc
	}
	if _, err := io.WriteString(b.proc.in, hash+"\n"); err != nil {
		return 0, b.broken(hash, err)
	}
	line, err := b.proc.out.ReadString('\n')
	if err != nil {
		return 0, b.broken(hash, err)
	}
	f := strings.Fields(line)
	if len(f) == 2 && f[1] == "missing" {
		return 0, &NoObjectError{Hash: hash}
	}
	if len(f) != 3 {
		return 0, b.broken(hash, fmt.Errorf("cat-file answered %q", line))
	}
	size, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return 0, b.broken(hash, fmt.Errorf("cat-file answered %q", line))
	}
	return size, nil
}

// broken ends a process whose stream can no longer be trusted and says why.
func (b *Blobs) broken(hash string, err error) error {
	if b.ctx.Err() != nil {
		err = b.ctx.Err()
	}
	words := b.drop()
	if words != nil {
		err = words
	}
	return fmt.Errorf("read object %s: %w", hash, err)
}

// drop ends the process; the next read starts a new one.
func (b *Blobs) drop() error {
	if b.proc == nil {
		return nil
	}
	err := b.proc.end()
	b.proc = nil
	return err
}

// blobReader is one blob that is being read. It holds the lock of its Blobs.
type blobReader struct {
	blobs *Blobs
	hash  string
	left  int64
	once  sync.Once
	err   error
}

func (r *blobReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.left == 0 {
		r.err = io.EOF
		r.release()
		return 0, r.err
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.blobs.proc.out.Read(p)
	r.left -= int64(n)
	if err != nil {
		r.err = r.blobs.broken(r.hash, err)
		r.release()
		return n, r.err
	}
	return n, nil
}

func (r *blobReader) Close() error {
	r.release()
	if r.err == nil {
		r.err = errBlobsClosed
	}
	return nil
}

// release gives the process back at the end of the object, or ends it where more
// than a little was left unread.
func (r *blobReader) release() {
	r.once.Do(func() {
		defer r.blobs.mu.Unlock()
		proc := r.blobs.proc
		if proc == nil {
			return
		}
		if r.left > 1<<20 || proc.skip(r.left) != nil {
			_ = r.blobs.drop()
		}
	})
}

// catFile is the process.
type catFile struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr cappedBuffer
	limits *Limits
	cancel context.CancelFunc
}

func (r *Repo) startCatFile(ctx context.Context) (*catFile, error) {
	limits := DefaultLimits
	limits.CPU, limits.Wall = 0, 0 // it lasts as long as the session
	ctx, cancel := context.WithCancel(ctx)
	c := Cmd{Args: []string{"cat-file", "--batch"}}
	cmd := r.Git.command(ctx, r.place(), c, &limits)
	p := &catFile{cmd: cmd, limits: &limits, cancel: cancel}
	cmd.Stderr = &p.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	p.out = bufio.NewReaderSize(out, 64<<10)
	if p.in, err = startLimited(cmd, &limits); err != nil {
		cancel()
		return nil, &Error{Args: c.Args, Code: -1, Err: err}
	}
	return p, nil
}

// skip reads over the rest of an object and the line feed after it.
func (p *catFile) skip(n int64) error {
	if _, err := io.CopyN(io.Discard, p.out, n); err != nil {
		return err
	}
	return p.endOfObject()
}

func (p *catFile) endOfObject() error {
	c, err := p.out.ReadByte()
	if err == nil && c != '\n' {
		err = errors.New("cat-file printed more than it announced")
	}
	return err
}

// end kills the process and gives git's words, if it had any.
func (p *catFile) end() error {
	p.cancel()
	p.in.Close()
	_ = p.cmd.Wait()
	words := plain(p.stderr.String())
	if words == "" {
		return nil
	}
	return &Error{Args: p.cmd.Args[1:], Code: p.cmd.ProcessState.ExitCode(), Stderr: words, Err: p.limits.reached(p.cmd.ProcessState, words)}
}
