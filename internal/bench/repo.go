package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// makeRepo writes a repository of n files with about size bytes in all, commits it, and
// edits some files without committing. The same arguments give the same bytes.
func makeRepo(dir string, n int, size int64, edited int) error {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	words := strings.Fields("package func return if err nil for range string int context tree entry path hash mode write read open close session sandbox edit merge apply snapshot")
	per := size / int64(n)
	text := func() []byte {
		want := per/2 + rnd.Int64N(per+1)
		var b strings.Builder
		for int64(b.Len()) < want {
			for range 6 + rnd.IntN(6) {
				b.WriteString(words[rnd.IntN(len(words))])
				if rnd.IntN(3) == 0 {
					fmt.Fprintf(&b, "%x", rnd.IntN(4096))
				}
				b.WriteByte(' ')
			}
			b.WriteByte('\n')
		}
		return []byte(b.String())
	}
	name := func(i int) string {
		return filepath.Join(dir, fmt.Sprintf("pkg%03d", i/40), fmt.Sprintf("sub%d", i%4), fmt.Sprintf("file%05d.go", i))
	}
	for i := range n {
		if err := os.MkdirAll(filepath.Dir(name(i)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name(i), text(), 0o644); err != nil {
			return err
		}
	}
	if err := gitIn(dir, "init", "-q", "-b", "main"); err != nil {
		return err
	}
	if err := gitIn(dir, "add", "-A"); err != nil {
		return err
	}
	if err := gitIn(dir, "commit", "-q", "-m", "bench"); err != nil {
		return err
	}
	for i := range edited {
		f, err := os.OpenFile(name(i*n/edited), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("edited\n")
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// gitIn runs git in a folder of the bench's own, with nobody's configuration.
func gitIn(dir string, args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=b", "GIT_AUTHOR_EMAIL=b@example.com", "GIT_COMMITTER_NAME=b", "GIT_COMMITTER_EMAIL=b@example.com")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}
