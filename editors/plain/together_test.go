package plain

import (
	"os"
	"path/filepath"
	"testing"
)

// A folder needs no repository.
func TestAFolderWithoutGit(t *testing.T) {
	eachEditor(t, func(t *testing.T, e editor) {
		w := newWorld(t)
		if err := os.RemoveAll(filepath.Join(w.repo, ".git")); err != nil {
			t.Fatal(err)
		}
		term := e.start(w, "cart.py")
		e.run(term, "cat notes.txt todo.txt > both.txt")
		takes(term, e)
		w.disk("both.txt", draft+"not in git\n")
		w.untouched()
		e.leave(term)
	})
}

// The second of two editors on one folder is told who has its sandbox. It can have one of
// its own, and neither sandbox sees what the other's did before it came back.
func TestTwoEditorsOnOneFolder(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real editors, which -short leaves out")
	}
	t.Parallel()
	w := newWorld(t)
	one, other := vim{}, helix{}
	first, second := one.start(w, "cart.py"), other.start(w, "cart.py")
	one.run(first, "ls > one.txt")
	first.await("The sandbox has 1 changed file.")
	other.run(second, "ls > other.txt")
	second.await("has had it open since")
	other.command(second, `lsp-workspace-command glue.session.open {"new":true}`)
	second.await("The sandbox is ready")
	other.run(second, "ls > other.txt")
	second.await("The sandbox has 1 changed file.")

	takes(first, one)
	takes(second, other)
	w.disk("one.txt", "cart.py\nnotes.txt\nold.txt\none.txt\ntest_cart.py\ntodo.txt\n")
	w.disk("other.txt", "cart.py\nnotes.txt\nold.txt\nother.txt\ntest_cart.py\ntodo.txt\n")
	w.untouched()
	one.leave(first)
	other.leave(second)
}

// takes returns the one file that a command changed.
func takes(term *terminal, e editor) {
	term.Helper()
	term.await("The sandbox has 1 changed file.")
	if e == editor(helix{}) {
		choose(term, "Return changes", "Later")
	} else {
		e.act(term, returnThem)
	}
	term.await("1 file returned.")
}
