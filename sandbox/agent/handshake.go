package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"glue-lsp/sandbox"
)

// magic begins each end's greeting. It is no text in any encoding, so that nothing
// that a shell or an image prints first is taken for it.
var magic = [16]byte{0xf5, 'g', 'l', 'u', 'e', '-', 'a', 'g', 'e', 'n', 't', 0xc1, 0x00, 0xff, 0x0d, 0x0a}

const (
	maxNoise = 64 << 10 // what a client skips before the magic
	maxHello = 16 << 10
)

// agentHello is what the agent says about itself.
type agentHello struct {
	Build    string     `json:"build"`
	Instance string     `json:"instance"` // another one is another agent
	Pid      int        `json:"pid"`      // as the sandbox numbers it
	Root     wireString `json:"root"`
	Cwd      wireString `json:"cwd"`
	HasGit   bool       `json:"hasGit"`
}

// clientHello is the client's answer.
type clientHello struct {
	Build string `json:"build"`
	// Client is the same over all connections of one client, so that a new one takes
	// the place of one that the network forgot.
	Client string `json:"client"`
	// Stream names what this connection is a lane of, instead of a client's own; one that
	// is only for what goes down has Down. See lanes.go.
	Stream string `json:"stream,omitempty"`
	Down   bool   `json:"down,omitempty"`
	// Hand says that the lane's own ends are to be handed over, see handover.go.
	Hand bool `json:"hand,omitempty"`
}

// A greeting is the magic, the protocol's version and the length of what follows (both
// four bytes, big endian), and a JSON object.
func writeHello(w io.Writer, version uint32, hello any) error {
	b, err := json.Marshal(hello)
	if err != nil {
		return err
	}
	if len(b) > maxHello {
		return fmt.Errorf("the greeting is too long: %d bytes", len(b))
	}
	out := append([]byte(nil), magic[:]...)
	out = binary.BigEndian.AppendUint32(out, version)
	out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
	_, err = w.Write(append(out, b...))
	return err
}

// errNoMagic says that what came is not an agent's greeting; noise is its beginning.
type errNoMagic struct {
	noise []byte
	err   error
}

func (e *errNoMagic) Error() string {
	s := "no agent answered"
	if text := printable(e.noise); text != "" {
		s += fmt.Sprintf("; what came instead begins with %q", text)
	}
	return s
}

func (e *errNoMagic) Unwrap() error { return e.err }

// errVersion says that the other end speaks another protocol.
type errVersion struct {
	version uint32
	build   string
}

func (e *errVersion) Error() string {
	return fmt.Sprintf("it speaks protocol %d (build %s), this side protocol %d", e.version, e.build, ProtocolVersion)
}

// readHello skips up to noise bytes, and reads a greeting into hello.
func readHello(r *bufio.Reader, noise int, hello any) error {
	skipped, err := skipToMagic(r, noise)
	if err != nil {
		return &errNoMagic{noise: skipped, err: err}
	}
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return cut(err)
	}
	version, n := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:])
	if n > maxHello {
		return protocolError("a greeting of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return cut(err)
	}
	if version != ProtocolVersion {
		var h struct{ Build string }
		_ = json.Unmarshal(body, &h) // another version may greet in another form
		return &errVersion{version: version, build: printable([]byte(h.Build))}
	}
	return decodeMessage(body, hello)
}

// skipToMagic reads up to and including the magic; what it skipped comes back (its
// first KiB).
func skipToMagic(r *bufio.Reader, limit int) ([]byte, error) {
	var window []byte
	var noise []byte
	for read := 0; ; read++ {
		if bytes.Equal(window, magic[:]) {
			return nil, nil
		}
		if read >= limit+len(magic) {
			return noise, errors.New("too much output before the greeting")
		}
		b, err := r.ReadByte()
		if err != nil {
			return noise, cut(err)
		}
		if len(noise) < 1024 {
			noise = append(noise, b)
		}
		if len(window) == len(magic) {
			copy(window, window[1:])
			window = window[:len(window)-1]
		}
		window = append(window, b)
	}
}

// printable makes something that a sandbox sent fit for a message: short, no escapes.
func printable(b []byte) string {
	var out []rune
	for _, r := range string(bytes.TrimSpace(b)) {
		if len(out) == 200 {
			out = append(out, '…')
			break
		}
		if r < ' ' || r == 0x7f || r == '�' || (r >= 0x80 && r < 0xa0) {
			r = ' '
		}
		out = append(out, r)
	}
	return string(bytes.TrimSpace([]byte(string(out))))
}

// buffered is a stream whose reading side was buffered for the greeting.
type buffered struct {
	io.ReadWriteCloser
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// greetAgent is the client's side: it waits for the agent's greeting, then answers.
// When ctx or the time-out ends first, the stream is closed.
func greetAgent(ctx context.Context, rw io.ReadWriteCloser, mine clientHello, timeout time.Duration) (io.ReadWriteCloser, agentHello, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { rw.Close() })
	var hello agentHello
	r := bufio.NewReader(rw)
	err := readHello(r, maxNoise, &hello)
	if err == nil {
		err = writeHello(rw, ProtocolVersion, mine)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		return &buffered{rw, r}, hello, nil
	}
	rw.Close()
	return nil, hello, greetingError(ctx, err, timeout)
}

func greetingError(ctx context.Context, err error, timeout time.Duration) error {
	e := &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "connect", Message: "the sandbox's agent: " + err.Error(), Err: err}
	var version *errVersion
	var none *errNoMagic
	switch {
	case errors.As(err, &version):
		e.Hint = "end the session and open a new one, so that both sides come from the same glue-lsp"
	case errors.Is(context.Cause(ctx), context.Canceled):
		return context.Canceled
	case ctx.Err() != nil:
		e.Message = fmt.Sprintf("the sandbox's agent did not answer within %s", timeout)
		if errors.As(err, &none) && printable(none.noise) != "" {
			e.Message += fmt.Sprintf("; what came instead begins with %q", printable(none.noise))
		}
	}
	return e
}

// greetClient is the agent's side.
func greetClient(rw io.ReadWriteCloser, mine agentHello, timeout time.Duration) (io.ReadWriteCloser, clientHello, error) {
	late := time.AfterFunc(timeout, func() { rw.Close() })
	defer late.Stop()
	var hello clientHello
	if err := writeHello(rw, ProtocolVersion, mine); err != nil {
		return nil, hello, err
	}
	r := bufio.NewReader(rw)
	if err := readHello(r, 0, &hello); err != nil {
		return nil, hello, err
	}
	return &buffered{rw, r}, hello, nil
}
