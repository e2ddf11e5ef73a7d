package handlers

import (
	"bytes"
	"errors"
	"path"
	"strings"

	"glue-lsp/session"
)

// runTarget is a file, or a part of it, that a runner knows how to run.
type runTarget struct {
	URI   string     `json:"uri"`
	Name  string     `json:"name,omitzero" doc:"a test in the file; parts of its name are joined by ::"`
	Range *textRange `json:"range,omitzero" doc:"a selection; the file must be open"`
}

// check is called by what holds a target in the member named field.
func (t *runTarget) check(field string) error {
	if t.Name != "" && t.Range != nil {
		return badParam(field+".range", "must not be given together with name")
	}
	if err := checkNUL(t.Name); err != nil {
		return badParam(field+".name", "%v", err)
	}
	return nil
}

// runPlan is how a target is run, where cwd is not "" from another folder than the session's.
type runPlan struct {
	title   string
	file    string // on the host
	options func(sess *session.Session, cwd string) (session.ExecOptions, error)
}

// planRun finds the first runner that can run the target. Errors name members of field.
func (s *Server) planRun(field string, t runTarget) (runPlan, error) {
	file, err := hostPath(t.URI)
	if err != nil {
		return runPlan{}, badParam(field+".uri", "%v", err)
	}
	v, open := s.peer.Load().docs.view(file)
	template, sub, what := runOf, subject{}, ""
	switch {
	case t.Range != nil:
		if !open {
			return runPlan{}, badParam(field+".uri", "the file is not open, so it has no selection")
		}
		if sub.text, err = s.selected(v, *t.Range); err != nil {
			return runPlan{}, badParam(field+".range", "%v", err)
		}
		template, what = selectionOf, "selection of "
	case t.Name != "":
		sub.name = t.Name
		template, what = testOf, t.Name+" in "
	}
	if !open {
		v.text = readDisk(file, detectLimit)
	}
	language := languageOf(v.language, file, v.text)
	r, ok := firstRunner(runners(s.currentSettings().Runners, language, file), template)
	if !ok {
		return runPlan{}, &session.Error{
			Kind: kindUnsupported, Op: "run " + path.Base(file), Path: file, Message: "no runner is known for this kind of file",
			Hint: "add one to the setting runners",
		}
	}
	if r.identifiers && sub.name != "" && !isIdentifier(sub.name) {
		return runPlan{}, badParam(field+".name", "%q is not a name of a test in this language", clip(sub.name, 80))
	}
	return runPlan{what + path.Base(file), file, func(sess *session.Session, cwd string) (session.ExecOptions, error) {
		info := sess.Info()
		where, err := fileInSandbox(info, inRealFolder(file))
		if err != nil {
			return session.ExecOptions{}, err
		}
		if cwd != "" && !path.IsAbs(where) {
			where = path.Join(info.Cwd, where) // elsewhere it would name another file
		}
		sub.file = where
		return session.ExecOptions{Command: fill(template(r), sub), Cwd: cwd}, nil
	}}, nil
}

// selected gives the text of a selection, so that it can be run by itself.
func (s *Server) selected(v view, r textRange) (string, error) {
	from, to, err := r.offsets(v.text, v.starts, s.peer.Load().client.encoding)
	if err != nil {
		return "", err
	}
	if from == to {
		return "", errors.New("nothing is selected")
	}
	// Whole lines keep their indentation, which then is taken off alike.
	lineStart := v.starts[lineOf(v.starts, from)]
	if len(bytes.TrimLeft(v.text[lineStart:from], " \t")) == 0 {
		from = lineStart
	}
	text := dedent(string(uniformLines(v.text[from:to])))
	if strings.ContainsRune(text, 0) {
		return "", errors.New("the selection holds a NUL character")
	}
	return text, nil
}

// dedent takes the indentation off that all lines share; languages that care would
// refuse it.
func dedent(text string) string {
	lines := strings.SplitAfter(text, "\n")
	common, first := "", true
	for _, l := range lines {
		body := strings.TrimLeft(l, " \t")
		if strings.TrimSpace(body) == "" {
			continue
		}
		indent := l[:len(l)-len(body)]
		if first {
			common, first = indent, false
			continue
		}
		n := 0
		for n < len(common) && n < len(indent) && common[n] == indent[n] {
			n++
		}
		common = common[:n]
	}
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, common)
	}
	return strings.Join(lines, "")
}

func isIdentifier(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 0x7F
		if !letter && (i == 0 || r != ':' && (r < '0' || r > '9')) {
			return false
		}
	}
	return name != ""
}

// inRealFolder follows the links of a file's folder, but not a link that the file itself
// is: a link in the tree is run as such.
func inRealFolder(file string) string {
	return path.Join(resolved(path.Dir(file)), path.Base(file))
}

// fileInSandbox gives a host file's place: relative to the cwd where it lies below it,
// else absolute.
func fileInSandbox(info session.Info, file string) (string, error) {
	if isBelow(file, info.Folder) && file != info.Folder {
		return strings.TrimPrefix(strings.TrimPrefix(file, info.Folder), "/"), nil
	}
	// The folder is the cwd's twin; the root's is as many folders up.
	sub := strings.TrimPrefix(strings.TrimPrefix(info.Cwd, info.Root), "/")
	hostRoot := path.Clean(strings.TrimSuffix(info.Folder, "/"+sub))
	if sub == "" {
		hostRoot = info.Folder
	}
	if isBelow(file, hostRoot) && file != hostRoot {
		return path.Join(info.Root, strings.TrimPrefix(file, hostRoot)), nil
	}
	return "", &session.Error{
		Kind: kindUnsupported, Op: "run " + path.Base(file), Path: file, Session: info.ID,
		Message: "the file is outside of the tree that is in the sandbox", Hint: "open a session on its folder",
	}
}
