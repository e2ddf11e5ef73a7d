package agent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"glue-lsp/sandbox"
)

// speak gives a client whose agent is a script.
func speak(t *testing.T, o Options, script func(net.Conn)) (*Client, error) {
	t.Helper()
	mine, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer theirs.Close()
		script(theirs)
	}()
	t.Cleanup(func() { mine.Close(); <-done })
	return Dial(testContext(t), mine, o)
}

func TestTheClientSkipsWhatAShellPrintsFirst(t *testing.T) {
	noise := "Welcome!\r\n\x1b[31mprofile\x1b[0m\n" + strings.Repeat("x", 60_000) + string(magic[:8])
	_, err := speak(t, Options{}, func(c net.Conn) {
		_, _ = io.WriteString(c, noise)
		_ = writeHello(c, ProtocolVersion, agentHello{Build: "b", Instance: "i"})
		var hello clientHello
		if err := readHello(bufio.NewReader(c), 0, &hello); err != nil || hello.Client == "" {
			t.Errorf("the client's greeting: %+v, %v", hello, err)
		}
	})
	// What follows the greeting is no multiplexer; that the greeting was found is enough.
	if err != nil && !strings.Contains(err.Error(), "after the greeting") {
		t.Error(err)
	}
}

func TestAGreetingThatDoesNotComeIsAnErrorThatShowsWhatCameInstead(t *testing.T) {
	for name, tt := range map[string]struct {
		script func(net.Conn)
		want   string
	}{
		"other program": {func(c net.Conn) { _, _ = io.WriteString(c, "bash: agent: \x1b[1mcommand not found\n") }, "command not found"},
		"endless noise": {func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "spam\n"); err != nil {
					return
				}
			}
		}, "spam"},
		"silence": {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "did not answer within"},
		"hung up": {func(net.Conn) {}, "no agent answered"},
		"half a greeting": {func(c net.Conn) {
			var b bytes.Buffer
			_ = writeHello(&b, ProtocolVersion, agentHello{})
			_, _ = c.Write(b.Bytes()[:b.Len()-1])
		}, "EOF"},
		"a greeting that is too long": {func(c net.Conn) {
			_, _ = c.Write(append(magic[:], 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff))
		}, "greeting of"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := speak(t, Options{HandshakeTimeout: 200 * time.Millisecond}, tt.script)
			if kind(err) != sandbox.RuntimeUnavailable || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnotherProtocolVersionIsNamedWithBothSides(t *testing.T) {
	_, err := speak(t, Options{}, func(c net.Conn) {
		_ = writeHello(c, ProtocolVersion+41, agentHello{Build: "v9.9.9"})
	})
	var e *sandbox.Error
	if !errors.As(err, &e) || e.Kind != sandbox.RuntimeUnavailable || e.Hint == "" {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"protocol 42", "v9.9.9", "protocol 1"} {
		if !strings.Contains(e.Message, want) {
			t.Errorf("%q does not hold %q", e.Message, want)
		}
	}
}

func TestGreetingCanBeCancelled(t *testing.T) {
	mine, theirs := net.Pipe()
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, mine, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTheAgentRefusesAClientOfAnotherVersion(t *testing.T) {
	d, err := newDaemon(config{root: "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { d.shutdown(); d.wait() }()
	mine, theirs := net.Pipe()
	defer mine.Close()
	served := make(chan error, 1)
	go func() { served <- d.serve(theirs) }()
	var hello agentHello
	if err := readHello(bufio.NewReader(mine), 0, &hello); err != nil {
		t.Fatal(err)
	}
	if err := writeHello(mine, ProtocolVersion+1, clientHello{}); err != nil {
		t.Fatal(err)
	}
	var version *errVersion
	if err := <-served; !errors.As(err, &version) {
		t.Errorf("got %v", err)
	}
}

func TestAnAgentThatAnswersNonsenseIsAnError(t *testing.T) {
	for name, nonsense := range map[string]string{
		"nothing": "", "text": "HTTP/1.1 200 OK\r\n\r\n", "a wrong version": strings.Repeat("\x07", 64), "zeros": strings.Repeat("\x00", 64),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := speak(t, Options{}, func(conn net.Conn) {
				_ = writeHello(conn, ProtocolVersion, agentHello{Instance: "i"})
				_ = readHello(bufio.NewReader(conn), 0, &clientHello{})
				// Read what comes, so that the client's writes are not what fails.
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				_, _ = io.WriteString(conn, nonsense)
			})
			if err == nil {
				err = c.Ping(testContext(t))
				c.Detach()
			}
			if k := kind(err); k != sandbox.ExecutorDead && k != sandbox.RuntimeUnavailable {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestStringsOfAnyBytesSurviveTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := wireString(rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "s"))
		b, err := want.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var got wireString
		if err := got.UnmarshalJSON(b); err != nil || got != want {
			t.Fatalf("%q came back as %q (%v), by %s", want, got, err, b)
		}
	})
}

func FuzzGreeting(f *testing.F) {
	var hello bytes.Buffer
	_ = writeHello(&hello, ProtocolVersion, agentHello{Build: "b", Root: "/w"})
	f.Add(hello.Bytes())
	f.Add(append([]byte("noise\xf5glue"), hello.Bytes()...))
	f.Add(magic[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		var got agentHello
		r := bufio.NewReader(bytes.NewReader(b))
		if err := readHello(r, maxNoise, &got); err == nil && !bytes.Contains(b, magic[:]) {
			t.Error("a greeting without the magic")
		}
	})
}

func FuzzFrames(f *testing.F) {
	b := appendFrame(nil, frameMessage, nil, []byte(`{"op":"ping"}`))
	b = appendFrame(b, frameData, nil, []byte("bytes"))
	f.Add(append(b, appendFrame(nil, frameEnd, nil, nil)...))
	f.Add(appendFrame(nil, frameEnd, nil, encodeError(errors.New("why"))))
	f.Add([]byte{frameMessage, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &stream{}
		s.f.rw = struct {
			io.Reader
			io.Writer
		}{bytes.NewReader(b), io.Discard}
		for range len(b) + 1 {
			var v map[string]any
			err := s.recv(&v)
			if errors.Is(err, errProtocol) {
				if _, err = io.Copy(io.Discard, s); err == nil {
					continue
				}
			}
			if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !bytes.Contains(b, []byte{frameEnd, 0, 0, 0, 0}) {
				t.Error("a clean end that was not sent")
			}
			if err != nil {
				return
			}
		}
	})
}
