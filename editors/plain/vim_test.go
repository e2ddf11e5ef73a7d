package plain

import (
	"path/filepath"
	"regexp"
)

// vim is Vim with ALE.
type vim struct{}

func (v vim) start(w *world, file string) *terminal { return v.launch(w, file) }

func (vim) launch(w *world, file string) *terminal {
	w.Helper()
	w.write(filepath.Join(w.home, ".vimrc"), config(w.T, "vim.md", "vim"))
	term := openTerminal(w.T, w.repo, w.env, editorProgram(w.T, "vim", "vim"), file)
	term.await(file)
	return term
}

func (v vim) open(term *terminal, file string) {
	term.Helper()
	v.command(term, "edit "+file)
	term.await(file)
}

func (vim) line(term *terminal, number string) {
	term.Helper()
	term.press(number, "G", "^")
}

func (vim) change(term *terminal, text string) {
	term.Helper()
	term.press("C", text, "Escape")
	term.await(text)
}

func (vim) selectLine(term *terminal) {
	term.Helper()
	term.press("V")
}

func (v vim) save(term *terminal) {
	term.Helper()
	v.command(term, "write")
	term.await("written")
}

func (v vim) act(term *terminal, title string) {
	term.Helper()
	entry := regexp.MustCompile(`(\d+)\) ` + regexp.QuoteMeta(title) + `( of [0-9:]+)?\n`)
	term.again("the code action "+title, func() bool {
		const question = "Type number and <Enter>"
		term.press(":") // in visual mode Vim adds the range
		term.press("ALECodeAction", "Enter")
		term.await(question)
		found := entry.FindStringSubmatch(term.text())
		if found != nil {
			term.press(found[1])
		}
		term.press("Enter")
		term.awaitGone(question)
		return found != nil
	})
}

// command gives a command at Vim's own prompt. A message that fills the screen is read first.
func (vim) command(term *terminal, text string) {
	term.Helper()
	term.press("Escape", ":")
	term.press(text, "Enter")
}

func (v vim) run(term *terminal, command string) {
	term.Helper()
	v.command(term, "GlueRun "+command)
}

func (v vim) leave(term *terminal) {
	term.Helper()
	v.command(term, "qall!")
	term.awaitEnd()
}
