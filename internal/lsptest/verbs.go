package lsptest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// verb is a word that a story's line begins with.
type verb struct {
	usage, what string
	setUp       bool // only before what people do
	run         func(s *story, args []string) error
	raw         func(s *story, rest string) error // instead of run: takes the line as it is
}

// verbs is the whole language of stories; the package's documentation lists it.
func verbs() map[string]verb {
	return map[string]verb{
		"client":    {usage: "client NAME", what: "the editor is this one (see Profiles); vscode without it", setUp: true, run: setClient},
		"runtime":   {usage: "runtime NAME…", what: "the story is only for these runtimes", setUp: true, run: func(*story, []string) error { return nil }},
		"workspace": {usage: "workspace DIR", what: "the workspace folder is this one in the repository", setUp: true, run: setWorkspace},
		"without":   {usage: "without git", what: "the folder is no repository", setUp: true, run: setWithout},

		"open":  {usage: "open F", what: "open a file", run: one(func(s *story, f string) error { s.editor.Open(f); return nil })},
		"edit":  {usage: `edit F L:C-L:C "TEXT"`, what: "replace a range, counted in characters from 0", run: edit},
		"save":  {usage: "save F", what: "save a buffer", run: one(func(s *story, f string) error { s.editor.Save(f); return nil })},
		"close": {usage: "close F", what: "close a buffer without saving", run: one(func(s *story, f string) error { s.editor.Close(f); return nil })},
		"edits": {usage: "edits apply|refuse|hang|later|release|save", what: "how edits of the server's are answered; save: clean files are saved after them", run: one(answerEdits)},
		"press": {usage: `press "BUTTON"`, what: "from now on, press this button where a message has it", run: one(press)},
		"tick":  {usage: "tick F…", what: "in previews, tick what is asked about these files", run: tick},

		"host":       {usage: "host CMD", what: "another program on the host runs this in the repository, by sh", raw: func(s *story, cmd string) error { return s.afterHost(s.host(cmd)) }},
		"host-write": {usage: `host-write F "TEXT"|want/F`, what: "another program on the host writes a file", run: hostWrite},

		"session":  {usage: "session open|sync|checkpoint|discard [F…]|undo|close", what: "what it says; undo and close return as return does", run: session},
		"sessions": {usage: "sessions N", what: "so many are listed, unreturned ones included", run: one(sessions)},
		"return":   {usage: "return [mode=M] [confirm=F…] [mine=F…] [theirs=F…] [F…]", what: "bring changes back, all or those of the named files", run: bringBack},
		"restart":  {usage: "restart", what: "the server crashes and the editor starts it again", run: restart},

		"exec":   {usage: "exec CMD", what: "run a command in the sandbox; it exits with 0", raw: func(s *story, cmd string) error { return s.exec(cmd, 0) }},
		"exits":  {usage: "exits N CMD", what: "run a command in the sandbox; it exits with N", raw: exits},
		"begin":  {usage: "begin CMD", what: "start a command in the sandbox and go on", raw: begin},
		"cancel": {usage: "cancel", what: "take the begun command back", run: cancel},
		"finish": {usage: "finish", what: "wait for the begun command; it exits with 0", run: finish},

		"stdout":   {usage: "stdout ==|contains X", what: "what the last command printed; X is a quoted text or want/F", run: func(s *story, args []string) error { return s.compare(s.last.Stdout.text(), args) }},
		"stderr":   {usage: "stderr ==|contains X", what: "the same for its standard error", run: func(s *story, args []string) error { return s.compare(s.last.Stderr.text(), args) }},
		"buffer":   {usage: "buffer F ==|contains X, or clean|dirty|closed", what: "what the editor shows", run: checkBuffer},
		"disk":     {usage: "disk F ==|contains X, or absent", what: "what the host's disk holds", run: checkDisk},
		"sandbox":  {usage: "sandbox F ==|contains X, or absent", what: "what the sandbox holds", run: checkSandbox},
		"applied":  {usage: "applied yes|no", what: "the last return said so", run: one(checkApplied)},
		"returned": {usage: "returned F… or nothing", what: "the last return brought back these files and no others", run: checkReturned},
		"conflict": {usage: "conflict F [KIND] or none", what: "the last return or sync had this one, or none", run: checkConflict},
		"skipped":  {usage: "skipped F [TEXT]", what: "the last return left this out, for a reason with this text", run: checkSkipped},
		"message":  {usage: `message "TEXT"`, what: "the person gets to see a message with this text", run: one(func(s *story, text string) error { s.editor.Await(SawMessage(text)); return nil })},
		"shown":    {usage: "shown TEXT", what: "a document with this in its URI is shown", run: one(func(s *story, text string) error { s.editor.Await(Showed(text)); return nil })},

		"fails": {usage: "fails KIND LINE", what: "the rest of the line is refused with this kind, or this text in its message", raw: fails},
	}
}

