package sandboxtest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

// swap makes the box another sandbox's: that which find gives for the one that it has.
func (b *box) swap(t *testing.T, find func() (sandbox.Sandbox, error)) {
	t.Helper()
	next, err := find()
	if err != nil {
		t.Fatal(err)
	}
	b.sb = next
}

// join lets go of the sandbox and finds it again, as another process would.
func (b *box) join(t *testing.T) {
	t.Helper()
	old := b.sb
	old.Detach()
	b.swap(t, func() (sandbox.Sandbox, error) { return b.caps.Join(within(t), old) })
}

// joiningTests are about a sandbox whose owner let go of it.
var joiningTests = []test{
	{"U6: a sandbox that was let go is found again, and is the same", func(t *testing.T, b *box) {
		before := b.sb.Info()
		b.write(t, b.at("f"), "kept")
		b.join(t)
		if diff := cmp.Diff(before, b.sb.Info()); diff != "" {
			t.Error(diff)
		}
		if got := b.read(t, b.at("f")); got != "kept" {
			t.Errorf("the file holds %q", got)
		}
		b.join(t)
		if got := b.sh(t, "echo a third owner"); got != "a third owner\n" {
			t.Errorf("got %q", got)
		}
	}},
	{"F28: its commands went on, and their output is complete", func(t *testing.T, b *box) {
		p := b.start(t, sandbox.ExecRequest{
			ID: "long", Command: `echo one; echo two >&2; echo up > sign; until test -e go; do sleep 0.01; done; echo three; echo four >&2; read word; echo "$word"; exit 5`,
			Stdin: true,
		})
		b.appears(t, b.at("sign"))
		b.join(t)
		list, err := b.sb.Processes(within(t))
		if err != nil || len(list) != 1 || list[0].ID != p.ID() || list[0].State != "running" {
			t.Fatalf("what runs: %+v %v", list, err)
		}
		b.write(t, b.at("go"), "")
		from := sandbox.Offsets{Stdout: 4, Stderr: 2}
		again, err := b.sb.Attach(within(t), p.ID(), from)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Stdin(within(t), []byte("word\n"), true); err != nil {
			t.Fatal(err)
		}
		if r := waitFrom(t, again, from); r.out != "three\nword\n" || r.err != "o\nfour\n" || r.ExitCode != 5 {
			t.Errorf("got %+v", r)
		}
		all, err := b.sb.Attach(within(t), p.ID(), sandbox.Offsets{})
		if err != nil {
			t.Fatal(err)
		}
		if r := wait(t, all); r.out != "one\nthree\nword\n" || r.err != "two\nfour\n" || r.ExitCode != 5 {
			t.Errorf("and once more: %+v", r)
		}
	}},
	{"S1: what it changed is told to whoever names what they hold", func(t *testing.T, b *box) {
		if !b.caps.Trees {
			return // it has no trees to tell of
		}
		_, v := b.filled(t)
		b.inRoot(t, "printf 1 > readme.md")
		v.capture(t, b)
		b.inRoot(t, "printf 2 > bin; rm empty")
		b.join(t)
		_, _, err := v.ask(within(t), b)
		wantKind(t, err, sandbox.Stale)
		v.anew = true
		got, _ := v.capture(t, b)
		if diff := cmp.Diff(told{"bin": "2", "empty": "deleted"}, got); diff != "" {
			t.Error(diff)
		}
		if got, _ := v.capture(t, b); len(got) != 0 {
			t.Errorf("a second time: %v", got)
		}
	}},
	{"one that has ended cannot be joined, and says so", func(t *testing.T, b *box) {
		if err := b.sb.Close(within(t)); err != nil {
			t.Fatal(err)
		}
		_, err := b.caps.Join(within(t), b.sb)
		wantKind(t, err, sandbox.ExecutorDead)
	}},
	{"F27: closing one that was joined ends every process of it", func(t *testing.T, b *box) {
		b.start(t, sandbox.ExecRequest{Command: "setsid sleep 1000 >/dev/null 2>&1 & echo up > sign; sleep 1000"})
		b.appears(t, b.at("sign"))
		first := b.sb
		b.join(t)
		if err := b.sb.Close(within(t)); err != nil {
			t.Fatal(err)
		}
		b.isDead(t)
		_, err := b.caps.Join(within(t), first)
		wantKind(t, err, sandbox.ExecutorDead)
	}},
}

// reopeningTests are about a sandbox that died, and the tree that it left.
var reopeningTests = []test{
	{"S6, U8: what commands changed after the last capture is found in the tree that a dead sandbox left", func(t *testing.T, b *box) {
		h, v := b.filled(t)
		b.inRoot(t, "printf 1 > readme.md")
		v.capture(t, b)
		b.inRoot(t, `printf 2 > bin; rm empty; mkdir -p new; printf 3 > new/file; git add -A; git commit -qm "made inside"`)
		b.inRoot(t, "printf 4 > readme.md")
		dead := b.sb
		b.caps.Kill(t, dead)
		<-dead.Done()
		b.swap(t, func() (sandbox.Sandbox, error) { return b.caps.Reopen(within(t), dead) })
		if got, want := b.sb.Info().Isolation, dead.Info().Isolation; got != want {
			t.Errorf("the isolation was %s and is %s", want, got)
		}
		v.anew = true
		got, _ := v.capture(t, b)
		if diff := cmp.Diff(told{"bin": "2", "empty": "deleted", "new/file": "3", "readme.md": "4"}, got); diff != "" {
			t.Error(diff)
		}
		if !b.caps.Git {
			return
		}
		if c := b.brought(t, h, ""); c.Head == "" || c.Head == h.commit {
			t.Errorf("the commit that was made inside is not told: %+v", c)
		}
	}},
	{"F27: nothing of the dead one goes on", func(t *testing.T, b *box) {
		b.start(t, sandbox.ExecRequest{Command: `setsid -f env -i /bin/sh -c 'while :; do date +%N > still; /bin/sleep 0.01; done' >/dev/null 2>&1; sleep 1000`})
		b.appears(t, b.at("still"))
		dead := b.sb
		b.caps.Kill(t, dead)
		<-dead.Done()
		b.swap(t, func() (sandbox.Sandbox, error) { return b.caps.Reopen(within(t), dead) })
		first := b.read(t, "still")
		if got := b.sh(t, "sleep 0.1; cat still"); got != first {
			t.Error("something of the dead sandbox still writes")
		}
	}},
	{"files that a killed agent had not finished are not taken for changes", func(t *testing.T, b *box) {
		_, v := b.filled(t)
		b.inRoot(t, `printf half > .glue-0123456789ab-ba9876543210; printf half > names/.glue-tmp-ABCDEFGHIJKLMNOPQRSTUVWXYZ; printf whole > .glue-notes`)
		dead := b.sb
		b.caps.Kill(t, dead)
		<-dead.Done()
		b.swap(t, func() (sandbox.Sandbox, error) { return b.caps.Reopen(within(t), dead) })
		v.anew = true
		got, _ := v.capture(t, b)
		if diff := cmp.Diff(told{".glue-notes": "whole"}, got); diff != "" {
			t.Error(diff)
		}
	}},
}
