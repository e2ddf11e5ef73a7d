package modal

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"glue-lsp/sandbox"
	"glue-lsp/sidecar"
)

// sidecarProcess is one process of the sidecar's.
type sidecarProcess struct {
	*rpc
	hello   sidecarHello
	cmd     *exec.Cmd
	stdin   io.Closer
	control *net.UnixConn // passes descriptors
	errors  *complaints

	exited   chan struct{} // closed when it was waited for
	asked    asked         // by what settings it was started
	ending   sync.Once
	stopping chan struct{} // closed when it was asked to end
}

// sidecarHello is its answer to initialize.
type sidecarHello struct {
	ProtocolVersion int    `json:"protocolVersion"`
	Nonce           string `json:"nonce"`
	SDKVersion      string `json:"sdkVersion"`
	Python          string `json:"python"`
	PID             int    `json:"pid"`
}

const (
	sidecarProtocol = 1
	// startTimeout bounds the wait for the first answer: a cold disk and a busy machine.
	startTimeout = 30 * time.Second
)

// The bounds of an ending, one after the other: an answer to shutdown, an end after the
// input has ended, an end after TERM. What the sidecar still has to capture it does after
// the first; who closes it while sandboxes live gives it the time by its context.
const (
	shutdownGrace = 2 * time.Second
	termGrace     = 2 * time.Second
)

// startSidecar starts the sidecar and greets it. ctx bounds that only. An error is a
// *sandbox.Error of kind RuntimeUnavailable that holds what the process said, or of the
// kind that the sidecar gave, or ctx's.
func startSidecar(ctx context.Context, home string, python interpreter, environ []string, log func(string, ...any)) (*sidecarProcess, error) {
	launch, err := sidecar.Materialise(home)
	if err != nil {
		return nil, &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "start the sidecar", Path: home, Message: err.Error(), Err: err}
	}
	mine, theirs, err := packetPair()
	if err != nil {
		return nil, startFailure(python, err)
	}
	defer theirs.Close()
	cmd := exec.Command(python.path, "-I", launch, "--control-fd", "3")
	cmd.Dir = filepath.Dir(launch)
	cmd.Env = sidecarEnviron(environ)
	cmd.ExtraFiles = []*os.File{theirs}
	// A session of its own: the terminal's Ctrl-C is for the server alone, which says
	// what becomes of the sandboxes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Whoever it started may hold its standard error open for ever.
	cmd.WaitDelay = time.Second
	p := &sidecarProcess{
		rpc: newRPC(), cmd: cmd, control: mine, errors: newComplaints(environ, log),
		exited: make(chan struct{}), stopping: make(chan struct{}),
	}
	cmd.Stderr = p.errors
	stdin, err := cmd.StdinPipe()
	if err != nil {
		mine.Close()
		return nil, startFailure(python, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		mine.Close()
		return nil, startFailure(python, err)
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		mine.Close()
		return nil, startFailure(python, err)
	}
	if err := p.greet(ctx, python, bufio.NewReaderSize(stdout, 64<<10), stdin); err != nil {
		return nil, err
	}
	return p, nil
}

// maxFirst bounds what is shown of a first answer that is none.
const maxFirst = 100

