package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func captureTests(caps Caps) []test {
	if !caps.Trees {
		return refusedTrees("capture", func(t *testing.T, sb sandbox.Sandbox) error {
			_, err := sb.Capture(within(t), sandbox.CaptureRequest{}, func(sandbox.Captured) error { return nil })
			return err
		})
	}
	return []test{
		{"a fresh tree has no difference", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			got, res := v.capture(t, b)
			if len(got) != 0 || res.Changed != 0 || len(res.Skipped) != 0 || res.Token != "as populated" {
				t.Errorf("got %v, %+v", got, res)
			}
		}},
		{"F5: what changed comes with its bytes, modes and links, once", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			b.inRoot(t, `printf 'a\r\nb' > dir/crlf.txt; printf '\377\000' > $'names/\xfe new'; chmod +x readme.md; chmod -x run.sh
				rm link empty; ln -s elsewhere link; rm -r build; mkdir build; printf x > build/out; mkdir only-a-folder; rm up; printf file > up`)
			want := told{
				"dir/crlf.txt": "a\r\nb", "names/\xfe new": "\xff\x00", "readme.md": "x hello\n", "run.sh": "#!/bin/sh\necho ran\n",
				"link": "-> elsewhere", "empty": "deleted", "build/out": "x", "up": "file",
			}
			got, res := v.capture(t, b)
			if diff := cmp.Diff(want, got); diff != "" || res.Changed != len(want) {
				t.Errorf("%d changes\n%s", res.Changed, diff)
			}
			if again, _ := v.capture(t, b); len(again) != 0 {
				t.Errorf("a second time: %v", again)
			}
		}},
		{"a file gives way to a folder, and a folder to a file", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			b.inRoot(t, `rm empty; mkdir empty; printf 1 > empty/in; rm -r dir; printf 2 > dir`)
			want := told{"empty": "deleted", "empty/in": "1", "dir": "2", "dir/crlf.txt": "deleted", "dir/same as readme": "deleted"}
			got, _ := v.capture(t, b)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}},
		{"an answer that was lost is given again", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			b.inRoot(t, "printf 1 > readme.md; rm empty")
			lost := *v
			lost.entries = map[string]tree.Entry{}
			if _, _, err := lost.ask(within(t), b); err != nil {
				t.Fatal(err)
			}
			b.inRoot(t, "printf 2 > bin")
			got, _ := v.capture(t, b)
			if diff := cmp.Diff(told{"readme.md": "1", "empty": "deleted", "bin": "2"}, got); diff != "" {
				t.Error(diff)
			}
		}},
		{"a change that is taken back before the next capture is no change", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			b.inRoot(t, "printf 1 > readme.md")
			v.capture(t, b)
			b.inRoot(t, "printf 2 > readme.md; printf 1 > readme.md")
			if got, _ := v.capture(t, b); len(got) != 0 {
				t.Errorf("got %v", got)
			}
		}},
		{"a base that nobody knows is stale, and entries repair it", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			b.inRoot(t, "printf 1 > readme.md")
			v.capture(t, b)
			b.inRoot(t, "printf 2 > readme.md; printf 3 > new")
			req := sandbox.CaptureRequest{Base: "another", Format: v.format}
			_, err := b.sb.Capture(within(t), req, func(sandbox.Captured) error { return nil })
			wantKind(t, err, sandbox.Stale)
			req.Entries = v.list()
			got := map[string]bool{}
			res, err := b.sb.Capture(within(t), req, func(c sandbox.Captured) error { got[c.Entry.Path] = true; return nil })
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string]bool{"readme.md": true, "new": true}, got); diff != "" {
				t.Error(diff)
			}
			req.Base, req.Entries = res.Token, nil
			if res, err := b.sb.Capture(within(t), req, func(sandbox.Captured) error { return nil }); err != nil || res.Changed != 0 {
				t.Errorf("after that: %+v, %v", res, err)
			}
		}},
		{"X7: of more than was asked for the largest stay, by name, and come once there is room", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			b.inRoot(t, `head -c 3000 /dev/zero | tr '\0' 3 > a-large; head -c 2000 /dev/zero | tr '\0' 2 > b-large; printf 1 > z-small; rm empty`)
			v.room = 2100
			got, res := v.capture(t, b)
			if diff := cmp.Diff(told{"b-large": strings.Repeat("2", 2000), "z-small": "1", "empty": "deleted"}, got); diff != "" {
				t.Error(diff)
			}
			if len(res.Skipped) != 1 || res.Skipped[0].Path != "a-large" || res.Skipped[0].Reason != tree.TooMuch {
				t.Errorf("skipped: %+v", res.Skipped)
			}
			v.room = 3000
			if got, res := v.capture(t, b); len(res.Skipped) != 0 || got["a-large"] != strings.Repeat("3", 3000) || len(got) != 1 {
				t.Errorf("with room: %d told, skipped %+v", len(got), res.Skipped)
			}
		}},
		{"S1: a tree that the host knows nothing of is told whole", func(t *testing.T, b *box) {
			root := b.sb.Info().Root
			b.write(t, root+"/foreign", "1")
			b.write(t, root+"/dir/foreign", "2")
			v := &view{format: tree.SHA1, entries: map[string]tree.Entry{}}
			got, _ := v.capture(t, b)
			if diff := cmp.Diff(told{"foreign": "1", "dir/foreign": "2"}, got); diff != "" {
				t.Error(diff)
			}
		}},
		{"F10: what the host's rules ignore stays, but tracked files and included ones come", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			v.ignore = []tree.IgnoreFile{{Content: []byte("*.log\nbuild/\nnode_modules\n")}, {Dir: "dir", Content: []byte("!keep.log\n")}}
			v.include = []string{"secret.log", "build/sub/*.txt"}
			b.inRoot(t, `printf 1 > new.log; printf 2 > kept.log; printf 3 > build/out; printf 4 > build/new; printf 5 > dir/keep.log
				mkdir -p build/sub node_modules/x; printf 6 > build/sub/a.txt; printf 7 > build/sub/a.c; printf 8 > secret.log; printf 9 > node_modules/x/y`)
			want := told{"kept.log": "2", "build/out": "3", "dir/keep.log": "5", "build/sub/a.txt": "6", "secret.log": "8"}
			got, _ := v.capture(t, b)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			// They are kept, and a file that came once stays part of the tree.
			v.ignore, v.include = nil, nil
			b.inRoot(t, `printf 10 > another.log; printf 11 > secret.log; rm kept.log`)
			got, _ = v.capture(t, b)
			if diff := cmp.Diff(told{"secret.log": "11", "kept.log": "deleted"}, got); diff != "" {
				t.Errorf("the second time: %s", diff)
			}
		}},
		{"F24: neither a * in .gitignore nor a new repository inside hides anything", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			v.ignore = []tree.IgnoreFile{}
			b.inRoot(t, `printf '*\n' > .gitignore; mkdir -p new; printf '*\n' > new/.gitignore; printf 1 > new/file; printf 2 > readme.md; printf 3 > x.log`)
			if b.caps.Git {
				b.inRoot(t, `rm -rf .git && git init -q && printf '*\n' > .git/info/exclude && (cd new && git init -q)`)
			} else {
				b.inRoot(t, `rm -rf .git; mkdir -p .git/info new/.git; printf '*\n' > .git/info/exclude; printf x > new/.git/HEAD`)
			}
			want := told{".gitignore": "*\n", "new/.gitignore": "*\n", "new/file": "1", "readme.md": "2", "x.log": "3"}
			got, _ := v.capture(t, b)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}},
		{"what cannot come back is named, and never told as deleted", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			v.max = 1000
			b.inRoot(t, `mkfifo pipe; head -c 5000 /dev/zero > big; head -c 5000 /dev/zero > bin; rm readme.md; mkfifo readme.md; printf 1 > fine`)
			got, res := v.capture(t, b)
			if diff := cmp.Diff(told{"fine": "1"}, got); diff != "" {
				t.Error(diff)
			}
			reasons := map[string]tree.Reason{}
			for _, s := range res.Skipped {
				reasons[s.Path] = s.Reason
			}
			want := map[string]tree.Reason{"pipe": tree.Special, "big": tree.TooLarge, "bin": tree.TooLarge, "readme.md": tree.Special}
			if diff := cmp.Diff(want, reasons); diff != "" {
				t.Error(diff)
			}
		}},
		{"F21: a tree in motion breaks no capture, and every content is whole", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			p := b.start(t, sandbox.ExecRequest{Cwd: b.sb.Info().Root, Command: `
				i=0; while [ ! -e stop ]; do i=$((i+1))
				head -c 100000 /dev/zero | tr '\0' "$((i%10))" > moving; : > moving; rm -f gone; printf $i > gone; mkdir -p d$((i%3))/e; printf $i > d$((i%3))/e/f; rm -rf d$(((i+1)%3)); done`})
			for range 25 {
				v.capture(t, b) // which checks each content
			}
			b.write(t, b.sb.Info().Root+"/stop", "")
			if r := wait(t, p); r.ExitCode != 0 {
				t.Fatalf("the motion: %+v", r)
			}
			v.capture(t, b)
			if got, res := v.capture(t, b); len(got) != 0 || len(res.Skipped) != 0 {
				t.Errorf("when it is quiet: %v, %v", got, res.Skipped)
			}
			want := map[string]bool{}
			for name := range b.files(t) {
				want[name] = true
			}
			have := map[string]bool{}
			for name := range v.entries {
				have[name] = true
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("-sandbox +host\n%s", diff)
			}
		}},
		{"captures at once are served one after the other", func(t *testing.T, b *box) {
			h, _ := b.filled(t)
			b.inRoot(t, "printf 1 > readme.md; printf 2 > new")
			var all sync.WaitGroup
			for range 6 {
				all.Go(func() {
					got, _, err := newView(h, "as populated").ask(within(t), b)
					if diff := cmp.Diff(told{"readme.md": "1", "new": "2"}, got); diff != "" || err != nil {
						t.Errorf("%v %s", err, diff)
					}
				})
			}
			all.Wait()
		}},
		{"a capture that its caller breaks off is repeated in full", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			b.inRoot(t, `for i in $(seq 40); do head -c 200000 /dev/zero > "f$i"; done`)
			stop := errors.New("enough")
			_, err := b.sb.Capture(within(t), sandbox.CaptureRequest{Base: v.token, Format: v.format}, func(sandbox.Captured) error { return stop })
			if !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
			ctx, cancel := context.WithCancel(within(t))
			_, err = b.sb.Capture(ctx, sandbox.CaptureRequest{Base: v.token, Format: v.format}, func(sandbox.Captured) error { cancel(); return nil })
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if got, _ := v.capture(t, b); len(got) != 40 {
				t.Errorf("%d files", len(got))
			}
		}},
		{"the agent's unfinished files are not part of the tree", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			content := &gate{first: strings.NewReader(strings.Repeat("x", 400_000)), reached: make(chan struct{}), open: make(chan struct{})}
			done := make(chan error, 1)
			go func() {
				_, err := b.sb.WriteFile(within(t), b.sb.Info().Root+"/slow", content, sandbox.WriteOptions{Create: true})
				done <- err
			}()
			<-content.reached
			if got, _ := v.capture(t, b); len(got) != 0 {
				t.Errorf("half-way: %v", sortedKeys(got))
			}
			close(content.open)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got, _ := v.capture(t, b); len(got) != 1 || len(got["slow"]) != 400_000 {
				t.Errorf("afterwards: %v", sortedKeys(got))
			}
		}},
		{"thousands of files come back", func(t *testing.T, b *box) {
			_, v := b.filled(t)
			b.inRoot(t, `mkdir many; for i in $(seq 3000); do echo $i > many/$i; done`)
			got, res := v.capture(t, b)
			if len(got) != 3000 || res.Changed != 3000 {
				t.Fatalf("%d files", len(got))
			}
			for i := 1; i <= 3000; i++ {
				if got[fmt.Sprintf("many/%d", i)] != fmt.Sprintln(i) {
					t.Fatalf("many/%d holds %q", i, got[fmt.Sprintf("many/%d", i)])
				}
			}
		}},
	}
}

// gate is a content that waits before its end.
type gate struct {
	first   *strings.Reader
	once    sync.Once
	reached chan struct{}
	open    chan struct{}
}

func (g *gate) Read(p []byte) (int, error) {
	if g.first.Len() == 0 {
		g.once.Do(func() { close(g.reached) })
		<-g.open
	}
	return g.first.Read(p)
}
