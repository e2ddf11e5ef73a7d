package lsptest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Verdict is what an expectation says about a state.
type Verdict int

// Verdicts. An expectation that was met may become unmet again; one that is unmeetable
// stays so, and waiting for it ends at once.
const (
	Unmet Verdict = iota
	Met
	Unmeetable
)

// Expectation is a condition on what the editor has got to know.
type Expectation struct {
	What  string
	Check func(State) Verdict
}

// Await waits until all expectations are met at once. The test fails as soon as one is
// unmeetable, the connection has ended without them, or patience is at its end.
func (e *Editor) Await(all ...Expectation) {
	e.tb.Helper()
	deadline := time.NewTimer(e.o.Patience)
	defer deadline.Stop()
	for {
		e.mu.Lock()
		state, moved := e.state.clone(), e.moved
		e.mu.Unlock()
		missing, never := judge(state, all)
		switch {
		case len(missing) == 0:
			return
		case never != "":
			e.tb.Fatalf("it cannot come to this any more: %s", never)
		case state.Ended:
			e.tb.Fatalf("the connection ended; missing was:\n%s", strings.Join(missing, "\n"))
		}
		select {
		case <-moved:
		case <-deadline.C:
			e.tb.Fatalf("waited %v in vain for:\n%s", e.o.Patience, strings.Join(missing, "\n"))
		}
	}
}

func judge(s State, all []Expectation) (missing []string, never string) {
	for _, x := range all {
		switch x.Check(s) {
		case Unmet:
			missing = append(missing, x.What)
		case Unmeetable:
			missing, never = append(missing, x.What), x.What
		}
	}
	return missing, never
}

func when(yes bool) Verdict {
	if yes {
		return Met
	}
	return Unmet
}

func some[T any](all []T, ok func(T) bool) Verdict {
	for _, one := range all {
		if ok(one) {
			return Met
		}
	}
	return Unmet
}

// SawMessage is met once a message holds the text.
func SawMessage(text string) Expectation {
	return Expectation{fmt.Sprintf("a message with %q", text), func(s State) Verdict {
		return some(s.Messages, func(m Message) bool { return strings.Contains(m.Text, text) })
	}}
}

// SawNoError is met while no error message was shown, and unmeetable afterwards.
func SawNoError() Expectation {
	return Expectation{"no error message", func(s State) Verdict {
		if some(s.Messages, func(m Message) bool { return m.Type == 1 }) == Met {
			return Unmeetable
		}
		return Met
	}}
}

// Notified is met once a glue/ notification came whose params hold at least the given ones:
// objects may have more members, all else must be equal. nil takes any.
func Notified(method string, params any) Expectation {
	want := generic(params)
	return Expectation{fmt.Sprintf("%s with %v", method, want), func(s State) Verdict {
		return some(s.Notifications, func(n Notification) bool {
			return n.Method == method && (want == nil || holds(generic(n.Params), want))
		})
	}}
}

// NotifiedWhere is met once a notification of the method passes the test's own look at it.
func NotifiedWhere[T any](method, what string, ok func(T) bool) Expectation {
	return Expectation{method + " " + what, func(s State) Verdict {
		return some(s.Notifications, func(n Notification) bool {
			var params T
			return n.Method == method && json.Unmarshal(n.Params, &params) == nil && ok(params)
		})
	}}
}

// Progressed is met once work of that title has ended.
func Progressed(title string) Expectation {
	return Expectation{fmt.Sprintf("the end of progress %q", title), func(s State) Verdict {
		return some(s.Progress, func(p Progress) bool { return p.Title == title && p.Ended })
	}}
}

// NoProgressRuns is met while everything that began has ended.
func NoProgressRuns() Expectation {
	return Expectation{"the end of all progress", func(s State) Verdict {
		return when(some(s.Progress, func(p Progress) bool { return !p.Ended }) != Met)
	}}
}

// Asked is met once n edits have come, answered or not.
func Asked(n int) Expectation {
	return Expectation{fmt.Sprintf("%d edits to answer", n), func(s State) Verdict { return when(s.Asked >= n) }}
}

// Edited is met once n edits were answered, and unmeetable when there were more.
func Edited(n int) Expectation {
	return Expectation{fmt.Sprintf("%d edits", n), func(s State) Verdict {
		if len(s.Edits) > n {
			return Unmeetable
		}
		return when(len(s.Edits) == n)
	}}
}

// Showed is met once a document was shown whose URI holds the text.
func Showed(text string) Expectation {
	return Expectation{fmt.Sprintf("a document with %q in its URI", text), func(s State) Verdict {
		return some(s.Documents, func(d Document) bool { return strings.Contains(d.URI, text) })
	}}
}

// Ended is met once the connection has ended.
func Ended() Expectation {
	return Expectation{"the end of the connection", func(s State) Verdict { return when(s.Ended) }}
}

// Either is met once one of the expectations is, and unmeetable when none can be.
func Either(all ...Expectation) Expectation {
	var names []string
	for _, x := range all {
		names = append(names, x.What)
	}
	return Expectation{strings.Join(names, ", or "), func(s State) Verdict {
		verdict := Unmeetable
		for _, x := range all {
			switch x.Check(s) {
			case Met:
				return Met
			case Unmet:
				verdict = Unmet
			}
		}
		return verdict
	}}
}

// Once is met when both are, and unmeetable when first is met and then is not.
func Once(first, then Expectation) Expectation {
	return Expectation{then.What + ", at the latest with " + first.What, func(s State) Verdict {
		if first.Check(s) != Met {
			return Unmet
		}
		if then.Check(s) != Met {
			return Unmeetable
		}
		return Met
	}}
}

// generic turns any value into what encoding/json makes of it.
func generic(v any) any {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	var out any
	if err := json.Unmarshal(raw, &out); err != nil {
		return fmt.Sprint(v)
	}
	return out
}

// holds reports whether an object has at least the wanted members, at any depth.
func holds(have, want any) bool {
	members, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(have, want)
	}
	got, ok := have.(map[string]any)
	if !ok {
		return false
	}
	for name, value := range members {
		if inner, there := got[name]; !there || !holds(inner, value) {
			return false
		}
	}
	return true
}