// greet exchanges the first messages. The first thing that is read must be the answer
// with our nonce: whatever else can print to the process's output is no sidecar.
func (p *sidecarProcess) greet(ctx context.Context, python interpreter, out *bufio.Reader, in io.Writer) error {
	nonce := newNonce()
	frame, err := encode(outgoing{ID: 1, Method: "initialize", Params: map[string]any{"protocolVersion": sidecarProtocol, "nonce": nonce}})
	if err != nil {
		return startFailure(python, err)
	}
	p.last = 1
	came := make(chan error, 1)
	go func() {
		_, _ = in.Write(frame) // one that has ended already says why by its output or its status
		_, _ = out.Peek(1)
		first, _ := out.Peek(min(out.Buffered(), maxFirst))
		m, err := readMessage(out)
		switch {
		case err != nil && len(first) > 0 && !errors.Is(err, io.ErrUnexpectedEOF):
			came <- fmt.Errorf("what it printed is not the sidecar's protocol; it begins with %q", clip(string(first), maxFirst))
		case err != nil:
			came <- io.EOF
		case m.Error != nil:
			came <- m.Error.sandboxError("start the sidecar")
		default:
			err := answer{result: m.Result}.decode("start the sidecar", &p.hello)
			if err == nil && (m.ID == nil || *m.ID != 1 || p.hello.Nonce != nonce) {
				err = errors.New("its first answer is not to this process")
			}
			came <- err
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errSlowStart)
	defer cancel()
	select {
	case err = <-came:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err == nil {
		p.subscribe(noteLog, p.hearLog)
		go p.write(in)
		go p.supervise(out)
		return nil
	}
	return p.abandon(python, err)
}

// hearLog takes a line that the sidecar logs.
func (p *sidecarProcess) hearLog(n note) {
	var said struct{ Message string }
	if n.decode(&said) == nil && said.Message != "" {
		_, _ = p.errors.Write([]byte(clip(said.Message, maxLine) + "\n"))
	}
}

var errSlowStart = fmt.Errorf("it did not answer within %s", startTimeout)

// abandon ends a process that did not become a sidecar, and says why.
func (p *sidecarProcess) abandon(python interpreter, why error) error {
	var known *sandbox.Error
	ended := errors.Is(why, io.EOF)
	p.stdin.Close()
	if !ended {
		_ = p.cmd.Process.Kill()
	}
	p.control.Close()
	waited := make(chan error, 1)
	go func() { waited <- p.cmd.Wait() }()
	var status error
	select {
	case status = <-waited:
	case <-time.After(termGrace):
		_ = p.cmd.Process.Kill()
		status = <-waited
	}
	close(p.exited)
	p.end(why)
	switch {
	case errors.Is(why, context.Canceled), errors.Is(why, context.DeadlineExceeded):
		return why
	case errors.As(why, &known):
		return &sandbox.Error{Kind: known.Kind, Op: known.Op, Message: known.Message, Hint: known.Hint, Err: why}
	case ended && status != nil:
		why = fmt.Errorf("it ended at once (%w)", status)
	case ended:
		why = errors.New("it ended at once, without a word")
	}
	e := startFailure(python, why)
	if said := p.errors.tail(); said != "" {
		e.Message += ":\n" + said
	}
	if hint := hintFor(python, p.errors.tail()); hint != "" {
		e.Hint = hint
	}
	return e
}

func startFailure(python interpreter, err error) *sandbox.Error {
	return &sandbox.Error{
		Kind: sandbox.RuntimeUnavailable, Op: "start the sidecar", Path: python.path,
		Message: "the Python program that holds Modal's sandboxes did not start: " + err.Error(),
		Hint:    "run: glue-lsp doctor --runtime modal", Err: err,
	}
}

// supervise reads until the process ends, and then says so to everybody.
func (p *sidecarProcess) supervise(out *bufio.Reader) {
	broken := p.read(out)
	if !errors.Is(broken, io.EOF) && !errors.Is(broken, io.ErrUnexpectedEOF) && !errors.Is(broken, os.ErrClosed) {
		// Nothing that it sends can be relied on. Its end is an ordinary one: it ends what
		// it holds.
		p.stdin.Close()
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
	} else {
		broken = nil
	}
	var status error
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		_, _ = io.Copy(io.Discard, out)
		status = p.cmd.Wait()
	}()
	select {
	case <-waited:
		p.end(p.why(broken, status))
	case <-time.After(statusPatience):
		// Calls in flight are answered now: its end may take as long as a capture.
		p.end(p.why(broken, nil))
		<-waited
	}
	p.control.Close()
	close(p.exited)
}

// statusPatience is how long a process that closed its output may take to end, for its
// status to be told.
const statusPatience = 200 * time.Millisecond

// why says what became of the process. It has closed its output, and ends, or has ended.
func (p *sidecarProcess) why(broken, status error) error {
	select {
	case <-p.stopping:
		return errors.New("the sidecar was asked to end")
	default:
	}
	message := "the modal sidecar is no longer reachable: its Python process "
	switch {
	case broken != nil:
		message += "was given up, since " + broken.Error()
	case status != nil:
		message += "has ended (" + status.Error() + ")"
	default:
		message += "has ended"
	}
	if said := p.errors.tail(); said != "" {
		message += ":\n" + said
	}
	return &sandbox.Error{Kind: sandbox.ExecutorDead, Op: "sidecar", Message: message, Hint: "the next operation starts it again", Err: errors.Join(broken, status)}
}

// done is closed when the process talks no more.
func (p *sidecarProcess) done() <-chan struct{} { return p.ended }

// reason says why, once done is closed.
func (p *sidecarProcess) reason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// sendDescriptors passes open files under a ticket, which a call then names. They stay
// the caller's to close.
func (p *sidecarProcess) sendDescriptors(ticket string, files ...*os.File) error {
	return sendDescriptors(p.control, ticket, files)
}

// close asks the process to end, and sees to it that it does: shutdown, the end of its
// input, and once ctx is over TERM and KILL. What it holds it captures and ends, as long
// as ctx lasts.
func (p *sidecarProcess) close(ctx context.Context) {
	p.ending.Do(func() {
		close(p.stopping)
		asked, cancel := context.WithTimeout(ctx, shutdownGrace)
		defer cancel()
		_ = p.call(asked, "shutdown", map[string]any{}, nil)
		p.stdin.Close()
	})
	select {
	case <-p.exited:
		return
	case <-ctx.Done():
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return
	case <-time.After(termGrace):
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// kill ends a process that holds nothing, at once.
func (p *sidecarProcess) kill() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = p.cmd.Process.Kill()
	p.close(now)
}

func newNonce() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}
