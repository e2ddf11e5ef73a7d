package fstools

import (
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watch prints events as lines of JSON, until its input ends or the time is over.
type watch struct {
	Path      string
	Recursive bool
	Filter    []string
	Timeout   *int `json:"timeout_secs"`
}

type watchEvent struct {
	Type  string   `json:"event_type"`
	Paths []string `json:"paths"`
}

func (c *watch) run(stdin io.Reader, stdout io.Writer) error {
	path, err := filepath.EvalSymlinks(c.Path)
	if err != nil {
		return err
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	if err := c.add(w, path); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		close(ended)
	}()
	var over <-chan time.Time
	if c.Timeout != nil {
		over = time.After(time.Duration(*c.Timeout) * time.Second)
	}
	out := json.NewEncoder(stdout)
	for {
		select {
		case <-ended:
			return nil
		case <-over:
			return nil
		case err := <-w.Errors:
			return err
		case e := <-w.Events:
			if c.Recursive && e.Has(fsnotify.Create) {
				if info, err := os.Lstat(e.Name); err == nil && info.IsDir() {
					_ = c.add(w, e.Name) // gone again already, if it fails
				}
			}
			kind := kindOf(e.Op)
			if c.Filter != nil && !slices.Contains(c.Filter, kind) {
				continue
			}
			if err := out.Encode(watchEvent{kind, []string{e.Name}}); err != nil {
				return err
			}
		}
	}
}

func (c *watch) add(w *fsnotify.Watcher, path string) error {
	if !c.Recursive {
		return w.Add(path)
	}
	return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || p == path {
			return w.Add(p)
		}
		return nil
	})
}

func kindOf(op fsnotify.Op) string {
	switch {
	case op.Has(fsnotify.Create):
		return "Create"
	case op.Has(fsnotify.Remove):
		return "Remove"
	case op.Has(fsnotify.Rename):
		return "RenameFrom"
	}
	return "Modify"
}
