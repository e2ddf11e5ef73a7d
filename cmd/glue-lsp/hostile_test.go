package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestX8_NamesAndTextFromASandboxCannotSteerTheTerminal(t *testing.T) {
	p := newPerson(t)
	_, errs := p.does(0, "run", "--apply=no", "--", "sh", "-c",
		`printf 'x\033[2Jy\n' > "$(printf 'a\033]0;title\007b')"; mkfifo "$(printf 'p\033[31mq')"; printf '\033]52;c;x\007\n' >> a.txt`)
	p.sees(errs, "left in the sandbox", `p\u001b[31mq`)
	id := regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{6}`).FindString(errs)
	all := errs
	for _, args := range [][]string{
		{"sessions", "list"},
		{"sessions", "show", id},
		{"sessions", "apply", id, "--yes"},
		{"sessions", "export", id, "--to", "a.txt"},
	} {
		cmd := p.glue(args...)
		out, _ := cmd.CombinedOutput() // the last one fails, and quotes a path
		all += string(out)
	}
	if i := strings.IndexAny(all, "\x1b\x07"); i >= 0 {
		t.Errorf("an escape sequence gets through: %q", all[max(0, i-40):min(len(all), i+40)])
	}
	if p.read("a\x1b]0;title\x07b") != "x\x1b[2Jy\n" {
		t.Error("the file itself did not come back as it is")
	}
}

func TestU4_AServerToldToEndBySignalCapturesWhatACommandDid(t *testing.T) {
	p := newPerson(t)
	cmd := p.glue("serve")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	send := func(body string) {
		if _, err := fmt.Fprintf(in, "Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			t.Fatal(err)
		}
	}
	send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"rootUri":"file://` + p.repo + `","capabilities":{}}}`)
	if _, err := out.Read(make([]byte, 1)); err != nil { // the answer, before which nothing may follow
		t.Fatal(err)
	}
	go io.Copy(io.Discard, out) //nolint:errcheck // ends with the server
	send(`{"jsonrpc":"2.0","method":"initialized","params":{}}`)
	send(`{"jsonrpc":"2.0","id":2,"method":"glue/session/open","params":{}}`)
	p.awaitGlob("sessions/*/session.json", `"state": "ready"`)
	send(`{"jsonrpc":"2.0","id":3,"method":"glue/exec","params":{"command":"echo kept > kept.txt; sleep 600"}}`)
	p.awaitGlob("trees/*/w/kept.txt", "kept")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // whatever its status is
	list, _ := p.does(0, "sessions", "list")
	p.sees(list, "closed", p.repo)
	id := regexp.MustCompile(`\d{8}-\d{6}-[0-9a-f]{6}`).FindString(list)
	diff, _ := p.does(0, "sessions", "diff", id)
	p.sees(diff, "kept.txt", "+kept")
}

// awaitGlob waits until a file of the state folder holds a text.
func (p *person) awaitGlob(pattern, text string) {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		names, _ := filepath.Glob(filepath.Join(p.home, pattern))
		for _, name := range names {
			if b, err := os.ReadFile(name); err == nil && strings.Contains(string(b), text) {
				return
			}
		}
		if time.Now().After(deadline) {
			p.Fatalf("%s never holds %q", pattern, text)
		}
	}
}
