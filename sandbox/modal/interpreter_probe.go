package modal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"glue-lsp/sidecar"
)

// Bounds of one question to an interpreter.
const (
	probeTimeout = 30 * time.Second
	maxProbe     = 64 << 10
)

// probeScript asks an interpreter what it is, in words that Python 3.4 understands too. It
// looks for the package where the sidecar will, and does not import it. The last line that
// it prints is the answer, whatever else the interpreter's own start prints.
const probeScript = `
import json, sys
said = {"executable": sys.executable or "", "version": list(sys.version_info[:3]), "venv": sys.prefix != getattr(sys, "base_prefix", sys.prefix)}
if sys.version_info >= (3, 10):
    import importlib.metadata, importlib.util, os, site, sysconfig
    launch = {"__name__": "launch", "__file__": ""}
    exec(compile(sys.argv[1], "launch.py", "exec"), launch)
    packages = launch["user_packages"]()
    if packages:
        site.addsitedir(packages)
    said["pip"] = importlib.util.find_spec("pip") is not None
    said["managed"] = os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
    try:
        modal = importlib.metadata.distribution("modal")
        said["modal"] = modal.version
        said["at"] = str(getattr(modal, "_path", ""))
    except importlib.metadata.PackageNotFoundError:
        pass
    spec = importlib.util.find_spec("modal")
    said["importable"] = spec is not None and spec.origin is not None
print("\nglue-lsp " + json.dumps(said))
`

const answerMark = "glue-lsp "

// answer is what an interpreter says of itself.
type pythonAnswer struct {
	Executable string `json:"executable"` // as it knows itself
	Version    []int  `json:"version"`
	Venv       bool   `json:"venv"`    // it is a virtual environment's
	Managed    bool   `json:"managed"` // the system's, which pip must not change (PEP 668)
	Pip        bool   `json:"pip"`
	Modal      string `json:"modal"`      // version of Modal's package, "" if it is not there
	At         string `json:"at"`         // where that version stands
	Importable bool   `json:"importable"` // the package is there too, not only its record
}

func (a pythonAnswer) version() string {
	parts := make([]string, len(a.Version))
	for i, n := range a.Version {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, ".")
}

// ask asks one interpreter, or remembers what it said.
func (s *search) ask(ctx context.Context, path string) (pythonAnswer, error) {
	if said, ok := s.answers.remembered(path); ok {
		return said, nil
	}
	said, err := probe(ctx, path, s.environ)
	if err == nil {
		s.answers.keep(path, said)
	}
	return said, err
}

// probe runs an interpreter once, isolated (-I) and in a folder that is nobody's, so that
// neither a workspace nor PYTHONPATH has a say in what it imports.
func probe(ctx context.Context, path string, environ []string) (pythonAnswer, error) {
	var said pythonAnswer
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-I", "-c", probeScript, sidecar.Launcher())
	cmd.Dir = "/"
	cmd.Env = environ
	var out, complaints bounded
	cmd.Stdout, cmd.Stderr = &out, &complaints
	// Shims start others: all of them end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if at := strings.LastIndex(out.String(), "\n"+answerMark); at >= 0 && json.Unmarshal([]byte(out.String()[at+1+len(answerMark):]), &said) == nil {
		return said, nil
	}
	switch {
	case strings.Contains(complaints.String(), "Unknown option: -I"):
		return pythonAnswer{Version: []int{2}}, nil // isolated mode came with Python 3.4
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return said, errors.New("it does not answer in time")
	case ctx.Err() != nil:
		return said, ctx.Err()
	case strings.TrimSpace(complaints.String()) != "":
		lines := strings.Split(strings.TrimSpace(complaints.String()), "\n")
		return said, errors.New(clip(lines[len(lines)-1], 200))
	case err != nil:
		return said, err
	}
	return said, errors.New("it does not answer as a Python does")
}

