package agent

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"time"
)

// AttachArgs are the arguments with which a program that asks IsAgent joins its standard
// input and output to a running agent.
type AttachArgs struct {
	Socket string // the agent's
	// Stream names a stream that is carried by several such programs, its lanes, in pieces
	// (see AppendPiece). One of them also carries those that go up; the others have Down
	// set. Without a name the bytes are carried as they are.
	Stream string
	Down   bool
	// Wait is how long an agent that does not listen yet is waited for.
	Wait time.Duration
}

// List gives the arguments, the word first.
func (a AttachArgs) List() []string {
	list := []string{Word, "attach", "--socket", a.Socket}
	if a.Stream != "" {
		list = append(list, "--stream", a.Stream)
	}
	if a.Down {
		list = append(list, "--down")
	}
	if a.Wait > 0 {
		list = append(list, "--wait", a.Wait.String())
	}
	return list
}

// carryBuffer is how much goes from one descriptor to the other at once.
const carryBuffer = 64 << 10

func runAttach(args []string, stdin io.Reader, stdout io.Writer) error {
	set := flag.NewFlagSet("agent attach", flag.ContinueOnError)
	var a AttachArgs
	set.StringVar(&a.Socket, "socket", "", "the agent's socket")
	set.StringVar(&a.Stream, "stream", "", "be a lane of this stream")
	set.BoolVar(&a.Down, "down", false, "carry nothing back: another lane of the stream does")
	set.DurationVar(&a.Wait, "wait", 0, "wait so long for an agent that does not listen yet")
	if err := set.Parse(args); err != nil {
		return err
	}
	if a.Socket == "" {
		return errors.New("--socket is missing")
	}
	conn, err := dialPatiently(a.Socket, a.Wait)
	if err != nil {
		return err
	}
	defer conn.Close()
	var from io.Reader = conn
	if a.Stream != "" {
		ends := canHandOver(a, stdin, stdout)
		if from, err = greetAsLane(conn, a, len(ends) > 0); err != nil {
			return err
		}
		if len(ends) > 0 {
			taken, err := handOver(conn, from, ends)
			if err != nil {
				return fmt.Errorf("handing the lane's ends to the agent: %w", err)
			}
			if taken {
				return carryOver(io.Discard, from)
			}
		}
	}
	rw, err := stdio2stream(stdin, stdout)
	if err != nil {
		return err
	}
	defer rw.Close()
	done := make(chan error, 2)
	go func() { done <- carryOver(conn, rw) }()
	go func() { done <- carryOver(rw, from) }()
	// Either side's end is the stream's: half a stream is of no use.
	return <-done
}

func carryOver(to io.Writer, from io.Reader) error {
	// Hidden methods: what io.Copy would choose instead has small buffers.
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, carryBuffer))
	return err
}

// dialPatiently connects to an agent that may still be starting.
func dialPatiently(socket string, patience time.Duration) (net.Conn, error) {
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		conn, err := DialSocket(socket)
		if err == nil || !errors.Is(err, ErrGone) || time.Now().After(deadline) {
			return conn, err
		}
		time.Sleep(pause)
	}
}

// greetAsLane answers the agent's greeting, which is not for whoever is at the lane's
// other end: that one gets its own, over the whole stream. What comes after it is read
// from the result.
func greetAsLane(conn net.Conn, a AttachArgs, hand bool) (io.Reader, error) {
	if err := conn.SetDeadline(time.Now().Add(greetingTimeout)); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	var hello agentHello
	if err := readHello(r, 0, &hello); err != nil {
		return nil, fmt.Errorf("the agent's greeting: %w", err)
	}
	if err := writeHello(conn, ProtocolVersion, clientHello{Build: Build(), Stream: a.Stream, Down: a.Down, Hand: hand}); err != nil {
		return nil, err
	}
	return r, conn.SetDeadline(time.Time{})
}
