package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// countingClient reads frames without looking into them, so that a flood measures the
// server.
type countingClient struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	id  int
	buf []byte
}

func (b *bench) startCounting(home, folder string) (*countingClient, error) {
	cmd, in, out, err := b.spawn(home)
	if err != nil {
		return nil, err
	}
	c := &countingClient{cmd: cmd, in: in, out: bufio.NewReaderSize(out, 1<<20)}
	_, err = c.call("initialize", initializeParams(folder))
	if err != nil {
		return nil, err
	}
	return c, c.send(map[string]any{"jsonrpc": "2.0", "method": "initialized", "params": map[string]any{}})
}

func (c *countingClient) send(message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.in, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return err
}

// call sends a request and counts the bytes of everything that comes until its answer.
func (c *countingClient) call(method string, params any) (int64, error) {
	c.id++
	if err := c.send(map[string]any{"jsonrpc": "2.0", "id": c.id, "method": method, "params": params}); err != nil {
		return 0, err
	}
	answer := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,`, c.id)
	for total := int64(0); ; {
		body, err := c.frame()
		if err != nil {
			return total, err
		}
		if !bytes.HasPrefix(body, answer) {
			total += int64(len(body))
			continue
		}
		if bytes.HasPrefix(body[len(answer):], []byte(`"error"`)) {
			return total, fmt.Errorf("%s: %s", method, body)
		}
		return total, nil
	}
}

func (c *countingClient) frame() ([]byte, error) {
	size := 0
	for {
		line, err := c.out.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimSpace(line)
		if line == "" {
			break
		}
		if n, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			if size, err = strconv.Atoi(n); err != nil {
				return nil, err
			}
		}
	}
	if size > len(c.buf) {
		c.buf = make([]byte, size)
	}
	_, err := io.ReadFull(c.out, c.buf[:size])
	return c.buf[:size], err
}

func (c *countingClient) stop() error {
	if _, err := c.call("shutdown", nil); err != nil {
		return err
	}
	if err := c.send(map[string]any{"jsonrpc": "2.0", "method": "exit"}); err != nil {
		return err
	}
	return c.cmd.Wait()
}
