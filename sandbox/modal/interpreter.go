package modal

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"glue-lsp/sandbox"
)

// The oldest versions that the sidecar works with.
var (
	oldestPython = [2]int{3, 10}
	oldestSDK    = [2]int{1, 6} // its sandboxes have tags and a file interface of their own
)

// maxCandidates bounds how many interpreters are tried.
const maxCandidates = 8

// interpreter is a Python that can run the sidecar.
type interpreter struct {
	path    string // what to execute, absolute
	version string // of Python
	sdk     string // of Modal's package
	how     string // it was found, for people
}

// candidate is an interpreter that may do.
type candidate struct{ path, how string }

// findInterpreter gives the interpreter that modal.python_path names or, where that is not
// set, the first with a usable package modal of: the one that runs the modal command, the
// python3 and then the python on PATH. Errors are of kind RuntimeUnavailable, with the
// command that helps, or ctx's.
func findInterpreter(ctx context.Context, o Options) (interpreter, error) {
	s := &search{cli: cliOf(o), python: o.Python, environ: probeEnviron(o.Environ), paths: newPaths(o.Environ, o.Avoid)}
	if o.Home != "" {
		s.answers = loadAnswers(filepath.Join(o.Home, "cache", "interpreters.json"), o.Environ)
		defer s.answers.save()
	}
	if s.python != "" {
		return s.named(ctx)
	}
	candidates, err := s.candidates()
	if err != nil {
		return interpreter{}, err
	}
	whole, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	for _, c := range candidates {
		it, err := s.tryOne(whole, c)
		if err == nil {
			return it, nil
		}
		if ctx.Err() != nil {
			return interpreter{}, ctx.Err()
		}
		s.misses = append(s.misses, miss{c, err})
		if whole.Err() != nil {
			break
		}
	}
	return interpreter{}, s.failure()
}

const (
	defaultCLI = "modal"
	// searchTimeout bounds the search as a whole: interpreters may hang, and on a busy
	// machine one that is well may take long.
	searchTimeout = 45 * time.Second
)

func cliOf(o Options) string { return cmp.Or(o.CLI, defaultCLI) }

// search is one look for an interpreter.
type search struct {
	python, cli string // as the settings say
	environ     []string
	paths       *paths
	answers     *answers // what interpreters said before; nil keeps nothing
	notes       []string // what was passed over, and why
	misses      []miss
}

// miss is a candidate that does not do.
type miss struct {
	candidate
	why *unfit
}

// named tries the interpreter that the person chose, and no other one.
func (s *search) named(ctx context.Context) (interpreter, error) {
	path, err := s.paths.program(s.python)
	if err != nil {
		return interpreter{}, &sandbox.Error{
			Kind: sandbox.RuntimeUnavailable, Op: opInterpreter, Message: "modal.python_path (MODAL_PYTHON): " + err.Error(),
			Hint: "set it to a Python interpreter's absolute path, or remove it to have one found", Err: err,
		}
	}
	it, unfit := s.try(ctx, candidate{path, "modal.python_path (MODAL_PYTHON)"})
	if unfit == nil {
		return it, nil
	}
	if ctx.Err() != nil {
		return interpreter{}, ctx.Err()
	}
	return interpreter{}, &sandbox.Error{
		Kind: sandbox.RuntimeUnavailable, Op: opInterpreter,
		Message: "modal.python_path (MODAL_PYTHON): " + path + " " + unfit.why, Hint: unfit.remedy, Err: unfit,
	}
}

const opInterpreter = "find a Python for Modal"

