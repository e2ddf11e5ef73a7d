package sandboxtest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"glue-lsp/sandbox"
)

// seen collects what a watch reports.
type seen struct {
	mu     sync.Mutex
	events []sandbox.FileEvent
}

func (s *seen) add(batch []sandbox.FileEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, batch...)
}

// has reports whether a path was reported with one of the types.
func (s *seen) has(path string, types ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		for _, typ := range types {
			if e.Path == path && e.Type == typ {
				return true
			}
		}
	}
	return false
}

func (s *seen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out strings.Builder
	for _, e := range s.events {
		fmt.Fprintf(&out, "%s %s\n", e.Type, e.Path)
	}
	return out.String()
}

func (s *seen) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = nil
}

func (b *box) watch(t *testing.T, path string, recursive bool) *seen {
	t.Helper()
	s := &seen{}
	stop, err := b.sb.Watch(within(t), path, recursive, s.add)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("seen:\n%s", s)
		}
	})
	return s
}

func watchTests(caps Caps) []test {
	if !caps.Watch {
		return []test{{"a watch is refused as unsupported", func(t *testing.T, b *box) {
			_, err := b.sb.Watch(within(t), b.dir, true, func([]sandbox.FileEvent) {})
			wantKind(t, err, sandbox.Unsupported)
		}}}
	}
	return []test{
		{"what is made, changed and deleted is reported", func(t *testing.T, b *box) {
			b.sh(t, "echo 1 > old; echo 1 > leaving")
			s := b.watch(t, b.dir, false)
			b.sh(t, "echo 1 > new; echo 2 >> old; rm leaving")
			until(t, "all three are seen", func() bool {
				return s.has(b.at("new"), "created") && s.has(b.at("old"), "changed") && s.has(b.at("leaving"), "deleted")
			})
		}},
		{"a recursive watch follows directories that are made later, and misses no file in them", func(t *testing.T, b *box) {
			s := b.watch(t, b.dir, true)
			b.sh(t, `for i in $(seq 40); do mkdir -p "d$i/deep/er" && echo x > "d$i/deep/er/f"; done`)
			until(t, "every file is seen", func() bool {
				for i := 1; i <= 40; i++ {
					if !s.has(b.at(fmt.Sprintf("d%d/deep/er/f", i)), "created", "changed") {
						return false
					}
				}
				return true
			})
			s.reset()
			b.sh(t, "echo y > d7/deep/er/f")
			until(t, "a later change in one is seen", func() bool { return s.has(b.at("d7/deep/er/f"), "changed", "created") })
		}},
		{"a write through the sandbox is one change of its file, and no other name is seen", func(t *testing.T, b *box) {
			s := b.watch(t, b.dir, true)
			for range 3 {
				if _, err := b.sb.WriteFile(within(t), b.at("written"), strings.NewReader("x"), sandbox.WriteOptions{Create: true, Overwrite: true}); err != nil {
					t.Fatal(err)
				}
			}
			b.sh(t, "echo 1 > last")
			until(t, "both are seen", func() bool {
				return s.has(b.at("written"), "created", "changed") && s.has(b.at("last"), "created", "changed")
			})
			if strings.Contains(s.String(), "/.glue-") {
				t.Errorf("unfinished files are reported:\n%s", s)
			}
		}},
		{"a directory that is moved is watched under its new name", func(t *testing.T, b *box) {
			b.sh(t, "mkdir -p a/sub")
			s := b.watch(t, b.dir, true)
			b.sh(t, "mv a b")
			until(t, "the move is seen", func() bool { return s.has(b.at("a"), "deleted") && s.has(b.at("b"), "created") })
			s.reset()
			b.sh(t, "echo x > b/sub/f")
			until(t, "a change below is seen", func() bool { return s.has(b.at("b/sub/f"), "created", "changed") })
			if s.has(b.at("a/sub/f"), "created", "changed") {
				t.Error("and under the old name")
			}
		}},
		{"without recursive only the directory's own names are reported", func(t *testing.T, b *box) {
			b.sh(t, "mkdir sub")
			s := b.watch(t, b.dir, false)
			b.sh(t, "echo x > sub/below; echo x > last")
			until(t, "the last one is seen", func() bool { return s.has(b.at("last"), "created") })
			if s.has(b.at("sub/below"), "created", "changed") {
				t.Error("one below was reported")
			}
		}},
		{"a single file is watched, also when it is replaced", func(t *testing.T, b *box) {
			b.sh(t, "echo 1 > f; echo 1 > beside")
			s := b.watch(t, b.at("f"), false)
			b.sh(t, "echo 2 > beside; echo 2 > tmp; mv tmp f")
			until(t, "the replacement is seen", func() bool { return s.has(b.at("f"), "created", "changed") })
			s.reset()
			b.sh(t, "echo 3 >> f")
			until(t, "a change after it is seen", func() bool { return s.has(b.at("f"), "changed") })
			if s.has(b.at("beside"), "changed") || s.has(b.at("tmp"), "created") {
				t.Error("its neighbours were reported")
			}
		}},
		{"F5: names come as they are", func(t *testing.T, b *box) {
			s := b.watch(t, b.dir, true)
			for _, name := range awkward {
				b.write(t, b.at(name), "x")
			}
			for _, name := range awkward {
				until(t, fmt.Sprintf("%q is seen", name), func() bool { return s.has(b.at(name), "created", "changed") })
			}
		}},
		{"a flood is either told by name or as a change of the whole", func(t *testing.T, b *box) {
			s := b.watch(t, b.dir, true)
			b.sh(t, `seq -f f%.0f 8000 | xargs touch`)
			until(t, "the flood is told", func() bool { return s.has(b.dir, "changed") || s.has(b.at("f8000"), "created", "changed") })
			s.reset()
			b.sh(t, "echo x > after")
			until(t, "and what comes after it", func() bool { return s.has(b.at("after"), "created", "changed") || s.has(b.dir, "changed") })
		}},
		{"nothing is reported after stop", func(t *testing.T, b *box) {
			first, second := &seen{}, b.watch(t, b.dir, false)
			stop, err := b.sb.Watch(within(t), b.dir, false, first.add)
			if err != nil {
				t.Fatal(err)
			}
			b.sh(t, "echo x > one")
			until(t, "both see it", func() bool { return first.has(b.at("one"), "created") && second.has(b.at("one"), "created") })
			stop()
			stop()
			b.sh(t, "echo x > two")
			until(t, "the other sees it", func() bool { return second.has(b.at("two"), "created") })
			if first.has(b.at("two"), "created", "changed") {
				t.Error("the stopped one saw it, too")
			}
		}},
		{"a watch of nothing is fileNotFound", func(t *testing.T, b *box) {
			_, err := b.sb.Watch(within(t), b.at("none"), true, func([]sandbox.FileEvent) {})
			wantKind(t, err, sandbox.FileNotFound)
		}},
	}
}
