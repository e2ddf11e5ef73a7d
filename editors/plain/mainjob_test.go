package plain

import (
	"path/filepath"
	"strings"
	"testing"
)

// The line of cart.py that the person changes without saving, the cursor's line in the
// test, and what the sandbox changes in cart.py.
const (
	changedLine = "5"
	testLine    = "12"
	typed       = "return sum(PRICES[n] for n in names)"
	runTest     = "Run in sandbox: CartTest::test_total"
	returnThem  = "Return changes from sandbox"
	undoReturn  = "Undo the last return from sandbox"
	sandboxMark = "totals checked: today"
)

func TestTheMainJob(t *testing.T) {
	eachEditor(t, func(t *testing.T, e editor) { mainJob(t, e, newWorld(t)) })
}

func TestTheMainJobOnModal(t *testing.T) {
	eachEditor(t, func(t *testing.T, e editor) { mainJob(t, e, newWorld(t, onModal(t)...)) })
}

// The file has two lines, of which the second must not run with the first.
func TestASelectionAndAFile(t *testing.T) {
	eachEditor(t, func(t *testing.T, e editor) {
		w := newWorld(t)
		w.write(filepath.Join(w.repo, "sums.py"), "print(6 * 7)\nprint(1 / len([]))\n")
		term := e.start(w, "sums.py")
		e.selectLine(term)
		e.act(term, "Run in sandbox: selection")
		term.await("selection of sums.py: done", "42")
		e.act(term, "Run in sandbox: sums.py")
		reads(term, e, "sums.py: ended with status 1", "ZeroDivisionError: division by zero")
		e.leave(term)
		w.untouched()
	})
}

// mainJob is what a person does: change something without saving, run a test that needs
// it, read its output, take what it changed, take that back, take it again, and end.
func mainJob(t *testing.T, e editor, w *world) {
	term := e.start(w, "cart.py")
	e.line(term, changedLine)
	e.change(term, typed)
	e.open(term, "test_cart.py")
	e.line(term, testLine)

	e.act(term, runTest)
	// It says that the unsaved text was there.
	reads(term, e, "The sandbox has 4 changed files", "checking a cart of 7", "Ran 1 test", "OK")
	w.untouched()
	w.disk("cart.py", w.original("cart.py"))

	returns(term, e)
	e.open(term, "cart.py")
	if savesFirst(e) {
		// The closed files came; this one waits for the person.
		term.await(typed, "totals checked: never")
		w.disk("cart.py", w.original("cart.py"))
		e.save(term)
		e.act(term, returnThem)
		term.await("1 file returned")
	}
	term.await(typed, sandboxMark)
	w.returned()
	if !savesFirst(e) {
		w.disk("cart.py", w.original("cart.py")) // it is still for the person to save
	}

	undone := "4 files as before it"
	if savesFirst(e) {
		undone = "1 file as before it"
	}
	e.act(term, undoReturn)
	term.await(undone)
	term.await(typed, "totals checked: never")
	if !savesFirst(e) {
		w.untouched()
	}

	e.act(term, returnThem)
	term.await("returned.")
	term.await(typed, sandboxMark)
	w.returned()
	e.act(term, "Close sandbox")
	term.await("The sandbox is closed.")
	if !savesFirst(e) {
		e.save(term)
	}
	e.leave(term)
	w.nothingRuns()
	both := strings.NewReplacer("return 0", typed, "never", "today").Replace(w.original("cart.py"))
	w.disk("cart.py", both)
	w.disk("todo.txt", "not in git\n")
	w.returned()
}

// savesFirst tells the editor that takes no edits from a server.
func savesFirst(e editor) bool { return e == editor(vim{}) }

// reads finds a command's output, which most editors open by themselves. ended is the
// message after which there is one.
func reads(term *terminal, e editor, ended string, output ...string) {
	term.Helper()
	if v, ok := e.(vim); ok {
		term.await(ended)
		v.command(term, "GlueOutput")
		defer v.command(term, "quit")
	}
	term.await(output...)
}

// returns takes the changes in the way that the editor offers first.
func returns(term *terminal, e editor) {
	term.Helper()
	if e == editor(helix{}) {
		term.await("The sandbox has 4 changed files. Not only text: old.txt (deleted).")
		choose(term, "Return changes", "Later")
		term.await("4 files returned.")
		return
	}
	if !savesFirst(e) {
		term.await("The sandbox has 4 changed files. Not only text: old.txt (deleted).")
		e.act(term, returnThem)
		term.await("4 files returned.")
		return
	}
	e.act(term, returnThem)
	term.await("3 files returned.", "cart.py", "save it and return again")
}

// returned checks on disk what came back of the files that are not open.
func (w *world) returned() {
	w.Helper()
	w.disk("notes.txt", "tested\n")
	w.disk("report.txt", "1 test\n")
	w.disk("old.txt", "")
}
