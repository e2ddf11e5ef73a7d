package lsptest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.lsp.dev/uri"
)

// The parts of glue/'s shapes that stories look at.
type (
	payload struct {
		Data     string `json:"data"`
		Encoding string `json:"encoding"`
	}
	execResult struct {
		ExitCode int     `json:"exitCode"`
		TimedOut bool    `json:"timedOut"`
		Stdout   payload `json:"stdout"`
		Stderr   payload `json:"stderr"`
	}
	fileChange struct {
		Path    string `json:"path"`
		OldPath string `json:"oldPath"`
		Status  string `json:"status"`
	}
	conflict struct {
		Path   string `json:"path"`
		Kind   string `json:"kind"`
		Detail string `json:"detail"`
	}
	skipped struct {
		Path   string `json:"path"`
		Reason string `json:"reason"`
	}
	returnResult struct {
		Files     []fileChange `json:"files"`
		Applied   bool         `json:"applied"`
		Conflicts []conflict   `json:"conflicts"`
		Skipped   []skipped    `json:"skipped"`
	}
)

// text is the payload's bytes; a broken one says so, since nothing expects that.
func (p payload) text() string {
	if p.Encoding != "base64" {
		return p.Data
	}
	data, err := base64.StdEncoding.DecodeString(p.Data)
	if err != nil {
		return fmt.Sprintf("(broken base64: %v)", err)
	}
	return string(data)
}

func session(s *story, args []string) error {
	if len(args) == 0 {
		return errors.New("want what to do with the session")
	}
	switch args[0] {
	case "open":
		return s.call("glue/session/open", object{"runtime": s.o.Runtime, "workspaceFolder": string(uri.File(s.editor.o.Root))}, nil)
	case "sync":
		s.returned = returnResult{}
		return s.call("glue/session/sync", object{}, &s.returned)
	case "checkpoint":
		return s.call("glue/session/checkpoint", object{}, nil)
	case "discard":
		params := object{}
		if len(args) > 1 {
			params["paths"] = args[1:]
		}
		return s.call("glue/session/discard", params, nil)
	case "undo", "close":
		return s.bring("glue/session/"+args[0], object{})
	}
	return fmt.Errorf("there is no session %s", args[0])
}

func sessions(s *story, want string) error {
	var list struct {
		Sessions []struct {
			ID    string `json:"id"`
			State string `json:"state"`
		} `json:"sessions"`
	}
	if err := s.call("glue/session/list", object{}, &list); err != nil {
		return err
	}
	if n, err := strconv.Atoi(want); err != nil || n != len(list.Sessions) {
		return fmt.Errorf("%d are listed: %v", len(list.Sessions), list.Sessions)
	}
	return nil
}

func bringBack(s *story, args []string) error {
	params := object{}
	var paths, confirm []string
	var resolutions []object
	for _, arg := range args {
		key, value, found := strings.Cut(arg, "=")
		switch {
		case !found:
			paths = append(paths, arg)
		case key == "mode":
			params["mode"] = value
		case key == "confirm":
			confirm = append(confirm, value)
		case key == "mine" || key == "theirs":
			resolutions = append(resolutions, object{"path": value, "choice": key})
		default:
			return fmt.Errorf("return does not know %q", key)
		}
	}
	if paths != nil {
		params["paths"] = paths
	}
	if confirm != nil {
		params["confirm"] = confirm
	}
	if resolutions != nil {
		params["resolutions"] = resolutions
	}
	return s.bring("glue/session/return", params)
}

func (s *story) bring(method string, params object) error {
	s.returned = returnResult{}
	err := s.call(method, params, &s.returned)
	s.editor.NoticeDisk()
	return err
}

func (s *story) exec(command string, status int) error {
	s.last = execResult{}
	if err := s.call("glue/exec", object{"command": command}, &s.last); err != nil {
		return err
	}
	return s.exited(status)
}

func (s *story) exited(status int) error {
	if s.last.ExitCode != status {
		return fmt.Errorf("it exited with %d\nstdout: %s\nstderr: %s", s.last.ExitCode, s.last.Stdout.text(), s.last.Stderr.text())
	}
	return nil
}

func begin(s *story, command string) error {
	if s.running != nil {
		return errors.New("a command was begun already")
	}
	s.running = s.editor.Begin("glue/exec", object{"command": command})
	return nil
}

func cancel(s *story, _ []string) error {
	if s.running == nil {
		return errors.New("no command was begun")
	}
	s.running.Cancel()
	<-s.running.Done()
	if !errors.Is(s.running.err, context.Canceled) {
		return fmt.Errorf("it had ended already: %w", s.running.err)
	}
	s.running = nil
	return nil
}

func finish(s *story, _ []string) error {
	if s.running == nil {
		return errors.New("no command was begun")
	}
	p := s.running
	s.running, s.last = nil, execResult{}
	if err := p.Wait(&s.last); err != nil {
		return err
	}
	return s.exited(0)
}

func checkSandbox(s *story, args []string) error {
	if len(args) < 2 {
		return errors.New("want a file and what it is like")
	}
	if args[1] == "absent" {
		var found struct {
			Exists bool `json:"exists"`
		}
		if err := s.call("glue/fs/exists", object{"path": args[0]}, &found); err != nil {
			return err
		}
		if found.Exists {
			return fmt.Errorf("%s is in the sandbox", args[0])
		}
		return nil
	}
	var file payload
	if err := s.call("glue/fs/readFile", object{"path": args[0]}, &file); err != nil {
		return err
	}
	return s.compare(file.text(), args[1:])
}

func checkApplied(s *story, want string) error {
	if have := map[bool]string{true: "yes", false: "no"}[s.returned.Applied]; have != want {
		return fmt.Errorf("applied: %s; %+v", have, s.returned)
	}
	return nil
}

func checkReturned(s *story, want []string) error {
	var have []string
	for _, f := range s.returned.Files {
		have = append(have, f.Path)
	}
	if slices.Equal(want, []string{"nothing"}) {
		want = nil
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		return fmt.Errorf("these came back: %q; %+v", have, s.returned)
	}
	return nil
}

func checkConflict(s *story, args []string) error {
	if slices.Equal(args, []string{"none"}) && len(s.returned.Conflicts) == 0 {
		return nil
	}
	for _, c := range s.returned.Conflicts {
		if len(args) > 0 && c.Path == args[0] && (len(args) == 1 || c.Kind == args[1]) {
			return nil
		}
	}
	return fmt.Errorf("the conflicts are %+v", s.returned.Conflicts)
}

func checkSkipped(s *story, args []string) error {
	for _, f := range s.returned.Skipped {
		if len(args) > 0 && f.Path == args[0] && (len(args) == 1 || strings.Contains(f.Reason, literal(args[1]))) {
			return nil
		}
	}
	return fmt.Errorf("left out were %+v", s.returned.Skipped)
}
