package lsptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"glue-lsp/internal/wire"
)

// StartServer starts the server for one story, or again after a crash in it. home is where
// it may keep its state; it is the same each time.
type StartServer func(tb testing.TB, home string) Server

// StoryOptions say on what stage stories are played.
type StoryOptions struct {
	// Runtime is what "session open" asks for, and what "runtime" lines are matched with;
	// default "local".
	Runtime string
	// Plays says which stories are played, by their names without ".txtar"; nil plays all.
	Plays func(name string) bool
	// Settings is the initializationOptions.glue of every story.
	Settings any
	// After is called once the editor has ended and its server with it, with the state folder
	// that they had; nil does nothing.
	After func(tb testing.TB, home string)
	// Patience bounds each waiting; default one minute.
	Patience time.Duration
}

// RunStories plays each *.txtar file in a folder as a subtest. The package's documentation
// says how they are written.
func RunStories(t *testing.T, dir string, start StartServer, o StoryOptions) {
	t.Helper()
	if o.Runtime == "" {
		o.Runtime = "local"
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in %s (%v)", dir, err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		script := parseScript(string(archive.Comment))
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		if !script.isFor(o.Runtime) || o.Plays != nil && !o.Plays(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			newStory(t, file, archive, start, o).play(script)
		})
	}
}

// line is one line of a script.
type line struct {
	number int
	text   string
}

type script []line

func parseScript(text string) script {
	var s script
	for i, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "#") {
			s = append(s, line{i + 1, l})
		}
	}
	return s
}

// isFor reports whether a story is one for a runtime; without a "runtime" line it is for all.
func (s script) isFor(runtime string) bool {
	for _, l := range s {
		if rest, ok := strings.CutPrefix(l.text, "runtime "); ok {
			return slices.Contains(strings.Fields(rest), runtime)
		}
	}
	return true
}

// story is one that is being played.
type story struct {
	tb     *storyTB
	start  StartServer
	o      StoryOptions
	root   string // the repository, or the plain folder
	home   string
	golden map[string]string // sections under want/
	files  []txtar.File

	// Until the first verb that needs the editor, these can be set.
	profile   Profile
	workspace string // below root
	noGit     bool

	editor *Editor

	last     execResult
	running  *Pending // a command that was begun
	returned returnResult
}

func newStory(t *testing.T, file string, archive *txtar.Archive, start StartServer, o StoryOptions) *story {
	t.Helper()
	s := &story{
		tb: &storyTB{TB: t, file: file}, start: start, o: o,
		root: filepath.Join(t.TempDir(), "repo"), home: filepath.Join(t.TempDir(), "home"),
		golden: map[string]string{}, profile: VSCode(),
	}
	for _, f := range archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "want/"); ok {
			s.golden[name] = string(f.Data)
		} else {
			s.files = append(s.files, f)
		}
	}
	return s
}

func (s *story) play(script script) {
	s.tb.Helper()
	for _, l := range script {
		s.tb.line = l
		if err := s.perform(l.text); err != nil {
			s.tb.Fatal(err)
		}
	}
	if s.editor == nil {
		s.tb.Fatal("the story never used the editor")
	}
}

// perform plays one line.
func (s *story) perform(text string) error {
	name, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	v, known := verbs()[name]
	if !known {
		return fmt.Errorf("there is no verb %q", name)
	}
	if v.setUp != (s.editor == nil) {
		if v.setUp {
			return fmt.Errorf("%s must come before what people do", name)
		}
		if err := s.raise(); err != nil {
			return err
		}
	}
	if v.raw != nil {
		return v.raw(s, rest)
	}
	args, err := words(rest)
	if err != nil {
		return err
	}
	return v.run(s, args)
}

