package agent

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"

	"glue-lsp/sandbox"
)

// CaptureArgs are the arguments with which a program that asks IsAgent has a running agent
// write an [Export].
type CaptureArgs struct {
	Socket string // the agent's
	To     string // the file; it is there whole, or not at all
	// EndCommands ends every command first, TERM and then KILL.
	EndCommands bool
}

// List gives the arguments, the word first.
func (a CaptureArgs) List() []string {
	list := []string{Word, "capture", "--socket", a.Socket, "--to", a.To}
	if a.EndCommands {
		list = append(list, "--end-commands")
	}
	return list
}

// StatusLeftInside is the status of a program whose export is whole, but names files or
// commits that are only in the sandbox: they were too large, or could not be read.
const StatusLeftInside = 3

var errLeftInside = errors.New("some of it is only in the sandbox")

func runCapture(args []string) error {
	set := flag.NewFlagSet("agent capture", flag.ContinueOnError)
	var a CaptureArgs
	set.StringVar(&a.Socket, "socket", "", "the agent's socket")
	set.StringVar(&a.To, "to", "", "the file to write")
	set.BoolVar(&a.EndCommands, "end-commands", false, "end every command first")
	if err := set.Parse(args); err != nil {
		return err
	}
	if a.Socket == "" || a.To == "" || set.NArg() > 0 {
		return errors.New("--socket and --to are required, and nothing else")
	}
	conn, err := DialSocket(a.Socket)
	if err != nil {
		return err
	}
	ctx := context.Background()
	c, err := Dial(ctx, conn, Options{})
	if err != nil {
		return err
	}
	defer c.Detach()
	return c.export(ctx, a)
}

// export writes the file beside its place first.
func (c *Client) export(ctx context.Context, a CaptureArgs) error {
	s, err := c.open(ctx, "tree.export", a.To, false, exportArgs{EndCommands: a.EndCommands})
	if err != nil {
		return err
	}
	defer s.Close()
	f, err := os.CreateTemp(filepath.Dir(a.To), filepath.Base(a.To)+".part-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // once it is renamed there is nothing under this name
	_, err = copyBytes(f, s)
	if err == nil {
		err = s.expectEnd()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), a.To); err != nil {
		return err
	}
	return leavesInside(a.To)
}

// leavesInside gives errLeftInside for an export after which files are only in the sandbox.
func leavesInside(name string) error {
	e, err := OpenExport(name)
	if err != nil {
		return err
	}
	defer e.Close()
	res, err := readCapture(e.read(e.capture, e.commits, "tree.capture"), newCaptureBounds(sandbox.CaptureRequest{Format: e.head.Format}), func(c sandbox.Captured) error {
		if c.Content == nil {
			return nil
		}
		_, err := io.Copy(io.Discard, c.Content)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range res.Skipped {
		if s.Reason.OnlyInside() {
			return errLeftInside
		}
	}
	c, err := e.Commits(context.Background(), sandbox.CommitsRequest{})
	if err != nil {
		return err
	}
	if c.Bundle != nil {
		_ = c.Bundle.Close() // it was not read
	}
	if c.HasGit && c.Problem != "" {
		return errLeftInside
	}
	return nil
}

// ExportMax is the size, in bytes, that the export of a capture within req can have at most:
// what the host takes into its folder unseen.
func ExportMax(req sandbox.CaptureRequest) int64 {
	return req.MaxBytes + maxCommits + exportLists
}

// exportLists is room for the names in an export.
const exportLists = 256 << 20
