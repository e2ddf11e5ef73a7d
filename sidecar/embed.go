// Package sidecar carries the Python program that holds sandboxes of Modal, as files in
// this binary.
//
// Start reading the program itself at glue_sidecar/service.py.
package sidecar

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

//go:embed launch.py glue_sidecar/*.py
var files embed.FS

// launcher is the file that the interpreter runs.
const launcher = "launch.py"

// Launcher is the source of the file that the interpreter runs.
func Launcher() string {
	b, _ := files.ReadFile(launcher) // it is embedded by its name
	return string(b)
}

// Materialise puts the program into a folder of home (0700), named by its content, and
// gives the path of the file to run: `python -I PATH`. What is there already is used when
// every file is as it must be, so that the byte code that Python keeps beside it lasts.
// Two that come at once get the same folder.
func Materialise(home string) (launch string, err error) {
	program, err := program()
	if err != nil {
		return "", err
	}
	parent := filepath.Join(home, "sidecar")
	dir := filepath.Join(parent, program.hash()[:16])
	if program.isIn(dir) {
		return filepath.Join(dir, launcher), nil
	}
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("write the sidecar's program: %w", err)
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return fail(err)
	}
	made, err := os.MkdirTemp(parent, "new-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(made)
	if err := program.write(made); err != nil {
		return fail(err)
	}
	for range 10 {
		err = os.Rename(made, dir)
		if err == nil || program.isIn(dir) {
			return filepath.Join(dir, launcher), nil
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		// Something of it was changed or lost: it goes away as a whole.
		old := made + ".old"
		if os.Rename(dir, old) == nil {
			defer os.RemoveAll(old)
		}
	}
	return fail(err)
}

// source is the program: contents by slash-separated path.
type source map[string][]byte

func program() (source, error) {
	p := source{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		p[name], err = files.ReadFile(name)
		return err
	})
	return p, err
}

func (p source) hash() string {
	all := sha256.New()
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			one := sha256.Sum256(p[name])
			fmt.Fprintf(all, "%s %x\n", name, one)
		}
		return nil
	})
	return hex.EncodeToString(all.Sum(nil))
}

func (p source) write(dir string) error {
	for name, content := range p {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(path.Dir(name))), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// isIn reports whether a folder holds every file of the program as it is.
func (p source) isIn(dir string) bool {
	for name, content := range p {
		have, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil || !bytes.Equal(have, content) {
			return false
		}
	}
	return true
}
