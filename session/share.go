package session

import (
	"context"
	"path"
	"slices"
	"strings"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// What ignored folders hold does not go up, and commands need it: dependencies that were
// installed on the machine. A runtime of this machine is asked to lend such folders. They
// are no part of the tree: no sync or checkpoint looks into them.

// lendable gives the folders of the workspace that may be lent: those that an ignore rule
// leaves out and that a pattern names.
func lendable(ctx context.Context, ws *workspace.Workspace, patterns []string) ([]string, error) {
	if len(patterns) == 0 {
		return nil, nil
	}
	folders, err := ws.IgnoredFolders(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(folders, func(dir string) bool { return !namesFolder(patterns, dir) }), nil
}

// namesFolder reports whether one of the patterns names a folder: by its last names, as many as
// the pattern has.
func namesFolder(patterns []string, dir string) bool {
	names := strings.Split(dir, "/")
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		pattern = strings.Trim(pattern, "/")
		n := strings.Count(pattern, "/") + 1
		if pattern == "" || n > len(names) {
			return false
		}
		ok, err := path.Match(pattern, strings.Join(names[len(names)-n:], "/"))
		return ok && err == nil
	})
}

// lend says what the sandbox of a session that opens is to be lent.
func (s *Session) lend(spec *sandbox.Spec, o OpenOptions, p Progress) {
	spec.HostRoot = s.ws.Root()
	s.update(func(st *state) { st.HostRoot = spec.HostRoot })
	spec.Progress = func(message string) { p.say(message, -1) }
	spec.LendCaches = len(o.Share) > 0
	if spec.LendCaches {
		ws := s.ws
		spec.Lend = func(ctx context.Context) ([]string, error) { return lendable(ctx, ws, o.Share) }
	}
}

// noteLent keeps what became of it.
func (s *Session) noteLent(ctx context.Context, sb sandbox.Sandbox) {
	var have []string
	for _, l := range sb.Info().Lent {
		if l.Problem != "" {
			s.warn("%s is not in the sandbox: %s", l.Path, l.Problem)
			continue
		}
		have = append(have, l.Path)
	}
	s.update(func(st *state) { st.Lent = have })
	s.noticeLent(ctx, sb)
}

// withoutLent adds rules which leave out what was lent: it may be ignored by a rule of its
// own, as virtual environments are.
func (s *Session) withoutLent(rules []tree.IgnoreFile) []tree.IgnoreFile {
	lent := s.snapshotState().Lent
	if len(lent) == 0 {
		return rules
	}
	var b strings.Builder
	for _, dir := range lent {
		b.WriteString("/" + ruleFor.Replace(dir) + "/\n")
	}
	return append(slices.Clone(rules), tree.IgnoreFile{Content: []byte(b.String())})
}

// ruleFor writes a name as a pattern of gitignore(5) that matches it alone.
var ruleFor = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, ` `, `\ `)
