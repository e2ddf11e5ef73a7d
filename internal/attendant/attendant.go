// Package attendant starts programs that serve tests and benchmarks beside them: one says
// in its first line of output where it is to be found, and ends with its input.
package attendant

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Process is such a program that runs. What it complains about goes to standard error.
type Process struct {
	cmd   *exec.Cmd
	stdin io.Closer // it ends with it
}

// Start starts a program and gives its first line, the line feed included. An error says
// that it did not start, or ended without a line, and how.
func Start(program string, args ...string) (*Process, []byte, error) {
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	p := &Process{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("its first line (%q): %w", line, err), p.Close())
	}
	return p, line, nil
}

// Close ends the program and waits for that; an error is how it ended.
func (p *Process) Close() error {
	p.stdin.Close()
	return p.cmd.Wait()
}
