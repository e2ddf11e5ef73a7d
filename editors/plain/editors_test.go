package plain

import "testing"

// editor is how a person uses one editor.
type editor interface {
	// launch opens a file in a terminal, with the configuration of the editor's page.
	launch(w *world, file string) *terminal
	// start launches, and waits for the server where the editor shows that it is there.
	start(w *world, file string) *terminal
	// open shows another file of the repository.
	open(term *terminal, file string)
	// line goes to a line of the file.
	line(term *terminal, number string)
	// change replaces the text of the cursor's line, but not its indentation.
	change(term *terminal, text string)
	save(term *terminal)
	// selectLine selects the line of the cursor.
	selectLine(term *terminal)
	// act chooses a code action by its title.
	act(term *terminal, title string)
	// run runs a shell command in the sandbox.
	run(term *terminal, command string)
	// leave ends the editor, whatever is unsaved or running.
	leave(term *terminal)
}

// editors are those that have a page of their own and no extension.
var editors = map[string]editor{"helix": helix{}, "emacs": emacs{}, "vim": vim{}}

func eachEditor(t *testing.T, story func(t *testing.T, e editor)) {
	if testing.Short() {
		t.Skip("starts real editors, which -short leaves out")
	}
	t.Parallel()
	for name, e := range editors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, e)
		})
	}
}
