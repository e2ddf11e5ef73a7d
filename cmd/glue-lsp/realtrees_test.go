package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// treeDigest says what every file below a folder holds, and which are executable.
const treeDigest = `find . -name .git -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha1sum | sha1sum; find . -name .git -prune -o -type f -perm -u+x -print | LC_ALL=C sort | sha1sum`

// TestTheMainJobOnRealTrees takes other people's repositories through the whole way: up,
// a command, and back.
func TestTheMainJobOnRealTrees(t *testing.T) {
	for name, lay := range map[string]func(p *person){
		"this repository": func(p *person) {
			p.host("", "git", "clone", "-q", "../..", p.repo)
		},
		"golang.org/x/tools": func(p *person) {
			p.host("", "cp", "-r", moduleFolder(p, "golang.org/x/tools"), p.repo)
			p.host("", "chmod", "-R", "u+w", p.repo)
			p.host(p.repo, "git", "init", "-q", "-b", "main")
			p.host(p.repo, "git", "add", "-A", "-f")
			p.host(p.repo, "git", "-c", "user.name=P", "-c", "user.email=p@example.com", "commit", "-qm", "as released")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPerson(t)
			p.repo = filepath.Join(t.TempDir(), "real")
			lay(p)
			p.write("not-committed.txt", "mine\n")
			out, _ := p.does(0, "run", "--apply=no", "--", "sh", "-c", treeDigest+"; git status --porcelain; go list -m")
			want := p.host(p.repo, "sh", "-c", treeDigest+"; go list -m")
			if out != want {
				t.Errorf("inside:\n%s\noutside:\n%s", out, want)
			}
			p.does(0, "run", "--apply=yes", "--", "sh", "-c", "echo '// edited' >> $(git ls-files '*.go' | head -1); git rm -q --cached LICENSE; rm LICENSE; printf '\\0\\1' > new.bin")
			changed := strings.Fields(p.host(p.repo, "sh", "-c", "git status --porcelain | cut -c1-2"))
			if got := strings.Join(changed, " "); got != "D M ?? ??" && got != "M D ?? ??" {
				t.Errorf("changed: %s\n%s", got, p.host(p.repo, "git", "status", "--porcelain"))
			}
			p.host(p.repo, "git", "fsck", "--no-dangling")
		})
	}
}

// moduleFolder finds a module's files in the module cache, at the version that the
// environment names (see Makefile).
func moduleFolder(p *person, module string) string {
	p.Helper()
	version := "@v0.52.0"
	if v := os.Getenv("GLUE_TEST_TREE_MODULE"); strings.HasPrefix(v, module) {
		version = strings.TrimPrefix(v, module)
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		p.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(cache)), module+version)
	if _, err := os.Stat(dir); err != nil {
		p.Fatalf("%s is not in the module cache; run: go mod download %s%s", module, module, version)
	}
	return dir
}
