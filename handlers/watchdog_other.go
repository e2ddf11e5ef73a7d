//go:build !linux

package handlers

import (
	"errors"
	"os"
	"syscall"
)

// processWatch asks for a process by its number; without Linux's pidfd a reused number
// cannot be told from the client.
type processWatch struct{ process *os.Process }

func watchProcess(pid int) *processWatch {
	p, err := os.FindProcess(pid)
	if err != nil {
		return &processWatch{}
	}
	return &processWatch{process: p}
}

func (w *processWatch) alive() bool {
	if w.process == nil {
		return false
	}
	err := w.process.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}

func (w *processWatch) close() {
	if w.process != nil {
		_ = w.process.Release()
	}
}