// raise builds the repository and starts the editor in it.
func (s *story) raise() error {
	if err := os.MkdirAll(s.home, 0o700); err != nil {
		return err
	}
	for _, f := range s.files {
		path := filepath.Join(s.root, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return err
		}
	}
	folder := filepath.Join(s.root, s.workspace)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if !s.noGit {
		if err := s.host("git init -q -b main && git add -A && git commit -q --allow-empty -m start"); err != nil {
			return err
		}
	}
	if s.o.After != nil {
		s.tb.Cleanup(func() { s.o.After(s.tb, s.home) }) // later than what Start leaves to do
	}
	s.editor = Start(s.tb, s.start(s.tb, s.home), Options{Root: folder, Settings: s.o.Settings, Patience: s.o.Patience})
	s.editor.Initialize(s.profile)
	return nil
}

// host runs a shell command in the repository, as another program of the person's would,
// with nobody's git configuration.
func (s *story) host(command string) error {
	cmd := exec.Command("sh", "-ec", command)
	cmd.Dir = s.root
	cmd.Env = append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
	)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("on the host: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

// call asks the server; its refusal is the verb's error.
func (s *story) call(method string, params, result any) error {
	s.tb.Helper()
	if err := s.editor.TryCall(method, params, result); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// failedWith checks that a verb failed with a kind, or a text in its message.
func failedWith(err error, want string) error {
	if err == nil {
		return fmt.Errorf("it should have failed with %s", want)
	}
	e, ok := errors.AsType[*wire.Error](err)
	if !ok {
		return fmt.Errorf("it should have been refused with %s: %w", want, err)
	}
	var data struct {
		Kind string `json:"kind"`
	}
	if raw, ok := e.Data.(json.RawMessage); ok {
		_ = json.Unmarshal(raw, &data)
	}
	if data.Kind != want && !strings.Contains(e.Message, want) {
		return fmt.Errorf("it was refused with kind %q (%s), not %s", data.Kind, e.Message, want)
	}
	return nil
}

// words splits a line. A word in double quotes may hold anything, with Go's escapes.
func words(text string) ([]string, error) {
	var out []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		if text[0] != '"' {
			word, rest, _ := strings.Cut(text, " ")
			out, text = append(out, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return nil, fmt.Errorf("a quote does not end: %s", text)
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		out, text = append(out, quoteMark+word), text[len(quoted):]
	}
	return out, nil
}

// quoteMark tells a quoted word from a bare one, which may be the name of a golden file. No
// script holds it otherwise.
const quoteMark = "\x00"

// literal is a word's text, quoted or bare.
func literal(word string) string { return strings.TrimPrefix(word, quoteMark) }

// content is a quoted text, or the golden file that a bare want/NAME names.
func (s *story) content(word string) (string, error) {
	if text, ok := strings.CutPrefix(word, quoteMark); ok {
		return text, nil
	}
	name, ok := strings.CutPrefix(word, "want/")
	text, there := s.golden[name]
	if !ok || !there {
		return "", fmt.Errorf("%s is neither a quoted text nor a want/ file of the story", word)
	}
	return text, nil
}

// storyTB says at which line of the story something went wrong.
type storyTB struct {
	testing.TB
	file string
	line line
}

func (s *storyTB) at() string {
	return fmt.Sprintf("%s:%d: %s\n", s.file, s.line.number, s.line.text)
}

// Errorf and its like put the story's line before the message.
func (s *storyTB) Errorf(format string, args ...any) {
	s.Helper()
	s.TB.Errorf("%s%s", s.at(), fmt.Sprintf(format, args...))
}

// Fatalf see Errorf.
func (s *storyTB) Fatalf(format string, args ...any) {
	s.Helper()
	s.TB.Fatalf("%s%s", s.at(), fmt.Sprintf(format, args...))
}

// Error see Errorf.
func (s *storyTB) Error(args ...any) { s.Helper(); s.TB.Error(s.at() + fmt.Sprint(args...)) }

// Fatal see Errorf.
func (s *storyTB) Fatal(args ...any) { s.Helper(); s.TB.Fatal(s.at() + fmt.Sprint(args...)) }
