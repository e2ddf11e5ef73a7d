package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// Setup commands put into a sandbox what commands need and the tree does not hold. They
// run before a session's first command, and again when the host changed a lock file.

// setupTimeout bounds each setup command.
const setupTimeout = 30 * time.Minute

// setupState is what session.json keeps of it, so that a session that is taken up again
// does not set up anew.
type setupState struct {
	Key   string `json:"key"`             // of the last time, see setupKey
	Stale bool   `json:"stale,omitempty"` // the host's lock files were sent since
}

// setupRun is a session's setting up. turn goes before every lock of the session.
type setupRun struct {
	turn turn
	tree string // whose key is known; guarded by turn, as the key
	key  string
}

// lockFiles are the files whose change calls for another setup, as patterns of names.
var lockFiles = []string{
	"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "deno.lock", // JavaScript
	"poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "pylock.*.toml", "requirements*.txt", "constraints*.txt", // Python
	"conda-lock.yml", "pixi.lock", "environment.yml", "environment.yaml",
	"go.sum", "go.work.sum", "Cargo.lock", "Gemfile.lock", "gems.locked", "composer.lock", "mix.lock", "rebar.lock", "pubspec.lock",
	"Package.resolved", "Podfile.lock", "gradle.lockfile", "packages.lock.json", "paket.lock", "stack.yaml.lock", "cabal.project.freeze",
	"flake.lock", "conan.lock", "shard.lock", "Manifest.toml", "renv.lock",
}

func isLockFile(p string) bool {
	base := path.Base(p)
	return slices.ContainsFunc(lockFiles, func(pattern string) bool {
		ok, err := path.Match(pattern, base)
		return ok && err == nil
	})
}

// setupKey names what setup commands made of a tree: equal keys stand for the same
// commands and the same lock files. A runtime that can keep a sandbox's disk may keep it
// under this name.
func setupKey(commands []string, entries []tree.Entry) string {
	h := sha256.New()
	for _, c := range commands {
		fmt.Fprintf(h, "%d %s\n", len(c), c)
	}
	for _, e := range entries {
		if isLockFile(e.Path) {
			fmt.Fprintf(h, "%s %s\n", e.Hash, e.Path)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// noteSent notes that the host's version of a file is in the sandbox now.
func (s *Session) noteSent(p string) {
	if isLockFile(p) {
		s.update(func(st *state) { st.Setup.Stale = true })
	}
}

// setUp runs the setup commands if they are due. A failing one ends the setup and not the
// command that waits for it, which is told by failure. An error means that the command
// must not start.
func (s *Session) setUp(ctx context.Context, sb sandbox.Sandbox, p Progress) (failure string, err error) {
	if len(s.opts.Setup) == 0 {
		return "", nil
	}
	if err := s.setup.turn.take(ctx); err != nil {
		return "", err
	}
	defer s.setup.turn.give()
	key, err := s.setupKeyNow(ctx)
	if err != nil {
		return "", err
	}
	last := s.snapshotState().Setup
	if last.Key == key && !last.Stale {
		return "", nil
	}
	// A lock file that a command wrote was met by that command; only the host's are news.
	if last.Key == "" || last.Stale {
		if failure, err = s.runSetup(ctx, sb, p); err != nil {
			return "", err
		}
		if failure == "" {
			s.keepSetup(ctx, sb, key, p)
		}
	}
	s.update(func(st *state) { st.Setup = setupState{Key: key} })
	return failure, s.save(false)
}

// setupKeyNow is the key of what both sides hold now.
func (s *Session) setupKeyNow(ctx context.Context) (string, error) {
	s.trees.Lock()
	defer s.trees.Unlock()
	agreed := s.snapshotState().Agreed
	if agreed == s.setup.tree {
		return s.setup.key, nil
	}
	entries, err := s.store.Repo.ReadTree(ctx, agreed)
	if err != nil {
		return "", err
	}
	s.setup.tree, s.setup.key = agreed, setupKey(s.opts.Setup, entries)
	return s.setup.key, nil
}

func (s *Session) runSetup(ctx context.Context, sb sandbox.Sandbox, p Progress) (failure string, err error) {
	for i, command := range s.opts.Setup {
		p.say(fmt.Sprintf("setting up (%d of %d): %s", i+1, len(s.opts.Setup), command), -1)
		e, err := s.startSetup(ctx, sb, command)
		if err != nil {
			return "", err
		}
		out, err := e.Wait(ctx)
		if ctx.Err() != nil {
			end, stop := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
			defer stop()
			return "", s.cancelSetup(end, e, ctx.Err())
		}
		if err != nil {
			return "", err
		}
		if out.ExitCode == 0 {
			continue
		}
		failure = fmt.Sprintf("setup failed: %q %s", command, howItEnded(out))
		if last := lastLines(out.Stderr, out.Stdout); last != "" {
			failure += ": " + last
		}
		failure += " (all of its output is in " + e.LogFile() + ")"
		s.warn("%s", failure)
		return failure, nil
	}
	return "", nil
}

func (s *Session) startSetup(ctx context.Context, sb sandbox.Sandbox, command string) (*Exec, error) {
	o := ExecOptions{ID: "setup-" + newToken()[:8], Command: command, Timeout: setupTimeout, MaxOutput: setupOutput, isSetup: true}
	return s.launch(ctx, sb, o)
}

// cancelSetup ends a setup command whose waiting ended.
func (s *Session) cancelSetup(ctx context.Context, e *Exec, why error) error {
	if err := e.Cancel(ctx); err != nil && !isDead(err) {
		s.m.o.Log("session %s: ending a setup command: %v", s.ID(), err)
	}
	return why
}

// setupOutput is how much of a setup command's output is looked at, in bytes.
const setupOutput = 64 << 10

func howItEnded(out ExecOutcome) string {
	switch {
	case out.TimedOut:
		return fmt.Sprintf("did not end within %s", setupTimeout)
	case out.Canceled:
		return "was cancelled"
	case out.Signal != "":
		return "was ended by " + out.Signal
	}
	return fmt.Sprintf("ended with exit status %d", out.ExitCode)
}

// shownLines is how many lines a failure quotes.
const shownLines = 3

// lastLines are the last lines that say something, of the first text that has any, as one
// line without control characters.
func lastLines(texts ...[]byte) string {
	for _, text := range texts {
		var lines []string
		for line := range strings.Lines(strings.ToValidUTF8(string(text), "?")) {
			line = strings.TrimSpace(strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return ' '
				}
				return r
			}, line))
			if line != "" {
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			return strings.Join(lines[max(0, len(lines)-shownLines):], " | ")
		}
	}
	return ""
}
