package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
)

// repo is a repository that several sections measure. It is made when it is first needed.
type repo struct {
	dir, name, what string
	files           int
	size            int64 // bytes
	made            bool
}

func (r *repo) make() (dir string, err error) {
	if r.made {
		return r.dir, nil
	}
	r.made = true
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return "", err
	}
	return r.dir, makeRepo(r.dir, r.files, r.size, 100)
}

// makeRepo writes a repository of n files with about size bytes in all, commits it, and
// edits some files without committing. What the files hold is Go's own source, line by
// line, since made-up text compresses like no text that people write. The same
// arguments give the same bytes with the same Go.
func makeRepo(dir string, n int, size int64, edited int) error {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	source, err := openSource()
	if err != nil {
		return err
	}
	defer source.close()
	per := size / int64(n)
	text := func() ([]byte, error) { return source.take(per/2 + rnd.Int64N(per+1)) }
	name := func(i int) string {
		return filepath.Join(dir, fmt.Sprintf("pkg%03d", i/40), fmt.Sprintf("sub%d", i%4), fmt.Sprintf("file%05d.go", i))
	}
	for i := range n {
		if err := os.MkdirAll(filepath.Dir(name(i)), 0o755); err != nil {
			return err
		}
		content, err := text()
		if err == nil {
			err = os.WriteFile(name(i), content, 0o644)
		}
		if err != nil {
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
