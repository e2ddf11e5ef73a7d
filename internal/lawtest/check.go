// Package lawtest is what the laws share: hands that change a folder the way people and
// commands do, and looks at what a folder then holds.
//
// A law says what must hold after any history, not what one history leads to. Every edit
// leaves a mark of its own in the text, so that it can be told whether it survived without
// computing what a merge should have given.
//
// It knows nothing of sessions or trees of the product: what it finds on disk is what a
// person would find there. Start reading at hand.go.
package lawtest

import (
	"flag"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// Seed is what the laws begin with unless -rapid.seed says otherwise, so that a test run
// does the same each time; longer runs draw their own.
const Seed = 20240229

// Check holds a law for so many histories of about so many steps. The flags -rapid.checks,
// -rapid.steps and -rapid.seed (0 draws one) go before, and a failure prints those that
// replay it.
func Check(t *testing.T, checks, steps int, law func(*rapid.T)) {
	t.Helper()
	given := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range map[string]string{
		"rapid.checks": strconv.Itoa(checks), "rapid.steps": strconv.Itoa(steps), "rapid.seed": strconv.Itoa(Seed),
	} {
		if given[name] {
			continue
		}
		f := flag.Lookup(name)
		was := f.Value.String()
		if err := f.Value.Set(value); err != nil { // not flag.Set, after which it would count as given
			t.Fatal(err)
		}
		defer func() { _ = f.Value.Set(was) }() // it was its value
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("a longer look: go test ./… -run '^%s$' with the flag above, and -rapid.v to see each step", t.Name())
		}
	})
	rapid.Check(t, law)
}
