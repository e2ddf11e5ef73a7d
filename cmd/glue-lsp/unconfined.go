package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"glue-lsp/sandbox"
	"glue-lsp/session"
)

// unconfinedHint is what can be done where nobody is there to be asked.
const unconfinedHint = "run it with --unconfined, or set local.isolation: none in config.yaml, where you trust what runs; glue-lsp doctor says what would confine it"

// isQuestion reports whether opening needs a person's yes to go without isolation.
func isQuestion(err error) bool {
	var e *sandbox.Error
	return errors.As(err, &e) && e.Kind == sandbox.NeedsConfirmation
}

// confirmUnconfined asks on the terminal whether to run without isolation; without one
// the answer is no.
func confirmUnconfined(m *session.Manager, folder string, why error) bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil || !term.IsTerminal(int(os.Stderr.Fd())) {
		return false
	}
	defer tty.Close()
	fmt.Fprintf(tty, "%s\n", oneLine(why.Error()))
	in := bufio.NewReader(tty)
	for {
		fmt.Fprint(tty, "Run without a sandbox? [o]nce, [a]lways for this folder, [n]o: ")
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "o", "once":
			return true
		case "a", "always":
			if err := m.AllowUnconfined(folder); err != nil {
				fmt.Fprintf(tty, "%s\n", oneLine(err.Error()))
			}
			return true
		case "n", "no", "":
			return false
		}
	}
}
