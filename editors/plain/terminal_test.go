package plain

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

const (
	columns = 120
	rows    = 40
	// patience bounds what a person would wait for; a busy machine needs some.
	patience = 40 * time.Second
	poll     = 10 * time.Millisecond
	moment   = 300 * time.Millisecond
)

// terminal is a program in a terminal, and somebody who types and reads.
type terminal struct {
	*testing.T
	cmd    *exec.Cmd
	pty    *os.File
	ended  chan struct{} // the program is gone
	pumps  sync.WaitGroup
	mu     sync.Mutex
	screen *vt.Emulator
}

// openTerminal starts a program. It leads a session of its own, and all of that ends with
// the test.
func openTerminal(t *testing.T, dir string, env []string, program string, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append(env, "TERM=xterm-256color")
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: rows, Cols: columns})
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{T: t, cmd: cmd, pty: file, ended: make(chan struct{}), screen: vt.NewEmulator(columns, rows)}
	term.pumps.Go(term.show)
	term.pumps.Go(term.answer)
	go func() {
		defer close(term.ended)
		_ = cmd.Wait() // how it ended is seen on the screen
	}()
	t.Cleanup(term.close)
	return term
}

// show puts what the program prints on the screen.
func (term *terminal) show() {
	buf := make([]byte, 32<<10)
	for {
		n, err := term.pty.Read(buf)
		term.mu.Lock()
		_, _ = term.screen.Write(buf[:n]) // fails only when closed
		term.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// answer gives the program what the terminal says by itself, such as where the cursor is.
func (term *terminal) answer() {
	_, err := io.Copy(term.pty, term.screen)
	if err != nil && !errors.Is(err, fs.ErrClosed) && !errors.Is(err, syscall.EIO) {
		term.Errorf("answer for the terminal: %v", err)
	}
}

func (term *terminal) close() {
	select {
	case <-term.ended:
	default:
		if term.Failed() {
			term.Logf("the screen at the end:\n%s", term.text())
		}
		_ = term.cmd.Process.Kill() // the server, which may be in its group, ends in its own way
		<-term.ended
	}
	term.pty.Close()
	term.mu.Lock()
	term.screen.Close()
	term.mu.Unlock()
	term.pumps.Wait()
}

// keys are the names of keys that are no text.
var keys = map[string]string{
	"Enter": "\r", "Escape": "\x1b", "Tab": "\t", "Down": "\x1b[B", "Space": " ",
	"C-a": "\x01", "C-e": "\x05", "C-Space": "\x00", "C-k": "\x0b", "C-x": "\x18", "C-f": "\x06", "C-c": "\x03", "C-s": "\x13", "C-g": "\x07",
	"M-x": "\x1bx", "M-g": "\x1bg", "M-m": "\x1bm",
}

// press types names of keys and text.
func (term *terminal) press(what ...string) {
	term.Helper()
	for _, one := range what {
		if key, ok := keys[one]; ok {
			one = key
		}
		if _, err := term.pty.WriteString(one); err != nil {
			term.Fatalf("type %q: %v", one, err)
		}
	}
}

// text is what is on the screen.
func (term *terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	lines := strings.Split(term.screen.String(), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " ")
	}
	return strings.Join(lines, "\n")
}

// await waits until the screen shows all of these texts. An editor may break a line
// anywhere, so that ends of lines do not count.
func (term *terminal) await(texts ...string) {
	term.Helper()
	term.until("the screen to show "+strings.Join(texts, " and "), func() bool {
		return !slices.ContainsFunc(texts, func(text string) bool { return !term.shows(text) })
	})
}

// awaitAny waits until the screen shows one of these texts.
func (term *terminal) awaitAny(texts ...string) {
	term.Helper()
	term.until("the screen to show one of "+strings.Join(texts, ", "), func() bool { return slices.ContainsFunc(texts, term.shows) })
}

func (term *terminal) shows(text string) bool { return strings.Contains(term.joined(), squeezed(text)) }

// soon reports whether the screen shows a text, or does after a moment in which it is
// drawn.
func (term *terminal) soon(text string) bool {
	for deadline := time.Now().Add(moment); !term.shows(text); time.Sleep(poll) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// again tries something that the server may not be ready for at first.
func (term *terminal) again(what string, works func() bool) {
	term.Helper()
	for deadline := time.Now().Add(patience); !works(); {
		if time.Now().After(deadline) {
			term.Fatalf("waited in vain for %s; the screen:\n%s", what, term.text())
		}
	}
}

// awaitGone waits until the screen shows a text no more.
func (term *terminal) awaitGone(text string) {
	term.Helper()
	term.until("the screen to show no more "+text, func() bool { return !term.shows(text) })
}

// joined is the screen without white space, frames and marks of continued lines.
func (term *terminal) joined() string { return squeezed(term.text()) }

func squeezed(text string) string {
	return strings.NewReplacer(" ", "", "\n", "", "\t", "", "\\\n", "", "│", "").Replace(text)
}

// until waits for something that happens by itself, soon.
func (term *terminal) until(what string, happened func() bool) {
	term.Helper()
	for deadline := time.Now().Add(patience); !happened(); time.Sleep(poll) {
		if time.Now().After(deadline) {
			term.Fatalf("waited in vain for %s; the screen:\n%s", what, term.text())
		}
	}
}

// awaitEnd waits until the program has ended.
func (term *terminal) awaitEnd() {
	term.Helper()
	select {
	case <-term.ended:
	case <-time.After(patience):
		term.Fatalf("the editor does not end; the screen:\n%s", term.text())
	}
}
