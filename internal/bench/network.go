package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"glue-lsp/internal/delay"
)

// network is a proxy in a process of its own, so that what is under way in it is not
// counted as anybody's memory.
type network struct {
	addr string

	cmd   *exec.Cmd
	stdin io.Closer
}

func startNetwork(target string) (*network, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-network", target)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stdin.Close()
		return nil, errors.Join(fmt.Errorf("the network's address: %w", err), cmd.Wait())
	}
	return &network{addr: strings.TrimSpace(line), cmd: cmd, stdin: stdin}, nil
}

func (n *network) close() error {
	n.stdin.Close()
	return n.cmd.Wait()
}

// beNetwork is the other process.
func beNetwork(target string) error {
	p, err := delay.Start(target, roundTrip)
	if err != nil {
		return err
	}
	fmt.Println(p.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, p.Close())
}
