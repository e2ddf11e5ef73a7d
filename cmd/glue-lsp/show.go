package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"glue-lsp/session"
	"glue-lsp/workspace"
)

// quiet is how long a step may take before progress is shown.
const quiet = time.Second

// statusLine shows progress on a terminal once something takes long.
type statusLine struct {
	mu    sync.Mutex
	start time.Time
	bar   *progressbar.ProgressBar
	tty   bool
}

func newStatusLine() *statusLine {
	return &statusLine{start: time.Now(), tty: term.IsTerminal(int(os.Stderr.Fd()))}
}

func (l *statusLine) progress(message string, percent int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.tty || time.Since(l.start) < quiet {
		return
	}
	if l.bar == nil {
		l.bar = progressbar.NewOptions(100, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetWidth(20), progressbar.OptionSetPredictTime(false))
	}
	l.bar.Describe(message)
	if percent >= 0 {
		_ = l.bar.Set(percent) // only display
	}
}

func (l *statusLine) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bar != nil {
		_ = l.bar.Clear()
	}
}

// colour wraps text in an SGR sequence where w is a terminal that wants it.
func colour(w io.Writer, sgr, text string) string {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// printable makes text from a sandbox safe for a terminal: what could be an escape
// sequence is shown, not obeyed.
func printable(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\n' || r == '\t' || unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

// oneLine is printable for names, which stay on their line.
func oneLine(s string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(printable(s))
}

var statusMarks = map[string]struct{ mark, sgr string }{
	"added": {"A", "32"}, "modified": {"M", "33"}, "deleted": {"D", "31"}, "renamed": {"R", "36"}, "mode": {"X", "33"}, "type": {"T", "35"},
}

// printDiffstat lists changed files with what changed in each.
func printDiffstat(w io.Writer, files []workspace.Change) {
	added, deleted := 0, 0
	for _, c := range files {
		m := statusMarks[c.Status]
		name := oneLine(c.Path)
		if c.OldPath != "" {
			name = oneLine(c.OldPath) + " → " + name
		}
		detail := c.Kind
		switch {
		case c.Status == "mode":
			detail = fmt.Sprintf("%o → %o", c.OldMode&0o777, c.NewMode&0o777)
		case c.Kind == "text":
			detail = colour(w, "32", fmt.Sprintf("+%d", c.Additions)) + " " + colour(w, "31", fmt.Sprintf("-%d", c.Deletions))
		}
		note := ""
		if c.Acts != nil {
			note = fmt.Sprintf("  [runs on %s: %s]", c.Acts.When, c.Acts.Why)
		}
		if c.Outside {
			note += "  [outside this folder]"
		}
		fmt.Fprintf(w, " %s %s  %s%s\n", colour(w, m.sgr, m.mark), name, detail, note)
		added, deleted = added+c.Additions, deleted+c.Deletions
	}
	fmt.Fprintf(w, "%d %s changed, %d %s(+), %d %s(-)\n", len(files), plural(len(files), "file"), added, plural(added, "insertion"), deleted, plural(deleted, "deletion"))
}

// printLeftOut names the first files that did not go up.
func printLeftOut(w io.Writer, skipped []session.Skipped) {
	const most = 3
	var named []string
	for _, s := range skipped[:min(len(skipped), most)] {
		named = append(named, fmt.Sprintf("%s (%s)", oneLine(s.Path), oneLine(s.Reason)))
	}
	switch more := len(skipped) - most; {
	case len(named) == 0:
		return
	case more > 0:
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	fmt.Fprintf(w, "glue-lsp: not in the sandbox: %s\n", strings.Join(named, ", "))
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// printReturn says what a return did; left reports that something did not come back.
func printReturn(w io.Writer, id string, r *session.Return) (left bool) {
	if r.Unavailable != nil {
		fmt.Fprintf(w, "%s\n", printable(r.Unavailable.Message))
		left = true
	}
	if r.Branch != "" {
		fmt.Fprintf(w, "On branch %s. Look with: git diff HEAD...%s\n", r.Branch, r.Branch)
		return left
	}
	for _, c := range r.Conflicts {
		left = true
		fmt.Fprintf(w, "%s %s: %s\n", colour(w, "31", "conflict"), oneLine(c.Path), printable(c.Detail))
	}
	for _, s := range r.Skipped {
		left = true
		fmt.Fprintf(w, "%s %s: %s\n", colour(w, "33", "not applied"), oneLine(s.Path), printable(s.Reason))
	}
	if r.Applied {
		fmt.Fprintln(w, "Applied.")
	}
	if len(r.Conflicts)+len(r.Skipped) > 0 || !r.Applied && left {
		fmt.Fprintf(w, "What was not applied is kept as session %s (glue-lsp sessions show %s).\n", id, id)
		if len(r.Conflicts) > 0 {
			fmt.Fprintf(w, "Change your version and apply again, or take the sandbox's beside it: glue-lsp sessions apply %s --branch NAME\n", id)
		}
	}
	return left
}

// printUndo says what taking a return back did.
func printUndo(w io.Writer, id string, r *session.Return) {
	for _, c := range r.Conflicts {
		fmt.Fprintf(w, "%s %s: %s\n", colour(w, "31", "conflict"), oneLine(c.Path), printable(c.Detail))
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(w, "%s %s: %s\n", colour(w, "33", "not taken back"), oneLine(s.Path), printable(s.Reason))
	}
	switch {
	case r.Applied:
		fmt.Fprintf(w, "Taken back. The changes are kept as session %s and can be applied again.\n", id)
	case len(r.Files) == 0 && len(r.Conflicts) == 0 && len(r.Skipped) == 0:
		fmt.Fprintf(w, "The files were taken back already. The changes are kept as session %s and can be applied again.\n", id)
	}
}
