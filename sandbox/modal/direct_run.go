package modal

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"glue-lsp/sandbox"
)

// loginPatience bounds what a profile may take.
const loginPatience = 5 * time.Second

//go:embed scripts/*.sh
var scripts embed.FS

const (
	// directLine bounds a command line: Modal takes 64 KiB.
	directLine = 48 << 10
	// directAnswer bounds what a script may say.
	directAnswer = 4 << 20
	// scriptRefused is the status of a script that says itself why it failed.
	scriptRefused = 99
)

// script is one of ours, to be run by the sandbox's shell.
type script struct {
	name string
	with []string // what it needs besides common.sh
	args []string // of any bytes but NUL
	in   string   // a file on the host that is its input; "" is none
	out  string   // a file on the host that takes its output; "" is the answer
	max  int64    // bounds the output, in bytes; zero is directAnswer
}

// said is what came of a script.
type said struct {
	out  []byte
	size int64
}

// sh runs a script. What it complains of becomes an error by kind.
func (d *direct) sh(ctx context.Context, op, path string, s script) (said, error) {
	if s.max == 0 {
		s.max = directAnswer
	}
	argv, head, err := s.line()
	if err != nil {
		return said{}, &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Path: path, Message: err.Error(), Err: err}
	}
	params := map[string]any{"argv": argv, "maxBytes": s.max}
	if head != "" {
		params["stdin"] = head
	}
	if s.in != "" {
		params["stdinPath"] = s.in
	}
	if s.out != "" {
		params["stdoutPath"] = s.out
	}
	var r struct {
		ExitCode int
		Size     int64
		Stdout   []byte
		Stderr   string
	}
	if err := d.call(ctx, op, path, "exec/pipe", params, &r); err != nil {
		return said{}, err
	}
	if r.ExitCode != 0 {
		return said{}, complaint(op, path, r.ExitCode, r.Stderr)
	}
	return said{r.Stdout, r.Size}, nil
}

// line is the command line. Arguments that are long or not UTF-8, which Modal does not
// carry, come as a script of their own at the beginning of the input.
func (s script) line() (argv []string, head string, err error) {
	text, err := s.text()
	if err != nil {
		return nil, "", err
	}
	size, plain := len(text), true
	for _, a := range s.args {
		size += len(a) + 1
		plain = plain && utf8.ValidString(a)
	}
	if plain && size <= directLine {
		return append([]string{"sh", "-c", text, "sh"}, s.args...), "", nil
	}
	var set bytes.Buffer
	set.WriteString("set --")
	for _, a := range s.args {
		set.WriteString(" " + quoted(a))
	}
	set.WriteString("\n")
	read := "cat"
	if s.in != "" {
		// Nothing may be read of what follows.
		read = "dd bs=1 count=" + strconv.Itoa(set.Len()) + " 2>/dev/null"
	}
	return []string{"sh", "-c", `eval "$(` + read + `)"` + "\n" + text, "sh"}, base64.StdEncoding.EncodeToString(set.Bytes()), nil
}

// text is the script with what it needs.
func (s script) text() (string, error) {
	text := ""
	for _, name := range slices.Concat([]string{"common.sh"}, s.with, []string{s.name}) {
		part, err := scripts.ReadFile("scripts/" + name)
		if err != nil {
			return "", err
		}
		text += string(part)
	}
	return text, nil
}

// quoted is a word of a shell's script that stands for s.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// complaint makes an error of what a script wrote to its standard error: its own words, or
// those that programs have for an errno in the C locale.
func complaint(op, path string, code int, stderr string) error {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	last := lines[len(lines)-1]
	e := &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Path: path, Message: plain(clip(last, 500))}
	if rest, ok := strings.CutPrefix(last, "glue!"); ok && code == scriptRefused {
		kind, message, _ := strings.Cut(rest, "!")
		e.Kind, e.Message = sandbox.Kind(kind), plain(message)
		if message == "" {
			e.Message = meaning[e.Kind]
		}
		return e
	}
	for _, w := range errnoWords {
		if strings.Contains(stderr, w.words) {
			e.Kind = w.kind
			break
		}
	}
	switch {
	case code == 127:
		e.Kind, e.Message = sandbox.Unsupported, "a program that this needs is not in the sandbox's image: "+e.Message
	case e.Message == "":
		e.Message = "it failed in the sandbox, with status " + strconv.Itoa(code)
	case e.Kind == sandbox.NoSpace:
		e.Hint = "free some space and try again"
	}
	return e
}

// meaning are the words for refusals that need no others.
var meaning = map[sandbox.Kind]string{
	sandbox.FileNotFound:      "no such file or directory",
	sandbox.FileExists:        "there is something already",
	sandbox.NotADirectory:     "not a directory",
	sandbox.IsADirectory:      "it is a directory",
	sandbox.DirectoryNotEmpty: "the directory is not empty",
	sandbox.PermissionDenied:  "permission denied",
	sandbox.Unsupported:       "it is neither a file nor a directory",
}

// errnoWords are those of strerror(3), as in glibc and musl.
var errnoWords = []struct {
	words string
	kind  sandbox.Kind
}{
	{"No such file or directory", sandbox.FileNotFound},
	{"Not a directory", sandbox.NotADirectory},
	{"File exists", sandbox.FileExists},
	{"Is a directory", sandbox.IsADirectory},
	{"Directory not empty", sandbox.DirectoryNotEmpty},
	{"Permission denied", sandbox.PermissionDenied},
	{"Operation not permitted", sandbox.PermissionDenied},
	{"Read-only file system", sandbox.PermissionDenied},
	{"No space left on device", sandbox.NoSpace},
	{"uota exceeded", sandbox.NoSpace},
	{"File name too long", sandbox.InvalidParams},
	{"Filename too long", sandbox.InvalidParams},
	{"Too many levels of symbolic links", sandbox.InvalidParams},
	{"Symbolic link loop", sandbox.InvalidParams},
	{"Argument list too long", sandbox.TooLarge},
	{"File too large", sandbox.TooLarge},
	{"busy", sandbox.Conflict},
}

// spool is a file of the host's by whose path the sidecar reads or writes contents. It
// lies in the session's folder, where only this user can look.
func (d *direct) spool(op string) (*os.File, error) {
	f, err := os.CreateTemp(d.spec.Dir, "direct-*.tmp")
	if err != nil {
		return nil, &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Message: "no temporary file can be made on this machine: " + err.Error(), Err: err}
	}
	return f, nil
}

// drop takes a spool away.
func drop(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}

// unnamed gives a reader of a spool that takes it away when it is closed.
type unnamed struct {
	io.Reader
	f *os.File
}

func (u unnamed) Close() error {
	drop(u.f)
	if c, ok := u.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
