package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wireServer is the real program, spoken to byte by byte.
type wireServer struct {
	*testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func (p *person) wireServer() *wireServer {
	p.Helper()
	s := &wireServer{T: p.T, cmd: p.glue("serve")}
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		p.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		p.Fatal(err)
	}
	s.out = bufio.NewReaderSize(out, 1<<20)
	if err := s.cmd.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = s.cmd.Process.Kill() })
	s.send(frame(`{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"rootUri":"file://` + p.repo + `","capabilities":{}}}`))
	s.answer("init")
	s.send(frame(`{"jsonrpc":"2.0","method":"initialized","params":{}}`))
	return s
}

func frame(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }

func (s *wireServer) send(text string) {
	s.Helper()
	if _, err := io.WriteString(s.in, text); err != nil {
		s.Fatalf("the server takes no more: %v", err)
	}
}

type wireMessage struct {
	ID     any             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// answer waits for the answer to a call; what comes before it is passed over.
func (s *wireServer) answer(id string) wireMessage {
	s.Helper()
	got := make(chan wireMessage, 1)
	fail := make(chan error, 1)
	go func() {
		for {
			m, err := s.next()
			if err != nil {
				fail <- err
				return
			}
			if m.ID == id {
				got <- m
				return
			}
		}
	}()
	select {
	case m := <-got:
		return m
	case err := <-fail:
		s.Fatalf("the server ended: %v", err)
	case <-time.After(time.Minute):
		s.Fatalf("no answer to %s", id)
	}
	return wireMessage{}
}

func (s *wireServer) next() (wireMessage, error) {
	length := 0
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			return wireMessage{}, err
		}
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		if n, ok := strings.CutPrefix(strings.ToLower(line), "content-length: "); ok {
			if length, err = strconv.Atoi(n); err != nil {
				return wireMessage{}, err
			}
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(s.out, body); err != nil {
		return wireMessage{}, err
	}
	var m wireMessage
	return m, json.Unmarshal(body, &m)
}

// alive sends something, and behind it a call that has an answer.
func (s *wireServer) alive(id, before string) {
	s.Helper()
	sent := make(chan error, 1)
	go func() { // the server's own answers must not hold this up
		_, err := io.WriteString(s.in, before+frame(`{"jsonrpc":"2.0","id":"`+id+`","method":"glue/exec","params":{}}`))
		sent <- err
	}()
	if m := s.answer(id); m.Error == nil || m.Error.Code != -32602 || !strings.HasPrefix(m.Error.Message, "command: is required") {
		s.Errorf("%s: %+v", id, m.Error)
	}
	if err := <-sent; err != nil {
		s.Fatalf("%s: %v", id, err)
	}
}

// peak is the most memory that the server has held, in bytes.
func (s *wireServer) peak() int64 {
	s.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		s.Fatalf("no VmHWM in %s", b)
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		s.Fatal(err)
	}
	return n << 10
}

func TestX14_TheProgramOutlivesWhateverItIsSentInBoundedMemory(t *testing.T) {
	p := newPerson(t)
	s := p.wireServer()
	deep := func(open, shut string, n int) string {
		return frame(`{"jsonrpc":"2.0","id":1,"method":"glue/exec","params":` + strings.Repeat(open, n) + strings.Repeat(shut, n) + `}`)
	}
	for _, x := range []struct{ name, bytes string }{
		{"nesting of lists", deep("[", "]", 100_000)},
		{"nesting of objects", deep(`{"a":`, "1"+strings.Repeat("}", 99_999)+"}", 1)},
		{"nesting that never ends", frame(strings.Repeat(`{"params":`, 100_000))},
		{"a long name", frame(`{"jsonrpc":"2.0","id":2,"method":"` + strings.Repeat("m", 1<<20) + `"}`)},
		{"a long id", frame(`{"jsonrpc":"2.0","id":"` + strings.Repeat("i", 1<<20) + `","method":"x"}`)},
		{"bad UTF-8", frame("{\"jsonrpc\":\"2.0\",\"method\":\"\xff\xfe\"}")},
		{"not JSON", frame("<html>")},
		{"an empty body", frame("")},
		{"a list of calls", frame(`[{"jsonrpc":"2.0","id":3,"method":"x"}]`)},
		{"the same id twice", frame(`{"jsonrpc":"2.0","id":4,"method":"glue/session/list"}`) + frame(`{"jsonrpc":"2.0","id":4,"method":"glue/session/list"}`)},
		{"answers to what was never asked", frame(`{"jsonrpc":"2.0","id":99,"result":null}`) + frame(`{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}`)},
		{"initialize again", frame(`{"jsonrpc":"2.0","id":5,"method":"initialize","params":{}}`)},
		{"unknown notifications", strings.Repeat(frame(`{"jsonrpc":"2.0","method":"$/x"}`)+frame(`{"jsonrpc":"2.0","method":"y","params":[7]}`), 50_000)},
		{"a million tiny pieces", strings.Repeat(frame("1"), 100_000)},
		{"a cancel of nothing", frame(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":{}}}`)},
	} {
		s.alive(x.name, x.bytes)
	}
	if peak := s.peak(); peak > 256<<20 {
		t.Errorf("the server has held %d MiB", peak>>20)
	}
}

func TestX14_HeadersThatCannotBeTrueEndNothingAndAllocateNothing(t *testing.T) {
	p := newPerson(t)
	for _, header := range []string{
		"Content-Length: 99999999999999999999\r\n\r\n", "Content-Length: 9223372036854775807\r\n\r\n", "Content-Length: -1\r\n\r\n",
		"Content-Length: x\r\n\r\n", "Content-Type: x\r\n\r\n", strings.Repeat("X-Long: "+strings.Repeat("y", 1000)+"\r\n", 10_000) + "\r\n",
		"\r\n\r\n", strings.Repeat("z", 1<<20),
	} {
		s := p.wireServer()
		s.send(header)
		// What follows may be read as the body of a message that never ends. What counts is
		// that it costs nothing, and that the end of the input is the end.
		s.send(strings.Repeat("0", 4<<20))
		if peak := s.peak(); peak > 200<<20 {
			t.Errorf("%.40q: %d MiB", header, peak>>20)
		}
		if err := s.in.Close(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { _, _ = io.Copy(io.Discard, s.out); ended <- s.cmd.Wait() }()
		select {
		case err := <-ended:
			if state := s.cmd.ProcessState; !state.Exited() || state.ExitCode() > 1 {
				t.Errorf("%.40q: %v (%v)", header, state, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%.40q: the server does not end", header)
		}
	}
}
