package plain

import "testing"

// What a command prints is a sandbox's word: opening it sets no option of the editor. The
// line is given twice, as editors look at the beginning and at the end.
func TestOutputThatSetsOptions(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real editors, which -short leaves out")
	}
	t.Parallel()
	prints := func(line string) string {
		return "echo '" + line + "'; seq 1000 1099; echo '" + line + "'; echo the-very-end >&2"
	}
	t.Run("vim", func(t *testing.T) {
		t.Parallel()
		w, e := newWorld(t), vim{}
		term := e.start(w, "cart.py")
		e.command(term, "set modeline")
		e.run(term, prints("vim: set textwidth=33 filetype=c:"))
		term.await(": done")
		e.command(term, "GlueOutput")
		term.await("1000", "1030")
		e.command(term, "set textwidth? filetype? modeline?")
		term.await("textwidth=0 filetype= nomodeline")
		e.leave(term)
	})
	t.Run("emacs", func(t *testing.T) {
		t.Parallel()
		w, e := newWorld(t), emacs{}
		term := e.start(w, "cart.py")
		e.run(term, prints("-*- mode: python; fill-column: 33 -*-"))
		term.await("-*- mode: python; fill-column: 33 -*-", "1000")
		term.press("\x1b:")
		term.await("Eval:")
		term.press(`(format "told %s" (seq-filter (lambda (b) (= 33 (buffer-local-value 'fill-column b))) (buffer-list)))`, "Enter")
		term.await(`"told nil"`)
		e.leave(term)
	})
}
