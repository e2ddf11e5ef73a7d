package modal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A launcher is a small file: no more of it is read.
const maxLauncher = 16 << 10

// maxLaunchers bounds how many launchers may start one another.
const maxLaunchers = 4

var (
	pythonName = regexp.MustCompile(`^(?:python|pypy)\d*(?:\.\d+)*t?$`)
	shells     = []string{"sh", "bash", "dash", "zsh", "ksh", "ash", "mksh"}
	// relocatable is the launcher of an environment that may be moved: uv venv
	// --relocatable writes it. The name is of an interpreter beside the launcher itself.
	relocatable = regexp.MustCompile(`^"\$\([^)]*\$0[^']*\)"/'?([\w.]+)'?\s`)
)

// interpreterOf reads which Python a launcher starts: by its first line (execve(2)), also
// through env(1), or, where that names a shell, by the command that the script becomes.
// So look the launchers of pip, uv, pipx and conda. Nothing of it is run.
func interpreterOf(launcher string, on *paths) (string, error) {
	path := launcher
	for range maxLaunchers {
		next, err := startedBy(path, on)
		if err != nil {
			return "", err
		}
		if pythonName.MatchString(filepath.Base(next)) {
			return next, usable(next)
		}
		path = next
	}
	return "", errors.New("launchers start one another without end")
}

// startedBy gives the program that a script is run by or, if that is a shell, becomes.
func startedBy(path string, on *paths) (string, error) {
	head, err := readHead(path)
	if err != nil {
		return "", err
	}
	line, rest, _ := bytes.Cut(head, []byte("\n"))
	spec, ok := strings.CutPrefix(string(bytes.TrimSuffix(line, []byte("\r"))), "#!")
	if !ok {
		return "", fmt.Errorf("%s is no script", path)
	}
	spec = strings.TrimSpace(spec)
	words := strings.Fields(spec)
	if len(words) == 0 {
		return "", fmt.Errorf("%s names no interpreter", path)
	}
	program := words[0]
	if pythonName.MatchString(filepath.Base(spec)) && len(words) > 1 && executable(spec) {
		program = spec // a path with spaces, which the kernel would cut
	}
	if filepath.Base(program) == "env" {
		if program, err = throughEnv(words[1:]); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
	}
	switch {
	case pythonName.MatchString(filepath.Base(program)):
	case slices.Contains(shells, filepath.Base(program)):
		if program, err = becomes(string(rest), path); err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
	default:
		return "", fmt.Errorf("%s is run by %s", path, program)
	}
	if !strings.ContainsRune(program, '/') {
		return on.program(program)
	}
	if !filepath.IsAbs(program) {
		return "", fmt.Errorf("%s is run by %s, whatever that is where it is started", path, program)
	}
	return program, nil
}

func readHead(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxLauncher))
}

// throughEnv gives the program that env's arguments name. The kernel hands them over as
// one word, which env takes apart only with -S; that is not held against a launcher here.
func throughEnv(words []string) (string, error) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		if split, ok := strings.CutPrefix(w, "--split-string="); ok {
			w = split
		} else if after, ok := strings.CutPrefix(w, "-S"); ok {
			w = after
		}
		switch {
		case w == "", w == "--", w == "--split-string", strings.Contains(w, "=") && !strings.HasPrefix(w, "-"):
		case w == "-u", w == "-C", w == "--unset", w == "--chdir":
			i++
		case strings.HasPrefix(w, "-"):
		default:
			return w, nil
		}
	}
	return "", errors.New("env is told no program")
}

// becomes gives the program that a shell script turns into, by the first line that begins
// with exec. What stands in it is unquoted and never evaluated.
func becomes(script, path string) (string, error) {
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		rest, ok := strings.CutPrefix(line, "'''exec'")
		if !ok {
			rest, ok = strings.CutPrefix(line, "exec")
		}
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
			continue
		}
		rest = strings.TrimSpace(rest)
		if m := relocatable.FindStringSubmatch(rest); m != nil {
			real, err := filepath.EvalSymlinks(path)
			if err != nil {
				return "", err
			}
			return filepath.Join(filepath.Dir(real), m[1]), nil
		}
		words, err := unquote(rest)
		if err != nil {
			return "", err
		}
		for len(words) > 0 && strings.HasPrefix(words[0], "-") { // exec -a NAME, -c, -l
			words = words[min(len(words), 1+strings.Count(words[0], "a")):]
		}
		if len(words) == 0 || !filepath.IsAbs(words[0]) {
			return "", fmt.Errorf("what its line %q starts depends on where it runs", line)
		}
		return words[0], nil
	}
	return "", errors.New("it is a shell script without exec")
}

// unquote splits a simple command into words as a shell does (POSIX.1, Shell Command
// Language, 2.2 Quoting). A word with an expansion in it keeps its dollar sign in front, so
// that it cannot be taken for a path.
func unquote(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	open, expands := false, false
	var quote byte
	end := func() {
		if open {
			w := word.String()
			if expands {
				w = "$" + w
			}
			words = append(words, w)
		}
		word.Reset()
		open, expands = false, false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && !strings.ContainsRune("\"\\$`", rune(c)):
			word.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(line):
			i++
			if quote == '"' && !strings.ContainsRune("\"\\$`", rune(line[i])) {
				word.WriteByte('\\')
			}
			word.WriteByte(line[i])
			open = true
		case c == '$' || c == '`':
			expands, open = true, true
		case c == '\'' || c == '"':
			quote, open = c, true
		case c == ' ' || c == '\t':
			end()
		case c == '#' && !open, c == ';', c == '&', c == '|', c == '<', c == '>':
			end()
			return words, nil
		default:
			word.WriteByte(c)
			open = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	end()
	return words, nil
}
