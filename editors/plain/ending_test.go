package plain

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// An editor that is left while a command runs ends the sandbox, and what the command had
// done until then is offered by the next start.
func TestQuittingInTheMiddleOfACommand(t *testing.T) {
	eachEditor(t, func(t *testing.T, e editor) {
		w := newWorld(t)
		term := e.start(w, "cart.py")
		e.line(term, changedLine)
		e.change(term, typed)
		e.run(term, "echo half > half.txt; exec sleep 300 "+w.marker())
		w.awaitCommand()
		e.leave(term)
		w.nothingRuns()
		w.untouched()
		w.disk("half.txt", "")
		w.disk("cart.py", w.original("cart.py"))

		term = e.launch(w, "cart.py")
		term.await("ended and holds 1 changed file that did not come back")
		if e == editor(helix{}) {
			choose(term, "Return changes", "Later", "Show")
		} else {
			e.act(term, returnThem)
		}
		term.await("1 file returned.")
		w.disk("half.txt", "half\n")
		w.disk("cart.py", w.original("cart.py"))
		w.untouched()
		e.leave(term)
	})
}

func TestARunningCommandIsStoppedByACodeAction(t *testing.T) {
	eachEditor(t, func(t *testing.T, e editor) {
		w := newWorld(t)
		term := e.start(w, "cart.py")
		e.run(term, "echo half > half.txt; exec sleep 300 "+w.marker())
		w.awaitCommand()
		e.act(term, "Stop what runs in sandbox")
		// What it did until then is offered as always.
		term.await("The sandbox has 1 changed file.")
		if slices.ContainsFunc(w.runs(), func(p string) bool { return strings.Contains(p, w.marker()) }) {
			t.Error("the command still runs")
		}
		w.untouched()
		putOff(term, e)
		e.leave(term)
	})
}

// A server that is killed takes nothing with it: what was typed is still there, and the
// next one is told what the sandbox holds.
func TestAServerThatIsKilled(t *testing.T) {
	eachEditor(t, func(t *testing.T, e editor) {
		w := newWorld(t)
		term := e.start(w, "cart.py")
		e.run(term, "echo kept > kept.txt")
		term.await("The sandbox has 1 changed file.")
		putOff(term, e)
		e.line(term, changedLine)
		e.change(term, typed)
		w.killServer()
		switch e {
		case helix{}:
			term.await("Language server exited: glue")
		case emacs{}:
			term.awaitAny("Not auto-reconnecting", "Reconnecting")
		case vim{}: // says nothing
		}
		term.await(typed)
		e.save(term)
		e.leave(term)
		w.disk("cart.py", strings.Replace(w.original("cart.py"), "return 0", typed, 1))
		w.disk("kept.txt", "")

		term = e.launch(w, "cart.py")
		term.await("holds 1 changed file that did not come back")
		e.leave(term)
	})
}

// putOff answers the question after a command, where an editor asks one.
func putOff(term *terminal, e editor) {
	term.Helper()
	if e == editor(helix{}) {
		choose(term, "Later")
		term.awaitGone("Later")
	}
}

func TestAServerThatIsNotInstalled(t *testing.T) {
	eachEditor(t, func(t *testing.T, e editor) {
		w := newWorld(t)
		w.env[0] = "PATH=" + os.Getenv("PATH")
		term := e.launch(w, "cart.py")
		switch e := e.(type) {
		case helix:
			term.press("Space", "a")
			term.await("No configured language server supports code actions")
		case emacs:
			term.await("No such file or directory, glue-lsp")
		case vim:
			e.command(term, "ALEInfo")
			term.await("Current Filetype")
			term.press("G")
			term.await("executable check - failure) glue-lsp")
			e.command(term, "quit")
			term.awaitGone("executable check")
		}
		e.line(term, changedLine)
		e.change(term, typed)
		e.save(term)
		e.leave(term)
		w.disk("cart.py", strings.Replace(w.original("cart.py"), "return 0", typed, 1))
	})
}
