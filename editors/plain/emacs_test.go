package plain

import "path/filepath"

type emacs struct{}

func (e emacs) start(w *world, file string) *terminal {
	w.Helper()
	term := e.launch(w, file)
	term.await("[eglot:")
	return term
}

func (emacs) launch(w *world, file string) *terminal {
	w.Helper()
	// Compiling Lisp in the background has nothing to do with us.
	w.write(filepath.Join(w.home, ".emacs.d", "early-init.el"), "(setq native-comp-jit-compilation nil)\n")
	w.write(filepath.Join(w.home, ".emacs.d", "init.el"), config(w.T, "emacs.md", "elisp"))
	term := openTerminal(w.T, w.repo, w.env, editorProgram(w.T, "emacs", "emacs"), "-nw", file)
	term.await("F1  " + file)
	return term
}

func (emacs) open(term *terminal, file string) {
	term.Helper()
	term.press("C-x", "C-f")
	term.await("Find file:")
	term.press(file, "Enter")
	term.await("F1  " + file)
}

func (emacs) line(term *terminal, number string) {
	term.Helper()
	term.press("M-g", "g")
	term.await("Goto line")
	term.press(number, "Enter", "M-m")
}

func (emacs) change(term *terminal, text string) {
	term.Helper()
	term.press("C-k", text)
	term.await(text)
}

func (emacs) selectLine(term *terminal) {
	term.Helper()
	term.press("C-a", "C-Space", "C-e")
}

func (emacs) save(term *terminal) {
	term.Helper()
	term.press("C-x", "C-s")
	term.await("Wrote")
}

func (e emacs) act(term *terminal, title string) {
	term.Helper()
	term.again("the code action "+title, func() bool {
		const question, none = "Pick an action", "[No match]"
		e.command(term, "eglot-code-actions")
		term.await(question)
		term.press(title, "Enter")
		term.until("an answer", func() bool { return !term.shows(question) || term.shows(none) })
		if !term.shows(none) {
			return true
		}
		term.press("C-g")
		term.awaitGone(question)
		return false
	})
}

// command calls a function that can be called by name.
func (emacs) command(term *terminal, name string) {
	term.Helper()
	term.press("M-x")
	term.await("M-x")
	term.press(name, "Enter")
}

func (e emacs) run(term *terminal, command string) {
	term.Helper()
	e.command(term, "glue-run")
	term.await("Run in sandbox:")
	term.press(command, "Enter")
}

func (e emacs) leave(term *terminal) {
	term.Helper()
	e.command(term, "kill-emacs")
	term.awaitEnd()
}
