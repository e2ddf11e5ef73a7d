package agent

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"glue-lsp/internal/tree"
)

// trees works on the workspace as a whole, inside. It is the agent's side of what
// host and sandbox tell each other about their trees; each operation has a file of
// its own, and ledger is what they share.
type trees struct {
	root string
	lent []string      // folders of the root that are no part of the tree
	env  []string      // for git
	git  string        // the program, "" if there is none
	turn chan struct{} // held by the one operation that reads or writes the tree

	wishes lastWishes

	// Guarded by turn.
	ledger    ledger
	rules     rules
	cache     *tree.Cache
	format    tree.Format
	populated bool
	cloned    tree.Format // of the repository that a clone left in the root, "" if none did
}

func newTrees(root, git string, env []string) *trees {
	t := &trees{
		root: root, git: git, env: env,
		turn: make(chan struct{}, 1), cache: tree.NewCache(), format: tree.SHA1,
	}
	t.ledger.adopt("", "", nil)
	return t
}

// enter waits for the turn; leave gives it up.
func (t *trees) enter(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *trees) leave() { <-t.turn }

// ledger is the tree that the host knows of, and what the host was told since. The
// answer to a capture can be lost on its way, so what it told counts only when the
// host names its token as the base of the next one; until then either is possible.
type ledger struct {
	view    string   // the client's name for sharing this; another one shares nothing
	past    []string // the names before it, newest last
	token   string
	known   map[string]tree.Entry
	tracked map[string]bool // the paths of known

	next string                // token of what was told last, "" if nothing is open
	told map[string]tree.Entry // that, as a difference to known; Absent is a deletion
}

// maxPast is how many names are kept: a call that comes that late has long failed.
const maxPast = 64

// superseded reports a name that its client gave up. A client counts its names, so
// that also one is recognised that reaches the agent only after its successor.
func (l *ledger) superseded(view string) bool {
	if view == l.view {
		return false
	}
	client, n, ok := cutView(view)
	now, current, okNow := cutView(l.view)
	return ok && okNow && client == now && n < current || slices.Contains(l.past, view)
}

// viewName is a client's n-th name, see treesClient; cutView takes it apart.
func viewName(client string, n int) string { return client + "." + strconv.Itoa(n) }

func cutView(view string) (client string, n int, ok bool) {
	client, count, ok := strings.Cut(view, ".")
	if !ok {
		return "", 0, false
	}
	n, err := strconv.Atoi(count)
	return client, n, err == nil
}

// adopt takes over what the host says it knows.
func (l *ledger) adopt(view, token string, entries []tree.Entry) {
	past := append(slices.Clone(l.past), l.view)
	*l = ledger{
		view:    view,
		past:    past[max(0, len(past)-maxPast):],
		token:   token,
		known:   make(map[string]tree.Entry, len(entries)),
		tracked: make(map[string]bool, len(entries)),
	}
	for _, e := range entries {
		l.set(e)
	}
}

// settle makes known what the host holds by the name of base. It reports false when
// base is unknown, or named by a client that does not share the ledger.
func (l *ledger) settle(view, base string) bool {
	switch {
	case view != l.view:
		return false
	case l.next != "" && base == l.next:
		for _, e := range l.told {
			l.set(e)
		}
		l.token = l.next
	case base != l.token:
		return false
	}
	l.next, l.told = "", nil
	return true
}

// tell opens a difference under a new token.
func (l *ledger) tell(told map[string]tree.Entry) string {
	if len(told) == 0 {
		return l.token
	}
	l.next, l.told = newID(), told
	return l.next
}

// wrote records what the host itself put at a path, whichever token it knows us by.
// What a client wrote that does not share the ledger is told by the next capture.
func (l *ledger) wrote(view string, e tree.Entry) {
	if view != l.view {
		return
	}
	l.set(e)
	delete(l.told, e.Path)
}

func (l *ledger) set(e tree.Entry) {
	if !e.Exists() {
		delete(l.known, e.Path)
		delete(l.tracked, e.Path)
		return
	}
	l.known[e.Path] = e
	l.tracked[e.Path] = true
}