// bounded keeps the end of what is written to it, and takes all.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > maxProbe {
		p = p[len(p)-maxProbe:]
	}
	if over := b.Len() + len(p) - maxProbe; over > 0 {
		b.Next(over)
	}
	b.Buffer.Write(p)
	return n, nil
}

// ReadFrom hides the buffer's own, which is not bounded.
func (b *bounded) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{b}, r)
}

// probeEnviron is the environment of an interpreter that is only asked: it has no need of
// tokens, and it may be anybody's.
func probeEnviron(environ []string) []string {
	var out []string
	for _, kv := range sidecarEnviron(environ) {
		if !strings.HasPrefix(kv, "MODAL_TOKEN_") {
			out = append(out, kv)
		}
	}
	return out
}

// unfit says why an interpreter does not do.
type unfit struct {
	why    string // after its path: "is Python 3.9.2; …"
	remedy string // the command that helps
	rank   int    // how much of what is needed it has
	err    error
}

func (u *unfit) Error() string { return u.why }
func (u *unfit) Unwrap() error { return u.err }

// judge says what an interpreter lacks; nil is nothing.
func (s *search) judge(path string, said pythonAnswer) *unfit {
	if len(said.Version) < 2 || older(said.Version, oldestPython) {
		return &unfit{
			why:    fmt.Sprintf("is Python %s, %d.%d or later is needed", said.version(), oldestPython[0], oldestPython[1]),
			remedy: installPython, rank: 1,
		}
	}
	switch needed := fmt.Sprintf("%d.%d or later is needed", oldestSDK[0], oldestSDK[1]); {
	case said.Modal == "":
		return &unfit{why: "has no package modal", remedy: s.install(path, said, false), rank: 2}
	case older(numbers(said.Modal), oldestSDK):
		return &unfit{why: "has modal " + clip(said.Modal, 40) + ", " + needed, remedy: s.install(path, said, true), rank: 3}
	case !said.Importable:
		return &unfit{why: "has only the record of the package modal, not the package itself", remedy: s.install(path, said, true), rank: 3}
	}
	return nil
}

func older(version []int, than [2]int) bool {
	for i, n := range than {
		if i >= len(version) || version[i] != n {
			return i >= len(version) || version[i] < n
		}
	}
	return false
}

// numbers are those that a version begins with (PEP 440).
func numbers(version string) []int {
	var out []int
	for part := range strings.SplitSeq(version, ".") {
		digits := part[:len(part)-len(strings.TrimLeft(part, "0123456789"))]
		n, err := strconv.Atoi(digits)
		if err != nil {
			break
		}
		out = append(out, n)
	}
	return out
}

const installPython = "install Python 3.10 or later and, for it, the package modal, e.g.: uv tool install modal"

// install is the command that gives an interpreter the package.
func (s *search) install(path string, said pythonAnswer, upgrade bool) string {
	option, verb := "", "install"
	if upgrade {
		option, verb = "--upgrade ", "upgrade"
	}
	switch at := filepath.ToSlash(path); {
	case strings.Contains(at, "/uv/tools/"):
		return "run: uv tool " + verb + " modal"
	case strings.Contains(at, "/pipx/venvs/"):
		return "run: pipx " + verb + " modal"
	case !said.Pip && executableNamed(s.paths, "uv"):
		return "run: uv pip install " + option + "--python " + shellWord(path) + " modal"
	case said.Venv:
		return "run: " + shellWord(path) + " -m pip install " + option + "modal"
	case said.Managed && executableNamed(s.paths, "uv"):
		return "run: uv tool install " + option + "modal"
	case said.Managed || !said.Pip:
		return "run: pipx install modal (pipx comes with your system: e.g. apt install pipx)"
	}
	return "run: " + shellWord(path) + " -m pip install --user " + option + "modal"
}

func executableNamed(p *paths, name string) bool { return len(p.all(name)) > 0 }

// shellWord quotes a path where a shell needs that.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@%:,", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
