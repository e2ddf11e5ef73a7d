package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// A server that writes to an editor that has vanished must end its sessions, and not die of
// the write.
func TestL4_AnEditorThatVanishesWhileItIsWrittenToLeavesNoSandboxAndNoChangeBehind(t *testing.T) {
	p := newPerson(t)
	cmd := p.glue("serve", "--stdio", "--log-level", "warn")
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = outW
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	outW.Close()
	answers := bufio.NewReader(outR)
	send := func(message map[string]any) {
		t.Helper()
		message["jsonrpc"] = "2.0"
		body, err := json.Marshal(message)
		if err == nil {
			_, err = fmt.Fprintf(stdin, "Content-Length: %d\r\n\r\n%s", len(body), body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ask := func(id int, method string, params any) {
		t.Helper()
		send(map[string]any{"id": id, "method": method, "params": params})
		for {
			var m struct {
				ID    int
				Error any
			}
			if err := nextMessage(answers, &m); err != nil {
				t.Fatal(err)
			}
			if m.ID == id {
				if m.Error != nil {
					t.Fatalf("%s: %v", method, m.Error)
				}
				return
			}
		}
	}
	ask(1, "initialize", map[string]any{"rootUri": "file://" + p.repo, "capabilities": map[string]any{}})
	send(map[string]any{"method": "initialized", "params": map[string]any{}})
	ask(2, "glue/session/open", map[string]any{})
	ask(3, "glue/exec", map[string]any{"command": "echo new > new.txt"})
	outR.Close() // and its standard input is still open
	send(map[string]any{"id": 4, "method": "glue/exec", "params": map[string]any{"command": "echo newer > newer.txt"}})
	p.until("the server has noticed", func() bool {
		found, err := os.ReadDir(p.home + "/sessions")
		if err != nil || len(found) != 1 {
			return false
		}
		text, err := os.ReadFile(p.home + "/sessions/" + found[0].Name() + "/session.json")
		return err == nil && strings.Contains(string(text), `"state": "closed"`)
	})
	stdin.Close()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() < 0 {
		t.Errorf("the server ended by a signal: %v", err)
	}
	untilUnused(t, p.home)
	out, _ := p.does(0, "sessions", "list")
	p.sees(out, "closed")
}

// nextMessage reads one message as editors get them.
func nextMessage(r *bufio.Reader, into any) error {
	size := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		if line == "\r\n" {
			break
		}
		_, _ = fmt.Sscanf(line, "Content-Length: %d", &size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
