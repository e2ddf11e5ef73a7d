package agent

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// The file operations as they travel: one stream each, and one round trip.

type pathArgs struct {
	Path wireString `json:"path"`
}

type pathsArgs struct {
	Paths []wireString `json:"paths"`
}

type statReply struct {
	Type    string      `json:"type"`
	Link    bool        `json:"link,omitempty"`
	Size    int64       `json:"size"`
	ModTime int64       `json:"mtime"` // nanoseconds since 1970
	Mode    fs.FileMode `json:"mode"`
	Target  wireString  `json:"target,omitempty"`
}

type statManyReply struct {
	Results []statResult `json:"results"`
}

type statResult struct {
	Stat  *statReply `json:"stat,omitempty"`
	Error *wireError `json:"error,omitempty"`
}

// A directory comes as one or more of these.
type readDirReply struct {
	Entries []dirEntry `json:"entries"`
}

type dirEntry struct {
	Name wireString `json:"name"`
	Type string     `json:"type"`
	Link bool       `json:"link,omitempty"`
}

// A file's bytes follow the reply.
type readArgs struct {
	Path   wireString `json:"path"`
	Offset int64      `json:"offset,omitempty"`
	Length int64      `json:"length"`
	// Below, if it is set, lets a part of that many bytes and more not be sent.
	Below int64 `json:"below,omitempty"`
}

type readReply struct {
	Size  int64 `json:"size"`            // of the whole file
	Aside bool  `json:"aside,omitempty"` // no bytes follow, because of Below
}

type sizeReply struct {
	Size int64 `json:"size"`
}

// A file's bytes follow the request.
type writeArgs struct {
	Path      wireString   `json:"path"`
	Mode      *fs.FileMode `json:"mode,omitempty"`
	Create    bool         `json:"create,omitempty"`
	Overwrite bool         `json:"overwrite,omitempty"`
}

type mkdirArgs struct {
	Path      wireString `json:"path"`
	Recursive bool       `json:"recursive,omitempty"`
}

type removeArgs struct {
	Path      wireString `json:"path"`
	Recursive bool       `json:"recursive,omitempty"`
	Force     bool       `json:"force,omitempty"`
}

type moveArgs struct {
	From      wireString `json:"from"`
	To        wireString `json:"to"`
	Overwrite bool       `json:"overwrite,omitempty"`
}

type watchArgs struct {
	Path      wireString `json:"path"`
	Recursive bool       `json:"recursive,omitempty"`
}

// The first one is empty and says that the watch began.
type watchReply struct {
	Events []fileEvent `json:"events,omitempty"`
}

type fileEvent struct {
	Path wireString `json:"path"`
	Type string     `json:"type"`
}

// Bounds that keep a message far below maxMessage, whatever the names are.
const (
	dirEntriesPerMessage = 2000
	eventsPerMessage     = 500
	statsPerMessage      = 1000
)

// addFileOps adds the file operations.
func (d *daemon) addFileOps(o ops) {
	f := &files{root: d.cfg.root, cwd: d.cfg.cwd, temp: d.tempPrefix()}
	o["fs.stat"] = unary(func(_ context.Context, a pathArgs) (statReply, error) {
		info, err := f.stat(string(a.Path))
		return toStatReply(info), err
	})
	o["fs.statMany"] = unary(func(_ context.Context, a pathsArgs) (statManyReply, error) {
		return f.serveStatMany(a), nil
	})
	o["fs.readDir"] = streaming(f.serveReadDir)
	o["fs.read"] = streaming(f.serveRead)
	o["fs.write"] = streaming(f.serveWrite)
	o["fs.receive"] = streaming(f.serveReceive)
	o["fs.mkdir"] = unary(func(_ context.Context, a mkdirArgs) (nothing, error) {
		return nothing{}, f.mkdir(string(a.Path), a.Recursive)
	})
	o["fs.remove"] = unary(func(_ context.Context, a removeArgs) (nothing, error) {
		return nothing{}, f.remove(string(a.Path), a.Recursive, a.Force)
	})
	o["fs.rename"] = unary(func(_ context.Context, a moveArgs) (nothing, error) {
		return nothing{}, f.rename(string(a.From), string(a.To), a.Overwrite)
	})
	o["fs.copy"] = unary(func(_ context.Context, a moveArgs) (nothing, error) {
		return nothing{}, f.copy(string(a.From), string(a.To), a.Overwrite)
	})
	o["fs.watch"] = streaming(f.serveWatch)
}

// tempPrefix begins the names of this agent's temporary files. It is the agent's own
// and random, so that no file of the user's has such a name.
func (d *daemon) tempPrefix() string { return tempStart + d.hello.Instance[:tempDigits] + "-" }