// candidates are the interpreters to try, best first. Only a modal command that was named
// and cannot be had is an error.
func (s *search) candidates() ([]candidate, error) {
	var all []candidate
	seen := map[string]bool{}
	add := func(c candidate) {
		if key := identity(c.path); !seen[key] && len(all) < maxCandidates {
			seen[key] = true
			all = append(all, c)
		}
	}
	cli, err := s.paths.modalCommand(s.cli)
	switch {
	case err == nil:
		for _, c := range s.behind(cli) {
			add(c)
		}
	case s.cli != defaultCLI:
		return nil, &sandbox.Error{
			Kind: sandbox.RuntimeUnavailable, Op: opInterpreter, Message: "modal.modal_cli (MODAL_CLI): " + err.Error(),
			Hint: "set it to the modal command's absolute path, or remove it", Err: err,
		}
	default:
		s.notes = append(s.notes, err.Error())
	}
	for _, name := range []string{"python3", "python"} {
		for _, path := range s.paths.all(name) {
			add(candidate{path, name + " on PATH"})
		}
	}
	return all, nil
}

// behind gives the interpreters that may run the modal command: the one that it names, or,
// where that cannot be read from it, those beside it.
func (s *search) behind(cli string) []candidate {
	how := "the interpreter of the modal command " + cli
	python, err := interpreterOf(cli, s.paths)
	if err == nil {
		if inside := s.paths.within(python); inside != "" {
			s.notes = append(s.notes, fmt.Sprintf("%s is run by %s, which is in the workspace %s", cli, python, inside))
			return nil
		}
		return []candidate{{python, how}}
	}
	s.notes = append(s.notes, fmt.Sprintf("how %s starts Python cannot be told: %v", cli, err))
	var out []candidate
	dirs := []string{filepath.Dir(cli)}
	if real, err := filepath.EvalSymlinks(cli); err == nil && filepath.Dir(real) != dirs[0] {
		dirs = append([]string{filepath.Dir(real)}, dirs...)
	}
	for _, dir := range dirs {
		for _, name := range []string{"python3", "python"} {
			if path := filepath.Join(dir, name); executable(path) && s.paths.within(path) == "" {
				out = append(out, candidate{path, "beside the modal command " + cli})
			}
		}
	}
	return out
}

// tryOne leaves half of the time for those that come after it.
func (s *search) tryOne(ctx context.Context, c candidate) (interpreter, *unfit) {
	if end, ok := ctx.Deadline(); ok {
		half, cancel := context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
		ctx = half
	}
	return s.try(ctx, c)
}

// try asks a candidate what it is and judges the answer.
func (s *search) try(ctx context.Context, c candidate) (interpreter, *unfit) {
	said, err := s.ask(ctx, c.path)
	if err != nil {
		return interpreter{}, &unfit{why: "does not run: " + err.Error(), remedy: installPython, err: err}
	}
	if why := s.judge(c.path, said); why != nil {
		return interpreter{}, why
	}
	it := interpreter{path: c.path, version: said.version(), sdk: said.Modal, how: c.how}
	if s.python == "" && filepath.IsAbs(said.Executable) && s.paths.within(said.Executable) == "" {
		// A shim picks by the folder it is started in; what it picked now is what was asked.
		it.path = said.Executable
	}
	return it, nil
}

// failure says of each candidate why it does not do, and how to mend the first.
func (s *search) failure() error {
	e := &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: opInterpreter}
	if len(s.misses) == 0 {
		e.Message = "there is no Python on PATH"
		e.Hint = installPython
	} else {
		best := s.misses[0]
		why := make([]string, len(s.misses))
		for i, m := range s.misses {
			why[i] = m.path + " " + m.why.why
			// Whoever has the package, of any version, or a Python that is new enough, is
			// closest to working.
			if m.why.rank > best.why.rank {
				best = m
			}
		}
		e.Message, e.Hint, e.Err = "none has a usable package modal: "+strings.Join(why, "; "), best.why.remedy, best.why
	}
	for _, avoided := range s.paths.avoided {
		s.notes = append(s.notes, avoided+" was not looked at, since a workspace may have filled it")
	}
	if len(s.paths.avoided) > 0 {
		e.Hint += "; or name an interpreter by modal.python_path"
	}
	if len(s.notes) > 0 {
		e.Message += " (" + strings.Join(s.notes, "; ") + ")"
	}
	return e
}
