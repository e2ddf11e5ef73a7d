package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"sync"
	"syscall"

	"glue-lsp/sandbox"
)

// A large content can come and go beside the agent's stream, by a way that is quicker
// where the sandbox is far. The agent still decides what may be read and written, and puts
// a file into its place itself.

// The client ends its direction once it has sent a receivedArgs; before that, an end means
// that nothing is to be written.
type receiveArgs struct {
	writeArgs
	// Dir is a private folder for what is on its way.
	Dir wireString `json:"dir"`
}

// receiveReply says where the content is to be brought.
type receiveReply struct {
	Path wireString `json:"path"`
}

// receivedArgs say that it is there.
type receivedArgs struct {
	Size int64 `json:"size"`
}

func (f *files) serveReceive(_ context.Context, a receiveArgs, s *stream) error {
	w, err := f.create(string(a.Path), sandbox.WriteOptions{Mode: a.Mode, Create: a.Create, Overwrite: a.Overwrite})
	if err != nil {
		return err
	}
	size, err := f.receive(w, string(a.Dir), s)
	if err != nil {
		w.abort()
		return fileError(w.op, w.target, err)
	}
	if err := w.commit(); err != nil {
		return err
	}
	return s.sendLast(sizeReply{size})
}

func (f *files) receive(w *pendingWrite, parent string, s *stream) (int64, error) {
	dir, err := f.asides.add(parent)
	if err != nil {
		return 0, refuse(sandbox.Unsupported, w.op, w.target, "nothing can arrive beside the stream: "+err.Error())
	}
	defer f.asides.remove(dir)
	staged := path.Join(dir, "content")
	if err := s.send(receiveReply{wireString(staged)}); err != nil {
		return 0, err
	}
	var came receivedArgs
	if err := s.recv(&came); err != nil {
		return 0, err
	}
	if err := s.expectEnd(); err != nil {
		return 0, err
	}
	return came.Size, w.adopt(staged, came.Size)
}

// adopt makes a file that came beside the stream the one that is being written. On another
// file system it is copied.
func (w *pendingWrite) adopt(staged string, size int64) error {
	file, err := os.OpenFile(staged, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return refuse(sandbox.Unavailable, w.op, w.target, "the content did not arrive: "+err.Error())
	}
	defer file.Close()
	came, err := ordinary(w.op, w.target, file)
	if err != nil {
		return err
	}
	if came != size {
		return refuse(sandbox.Unavailable, w.op, w.target, fmt.Sprintf("only %d bytes of %d arrived", came, size))
	}
	info, err := w.Stat()
	if err != nil {
		return err
	}
	if err := file.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	keepOwner(file, info)
	err = renamePath(staged, w.Name())
	if !errors.Is(err, syscall.EXDEV) {
		return err
	}
	n, err := copyBytes(w.File, file)
	if err == nil && n != size {
		err = refuse(sandbox.Conflict, w.op, w.target, "the content changed while it was put into its place")
	}
	return err
}

// asides are the folders in which contents arrive, by their paths.
type asides struct {
	mu   sync.Mutex
	used map[string]bool
}

// add makes a folder. It takes away what earlier ones left: a program that was bringing a
// content may have come to life only after its folder had been removed.
func (a *asides) add(parent string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	if entries, err := os.ReadDir(parent); err == nil {
		for _, e := range entries {
			if left := path.Join(parent, e.Name()); !a.used[left] {
				discard(left)
			}
		}
	}
	dir := path.Join(parent, newID())
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if a.used == nil {
		a.used = map[string]bool{}
	}
	a.used[dir] = true
	return dir, nil
}

func (a *asides) remove(dir string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.used, dir)
	discard(dir)
}

// discard removes a folder. What has its file open still keeps no space.
func discard(dir string) {
	if file, err := os.OpenFile(path.Join(dir, "content"), os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0); err == nil {
		if _, err := ordinary("", "", file); err == nil {
			_ = file.Truncate(0)
		}
		file.Close()
	}
	_ = os.RemoveAll(dir)
}

// ReadCommand are the arguments with which the agent's program writes length bytes of a
// file, from offset, to its standard output, by the rules of an agent's own reading. On
// its standard error it says how many they were and, after a space, what tells the file
// from another that takes its place.
func ReadCommand(path string, offset, length int64) []string {
	return []string{Word, "read", "--offset", strconv.FormatInt(offset, 10), "--length", strconv.FormatInt(length, 10), "--", path}
}

func runRead(args []string, stdout, stderr io.Writer) error {
	set := flag.NewFlagSet("agent read", flag.ContinueOnError)
	offset := set.Int64("offset", 0, "where to begin")
	length := set.Int64("length", -1, "how many bytes; -1 is to the end")
	if err := set.Parse(args); err != nil {
		return err
	}
	if set.NArg() != 1 {
		return errors.New("one path is required")
	}
	f := &files{root: "/", cwd: "/"}
	r, _, err := f.openRead(set.Arg(0), *offset, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	content := io.Reader(r)
	if *length >= 0 {
		content = io.LimitReader(r, *length)
	}
	n, err := copyBytes(stdout, content)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stderr, n, fileIdentity(r))
	return err
}

// fileIdentity tells an open file from another of the same name.
func fileIdentity(r io.Reader) string {
	file, ok := r.(*os.File)
	if !ok {
		return ""
	}
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
	}
	return ""
}

// ReadBelow is [Client.ReadFile] for a part of less than limit bytes. Of one that has
// more, only the file's size is told, and there is no reader: the content does not set
// out.
func (c *Client) ReadBelow(ctx context.Context, path string, offset, length, limit int64) (io.ReadCloser, int64, error) {
	var rep readReply
	s, err := c.call(ctx, "fs.read", path, readArgs{wireString(path), offset, length, limit}, &rep)
	if err != nil {
		return nil, 0, err
	}
	if !rep.Aside {
		return s, rep.Size, nil
	}
	defer s.Close()
	return nil, rep.Size, s.expectEnd()
}

// WriteAside is [Client.WriteFile] for a content that send brings to a path inside, which
// the agent chooses in the private folder dir; the result of send is the content's size.
// Whether a file may be written there is checked first. Nothing stays of what send brought
// when it fails, of which the error is returned as it is.
func (c *Client) WriteAside(ctx context.Context, path, dir string, opts sandbox.WriteOptions, send func(to string) (int64, error)) (int64, error) {
	const op = "fs.receive"
	args := receiveArgs{writeArgs{wireString(path), opts.Mode, opts.Create, opts.Overwrite}, wireString(dir)}
	s, err := c.open(ctx, op, path, true, args)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	if err := s.flush(); err != nil {
		return 0, err
	}
	var to receiveReply
	if err := s.recv(&to); err != nil {
		return 0, answerDue(err, op, path)
	}
	size, err := send(string(to.Path))
	if err != nil {
		return 0, err
	}
	if err := s.finish(receivedArgs{size}, nil); err != nil {
		return 0, err
	}
	var rep sizeReply
	if err := s.recv(&rep); err != nil {
		return 0, answerDue(err, op, path)
	}
	return rep.Size, s.expectEnd()
}

// answerDue is an error of recv where an answer was due.
func answerDue(err error, op, path string) error {
	if errors.Is(err, io.EOF) {
		return wrongAnswer(op, path, "no answer")
	}
	return err
}
