package machine

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Word is the first argument that makes a program a sandbox's first process.
const Word = "modalemu-init"

// Socket is the descriptor of the first process that requests come from.
const Socket = 3

// request asks the first process for something. Descriptors travel beside it.
type request struct {
	ID   string   `json:"id"`
	Op   string   `json:"op"` // start, signal
	Argv []string `json:"argv,omitempty"`
	Env  []string `json:"env,omitempty"`
	Dir  string   `json:"dir,omitempty"`
	TTY  bool     `json:"tty,omitempty"`
	Sig  int      `json:"sig,omitempty"`
}

// event tells what became of a process.
type event struct {
	ID     string `json:"id"`
	Op     string `json:"op"` // started, failed, exited
	Error  string `json:"error,omitempty"`
	Code   int    `json:"code,omitempty"`
	Signal int    `json:"signal,omitempty"`
}

// maxMessage bounds a message; a command line is at most 64 KiB.
const maxMessage = 1 << 20

// send writes one message, as one packet: the socket is of type SOCK_SEQPACKET.
func send(fd int, v any, files ...*os.File) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > maxMessage {
		return fmt.Errorf("a message of %d bytes is too long", len(b))
	}
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
	for {
		err := unix.Sendmsg(fd, append(head, b...), rights, nil, unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receiver reads messages; its buffers are used again.
type receiver struct{ buf, oob []byte }

func newReceiver() *receiver {
	return &receiver{buf: make([]byte, maxMessage+4), oob: make([]byte, unix.CmsgSpace(3*4))}
}

// receive reads one message and the descriptors beside it.
func (r *receiver) receive(fd int, v any) ([]int, error) {
	buf, oob := r.buf, r.oob
	var n, oobn int
	for {
		var err error
		if n, oobn, _, _, err = unix.Recvmsg(fd, buf, oob, unix.MSG_CMSG_CLOEXEC); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return nil, err
		}
		break
	}
	if n == 0 {
		return nil, net.ErrClosed
	}
	if n < 4 || int(binary.BigEndian.Uint32(buf)) != n-4 {
		return nil, fmt.Errorf("a message of %d bytes was cut", n)
	}
	var fds []int
	if oobn > 0 {
		msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return nil, err
		}
		for i := range msgs {
			got, err := unix.ParseUnixRights(&msgs[i])
			if err != nil {
				return nil, err
			}
			fds = append(fds, got...)
		}
	}
	return fds, json.Unmarshal(buf[4:n], v)
}
