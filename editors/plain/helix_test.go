package plain

import (
	"path/filepath"
	"strings"
)

type helix struct{}

// start asks for code actions until there are some: commands before that fail.
func (h helix) start(w *world, file string) *terminal {
	w.Helper()
	term := h.launch(w, file)
	const some = "Run in sandbox"
	h.actions(term, some)
	h.command(term, "") // which takes the list away
	term.awaitGone(some)
	return term
}

func (helix) launch(w *world, file string) *terminal {
	w.Helper()
	w.write(filepath.Join(w.home, ".config", "helix", "languages.toml"), config(w.T, "helix.md", "toml"))
	term := openTerminal(w.T, w.repo, w.env, editorProgram(w.T, "helix", "hx"), file)
	term.await("NOR", file)
	return term
}

func (h helix) open(term *terminal, file string) {
	term.Helper()
	h.command(term, "open "+file)
	term.await("NOR " + file)
}

func (helix) line(term *terminal, number string) {
	term.Helper()
	term.press(number, "gg", "gs")
}

func (helix) change(term *terminal, text string) {
	term.Helper()
	term.press("vglc", text, "Escape")
	term.await(text, "NOR")
}

func (helix) selectLine(term *terminal) {
	term.Helper()
	term.press("x")
}

func (h helix) save(term *terminal) {
	term.Helper()
	h.command(term, "write")
	term.await("written")
}

// command gives a command at Helix's own prompt.
func (helix) command(term *terminal, text string) {
	term.Helper()
	term.press(":")
	term.press(text, "Enter")
}

func (h helix) act(term *terminal, title string) {
	term.Helper()
	h.actions(term, title)
	choose(term, title, "Run in sandbox", "Stop what", "Return changes", "Show changes", "Undo the last", "Close sandbox")
}

// actions shows the list of code actions, which has one of this title.
func (helix) actions(term *terminal, title string) {
	term.Helper()
	term.again("the code action "+title, func() bool {
		term.press("Space", "a")
		const notYet, stillNot, some = "No configured language server", "No code actions available", "Run in sandbox"
		term.awaitAny(notYet, stillNot, some)
		if term.soon(title) {
			return true
		}
		term.press(":")
		term.press("Enter") // which takes the list or the message away
		for _, text := range []string{notYet, stillNot, some} {
			term.awaitGone(text)
		}
		return false
	})
}

// choose takes an entry of a list that Helix shows; its first entry is marked.
func choose(term *terminal, title string, entries ...string) {
	term.Helper()
	term.await(title)
	for _, row := range strings.Split(term.text(), "\n") {
		if strings.Contains(row, " "+title) {
			term.press("Enter")
			return
		}
		for _, entry := range entries {
			if strings.Contains(row, " "+entry) {
				term.press("Down")
				break
			}
		}
	}
	term.Fatalf("the list has no %q:\n%s", title, term.text())
}

func (h helix) run(term *terminal, command string) {
	term.Helper()
	h.command(term, `lsp-workspace-command glue.run {"command":"`+strings.ReplaceAll(command, `"`, `\"`)+`"}`)
}

func (h helix) leave(term *terminal) {
	term.Helper()
	h.command(term, "quit-all!")
	term.awaitEnd()
}
