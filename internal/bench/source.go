package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// source gives the lines of Go's own source, file after file and from the first one
// again when they end.
type source struct {
	names []string
	next  int
	file  *os.File
	lines *bufio.Reader
}

func openSource() (*source, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("find Go's source: %w", err)
	}
	s := &source{}
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(name, ".go") {
			s.names = append(s.names, name)
		}
		return err
	})
	if err == nil && len(s.names) == 0 {
		err = errors.New("there is none")
	}
	if err != nil {
		return nil, fmt.Errorf("find Go's source: %w", err)
	}
	return s, nil
}

// take gives lines of at least size bytes in all.
func (s *source) take(size int64) ([]byte, error) {
	var out []byte
	for int64(len(out)) < size {
		if s.file == nil {
			if err := s.openNext(); err != nil {
				return nil, err
			}
		}
		line, err := s.lines.ReadBytes('\n')
		out = append(out, line...)
		if errors.Is(err, io.EOF) {
			s.close()
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *source) openNext() error {
	file, err := os.Open(s.names[s.next%len(s.names)])
	if err != nil {
		return err
	}
	s.next++
	s.file, s.lines = file, bufio.NewReaderSize(file, 64<<10)
	return nil
}

func (s *source) close() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}