// The name of an agent's temporary file is tempStart, digits of the agent's, a dash and
// as many random ones, all hexadecimal.
const (
	tempStart  = ".glue-"
	tempDigits = 12
)

// isTemp reports whether a name is that of a file which an agent, this one or one that
// was killed before, had not finished. A capture leaves such files out.
func isTemp(base string) bool {
	rest, ok := strings.CutPrefix(base, tempStart)
	return ok && len(rest) == 2*tempDigits+1 && rest[tempDigits] == '-' &&
		isHex(rest[:tempDigits]) && isHex(rest[tempDigits+1:]) || tree.IsTemporary(base)
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

func (f *files) serveStatMany(a pathsArgs) statManyReply {
	results := f.statMany(fromWire(a.Paths))
	out := make([]statResult, len(results))
	for i, r := range results {
		if r.Err != nil {
			e := toWireError(r.Err)
			out[i].Error = &e
			continue
		}
		s := toStatReply(r.Info)
		out[i].Stat = &s
	}
	return statManyReply{out}
}

func (f *files) serveReadDir(_ context.Context, a pathArgs, s *stream) error {
	list, err := f.readDir(string(a.Path))
	if err != nil {
		return err
	}
	s.gather()
	for first := true; first || len(list) > 0; first = false {
		n := min(len(list), dirEntriesPerMessage)
		rep := readDirReply{Entries: make([]dirEntry, n)}
		for i, e := range list[:n] {
			rep.Entries[i] = dirEntry{wireString(e.Name), e.Type, e.IsSymlink}
		}
		if err := s.send(rep); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func (f *files) serveRead(_ context.Context, a readArgs, s *stream) error {
	r, size, err := f.openRead(string(a.Path), a.Offset, a.Length)
	if err != nil {
		return err
	}
	defer r.Close()
	s.gather()
	part := size - a.Offset
	if a.Length >= 0 {
		part = min(part, a.Length)
	}
	aside := a.Below > 0 && part >= a.Below
	if err := s.send(readReply{size, aside}); err != nil || aside {
		return err
	}
	_, err = copyBytes(s, r)
	return fileError("readFile", string(a.Path), err)
}

func (f *files) serveWrite(_ context.Context, a writeArgs, s *stream) error {
	w, err := f.create(string(a.Path), sandbox.WriteOptions{Mode: a.Mode, Create: a.Create, Overwrite: a.Overwrite})
	if err != nil {
		return err
	}
	n, err := copyBytes(w.File, s)
	if err == nil {
		// Only a clean end says that this was all of the content.
		err = s.expectEnd()
	}
	if err != nil {
		w.abort()
		return fileError(w.op, w.target, err)
	}
	if err := w.commit(); err != nil {
		return err
	}
	return s.sendLast(sizeReply{n})
}

func (f *files) serveWatch(ctx context.Context, a watchArgs, s *stream) error {
	w, err := f.openWatch(string(a.Path), a.Recursive)
	if err != nil {
		return err
	}
	if err := s.send(watchReply{}); err != nil {
		w.notify.Close()
		return err
	}
	return w.run(ctx, func(events []sandbox.FileEvent) error {
		for len(events) > 0 {
			n := min(len(events), eventsPerMessage)
			rep := watchReply{Events: make([]fileEvent, n)}
			for i, e := range events[:n] {
				rep.Events[i] = fileEvent{wireString(e.Path), e.Type}
			}
			if err := s.send(rep); err != nil {
				return err
			}
			events = events[n:]
		}
		return nil
	})
}

// copyBytes is io.Copy with a buffer of the size of a frame, and without the short
// cuts that io.Copy takes around it.
func copyBytes(w io.Writer, r io.Reader) (int64, error) {
	buf := make([]byte, gatherLimit)
	var total int64
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return total, err
			}
			total += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func toStatReply(i sandbox.FileInfo) statReply {
	return statReply{
		Type: i.Type, Link: i.IsSymlink, Size: i.Size,
		ModTime: i.ModTime.UnixNano(), Mode: i.Mode, Target: wireString(i.Target),
	}
}

func (r statReply) info() sandbox.FileInfo {
	return sandbox.FileInfo{
		Type: r.Type, IsSymlink: r.Link, Size: r.Size,
		ModTime: time.Unix(0, r.ModTime), Mode: r.Mode.Perm(), Target: string(r.Target),
	}
}

func toWireError(err error) wireError {
	e := asError("", "", err)
	return wireError{Kind: e.Kind, Op: e.Op, Path: wireString(e.Path), Message: e.Message, Hint: e.Hint}
}

func (w wireError) err() error {
	return &sandbox.Error{Kind: w.Kind, Op: w.Op, Path: string(w.Path), Message: w.Message, Hint: w.Hint}
}
