package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// leaves runs a command whose changes wait, and gives the session's id.
func (p *person) leaves(command string) string {
	p.Helper()
	p.does(0, "run", "--apply=no", "--", "sh", "-c", command)
	var list struct {
		Sessions []struct {
			ID string `json:"id"`
		} `json:"sessions"`
	}
	out, _ := p.does(0, "sessions", "list", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Sessions) != 1 {
		p.Fatalf("sessions list --json: %s (%v)", out, err)
	}
	return list.Sessions[0].ID
}

func TestR3_AnApplyOntoADirtyTreeKeepsItsEditsAndIsTakenBackWithThemStill(t *testing.T) {
	p := newPerson(t)
	p.write("a.txt", "one\n2\n3\n4\nfive\n6\n7\n8\n")
	p.write("data.bin", "\x00mine")
	id := p.leaves(`sed -i s/five/FIVE/ a.txt; printf '\0theirs' > data.bin; echo n > n.txt; chmod +x n.txt; mkdir d; ln -s ../a.txt d/link`)
	_, errs := p.does(exitFailure, "sessions", "undo", id, "--yes")
	p.sees(errs, "there is no return")

	p.write("a.txt", "ONE\n2\n3\n4\nfive\n6\n7\n8\n") // the tree is dirty, and moved on
	p.host(p.repo, "git", "add", "a.txt")
	index := p.host(p.repo, "git", "ls-files", "-s")
	_, errs = p.does(0, "sessions", "apply", id, "--yes")
	p.sees(errs, "Applied.")
	if got := p.read("a.txt"); got != "ONE\n2\n3\n4\nFIVE\n6\n7\n8\n" {
		t.Errorf("applied: %q", got)
	}
	if p.host(p.repo, "git", "ls-files", "-s") != index {
		t.Error("the index was touched")
	}
	if list, _ := p.does(0, "sessions", "list"); !strings.Contains(list, "Nothing is waiting") {
		t.Errorf("sessions list: %s", list)
	}

	_, errs = p.does(exitFailure, "sessions", "undo", id)
	p.sees(errs, "--yes")
	p.write("a.txt", p.read("a.txt")+"later\n")
	_, errs = p.does(0, "sessions", "undo", id, "--yes")
	p.sees(errs, "Taken back", id)
	if got := p.read("a.txt"); got != "ONE\n2\n3\n4\nfive\n6\n7\n8\nlater\n" {
		t.Errorf("taken back: %q", got)
	}
	if got := p.read("data.bin"); got != "\x00mine" {
		t.Errorf("data.bin: %q", got)
	}
	for _, name := range []string{"n.txt", "d"} {
		if _, err := os.Lstat(filepath.Join(p.repo, name)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	if list, _ := p.does(0, "sessions", "list"); !strings.Contains(list, id) {
		t.Errorf("what was taken back is not listed: %s", list)
	}
	p.does(0, "sessions", "apply", id, "--yes")
	if got := p.read("a.txt"); got != "ONE\n2\n3\n4\nFIVE\n6\n7\n8\nlater\n" {
		t.Errorf("applied once more: %q", got)
	}
}

func TestAnApplyThatLeavesAConflictSaysSoByItsStatus(t *testing.T) {
	p := newPerson(t)
	p.write("a.txt", "one\n")
	id := p.leaves("echo theirs > a.txt; echo n > n.txt")
	p.write("a.txt", "mine\n")
	_, errs := p.does(exitFailure, "sessions", "apply", id, "--yes")
	p.sees(errs, "conflict a.txt", "Applied.", "not all was applied", "--branch")
	if got := p.read("n.txt"); got != "n\n" {
		t.Errorf("n.txt: %q", got)
	}
	if got := p.read("a.txt"); got != "mine\n" {
		t.Errorf("a.txt: %q", got)
	}
}

func TestS7_F8_AppliedCommitsKeepAuthorsDatesAndMessagesThatNoMboxCanCarry(t *testing.T) {
	p := newPerson(t)
	id := p.leaves(`set -e
commit() { GIT_AUTHOR_NAME="Ann É" GIT_AUTHOR_EMAIL=ann@example.com GIT_AUTHOR_DATE="2020-01-02T03:04:05+0200" git commit -q --cleanup=verbatim "$@"; }
echo 1 > one.txt; git add -A; printf '[feat] x\n\nFrom here on\ndiff --git a/a b/b\n---\nnot a patch\n' | commit -F -
commit --allow-empty -m 'nothing in it'
echo 2 > two.txt; git add -A; commit -m '[PATCH 1/2] two'
echo 3 > three.txt`)
	before := p.host(p.repo, "git", "status", "--porcelain")
	_, errs := p.does(0, "sessions", "apply", id, "--commits", "--yes")
	p.sees(errs, "On branch glue/"+id)
	log := p.host(p.repo, "git", "log", "--format=%an|%ae|%ad|%B%x00", "--date=iso-strict", "HEAD..glue/"+id)
	commits := strings.Split(log, "\x00\n")
	if len(commits) != 5 { // the last is empty
		t.Fatalf("%d commits: %q", len(commits)-1, log)
	}
	const who = "Ann É|ann@example.com|2020-01-02T03:04:05+02:00|"
	for i, want := range []string{"", who + "[PATCH 1/2] two\n", who + "nothing in it\n", who + "[feat] x\n\nFrom here on\ndiff --git a/a b/b\n---\nnot a patch\n"} {
		if want != "" && commits[i] != want {
			t.Errorf("commit %d: %q, want %q", i, commits[i], want)
		}
	}
	if got := p.host(p.repo, "git", "show", "glue/"+id+":three.txt"); got != "3\n" {
		t.Errorf("what was not committed: %q", got)
	}
	if after := p.host(p.repo, "git", "status", "--porcelain"); after != before {
		t.Errorf("the working tree was touched: %q", after)
	}
	_, errs = p.does(exitFailure, "sessions", "undo", id, "--yes")
	p.sees(errs, "git branch -D glue/"+id)
}

func TestR7_EndedSessionsObeyTheSettingsOfReturns(t *testing.T) {
	p := newPerson(t)
	id := p.leaves("seq 300000 > large.txt")
	config := filepath.Join(p.home, "config.yaml")
	if err := os.WriteFile(config, []byte("return:\n  mode: branch\n  max_mb: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "export")
	out, _ := p.does(0, "sessions", "export", id, "--to", to)
	p.sees(out, filepath.Join(to, "runtime.mbox"), filepath.Join(to, "runtime.mbox.meta.json"), filepath.Join(to, "runtime.bundle"))
	var meta map[string]any
	b, err := os.ReadFile(filepath.Join(to, "runtime.mbox.meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		t.Fatal(err)
	}
	if meta["truncated"] != true || meta["truncation_cap_bytes"] != float64(1<<20) {
		t.Errorf("truncated %v at %v", meta["truncated"], meta["truncation_cap_bytes"])
	}
	for _, name := range []string{
		"runtime_id", "sandbox_id", "bootstrap_sha", "remote_url", "runtime_cwd", "format", "captured_at", "size_bytes", "base_sha",
	} {
		if _, ok := meta[name]; !ok {
			t.Errorf("the meta file does not say %s", name)
		}
	}
	if info, err := os.Stat(filepath.Join(to, "runtime.mbox")); err != nil || info.Size() > 1<<20 {
		t.Errorf("the mbox: %v %v", info, err)
	}
	p.host("", "git", "init", "-q", "--bare", to+".git")
	p.host(to+".git", "git", "fetch", "-q", filepath.Join(to, "runtime.bundle"), "refs/*:refs/*")
	if got := p.host(to+".git", "git", "cat-file", "-s", "refs/glue/return/final:large.txt"); got != "1988895\n" {
		t.Errorf("the bundle's large.txt has %q bytes", got)
	}

	p.does(0, "sessions", "apply", id, "--yes")
	if _, err := os.Lstat(filepath.Join(p.repo, "large.txt")); !os.IsNotExist(err) {
		t.Errorf("the setting asks for a branch, and the tree was written: %v", err)
	}
	if got := p.host(p.repo, "git", "cat-file", "-s", "glue/"+id+":large.txt"); got != "1988895\n" {
		t.Errorf("the branch's large.txt has %q bytes", got)
	}
}

func TestF6_NothingAppliedIsNeverCalledSuccess(t *testing.T) {
	p := newPerson(t)
	id := p.leaves("echo theirs > a.txt")
	p.write("a.txt", "mine\n")
	_, errs := p.does(exitFailure, "sessions", "apply", id, "--yes")
	p.sees(errs, "conflict a.txt", "nothing was applied", id)
	p.write("a.txt", "one\n")
	p.does(0, "sessions", "apply", id, "--yes")
	p.write("a.txt", "mine\n")
	_, errs = p.does(exitFailure, "sessions", "undo", id, "--yes")
	p.sees(errs, "conflict a.txt", "not everything was taken back")
	if got := p.read("a.txt"); got != "mine\n" {
		t.Errorf("a.txt: %q", got)
	}
}
