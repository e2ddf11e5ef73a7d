package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"glue-lsp/internal/attendant"
	"glue-lsp/internal/delay"
)

// network is a proxy in a process of its own, so that what is under way in it is not
// counted as anybody's memory.
type network struct {
	addr    string
	process *attendant.Process
}

func startNetwork(target string) (*network, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	process, line, err := attendant.Start(self, "-network", target)
	if err != nil {
		return nil, fmt.Errorf("the network's address: %w", err)
	}
	return &network{addr: strings.TrimSpace(string(line)), process: process}, nil
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