func one(f func(s *story, arg string) error) func(*story, []string) error {
	return func(s *story, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("want one word, have %d", len(args))
		}
		return f(s, literal(args[0]))
	}
}

func setClient(s *story, args []string) error {
	p, ok := Profiles()[strings.Join(args, " ")]
	if !ok {
		return fmt.Errorf("there is no client %q", args)
	}
	s.profile = p
	return nil
}

func setWorkspace(s *story, args []string) error {
	s.workspace = strings.Join(args, " ")
	return nil
}

func setWithout(s *story, args []string) error {
	if !slices.Equal(args, []string{"git"}) {
		return errors.New("only git can be done without")
	}
	s.noGit = true
	return nil
}

func edit(s *story, args []string) error {
	if len(args) != 3 {
		return errors.New("want a file, a range and a text")
	}
	s.editor.Edit(args[0], args[1], literal(args[2]))
	return nil
}

func answerEdits(s *story, how string) error {
	switch how {
	case "apply":
		s.editor.AnswerEdits(Apply)
	case "refuse":
		s.editor.AnswerEdits(Refuse)
	case "hang":
		s.editor.AnswerEdits(Hang)
	case "later":
		s.editor.AnswerEdits(Later)
	case "release":
		s.editor.ReleaseEdits()
	case "save":
		s.editor.SaveCleanFiles()
	default:
		return fmt.Errorf("edits cannot be answered with %q", how)
	}
	return nil
}

func tick(s *story, files []string) error {
	s.editor.OnConfirm(func(_, file string) bool { return slices.Contains(files, file) })
	return nil
}

func press(s *story, button string) error {
	s.editor.OnMessage(func(m Message) string {
		if slices.Contains(m.Actions, button) {
			return button
		}
		return ""
	})
	return nil
}

// afterHost lets the editor see what another program did.
func (s *story) afterHost(err error) error {
	if err == nil {
		s.editor.NoticeDisk()
	}
	return err
}

func hostWrite(s *story, args []string) error {
	if len(args) != 2 {
		return errors.New("want a file and its content")
	}
	text, err := s.content(args[1])
	if err != nil {
		return err
	}
	path := s.editor.path(args[0])
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return s.afterHost(os.WriteFile(path, []byte(text), 0o644))
}

func restart(s *story, _ []string) error {
	s.editor = s.editor.Restart(s.start(s.tb, s.home))
	return nil
}

func fails(s *story, rest string) error {
	kind, line, _ := strings.Cut(rest, " ")
	return failedWith(s.perform(strings.TrimSpace(line)), kind)
}

func checkBuffer(s *story, args []string) error {
	if len(args) == 2 {
		open, dirty := s.editor.IsOpen(args[0]), s.editor.IsDirty(args[0])
		state := map[bool]string{true: "dirty", false: "clean"}[dirty]
		if !open {
			state = "closed"
		}
		if state != args[1] {
			return fmt.Errorf("%s is %s in the editor", args[0], state)
		}
		return nil
	}
	if len(args) != 3 {
		return errors.New("want a file and what its buffer is like")
	}
	return s.compare(s.editor.Buffer(args[0]), args[1:])
}

func checkDisk(s *story, args []string) error {
	if len(args) < 2 {
		return errors.New("want a file and what it is like")
	}
	data, err := os.ReadFile(s.editor.path(args[0]))
	if args[1] == "absent" {
		if os.IsNotExist(err) {
			return nil
		}
		return fmt.Errorf("%s is there: %q", args[0], data)
	}
	if err != nil {
		return err
	}
	return s.compare(string(data), args[1:])
}

// compare holds a text against "== X" or "contains X".
func (s *story) compare(have string, args []string) error {
	if len(args) != 2 {
		return errors.New("want == or contains, and a text")
	}
	want, err := s.content(args[1])
	if err != nil {
		return err
	}
	switch args[0] {
	case "==":
		if have != want {
			return fmt.Errorf("it is\n%s\nnot\n%s\n(%q)", have, want, have)
		}
	case "contains":
		if !strings.Contains(have, want) {
			return fmt.Errorf("it does not hold %q:\n%s", want, have)
		}
	default:
		return fmt.Errorf("%q is no comparison", args[0])
	}
	return nil
}

func exits(s *story, rest string) error {
	status, command, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(status)
	if err != nil {
		return err
	}
	return s.exec(strings.TrimSpace(command), n)
}
