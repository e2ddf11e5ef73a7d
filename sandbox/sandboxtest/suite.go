package sandboxtest

import (
	"context"
	"testing"

	"glue-lsp/sandbox"
)

// Caps says what a runtime can do. What it cannot, it must refuse with the kind
// unsupported.
type Caps struct {
	Git        bool // there is a git inside
	Trees      bool // Populate, Capture, WriteTree and Commits
	Watch      bool
	PTY        bool // terminals
	Control    bool // Signal, Cancel and standard input of a running command
	Attach     bool // finding a command again
	Background bool // processes that outlive their command are listed
	// Kill ends a sandbox from outside, as its death would.
	Kill func(t *testing.T, sb sandbox.Sandbox)
	// Join is Runtime.Attach, and Reopen is Runtime.Reopen, with what that sandbox was
	// opened with and its State. nil where sandboxes do not outlive their owner.
	Join, Reopen func(ctx context.Context, sb sandbox.Sandbox) (sandbox.Sandbox, error)
}

// Run holds the sandboxes that open gives to the contract. Each is closed by the suite.
func Run(t *testing.T, open func(t *testing.T) sandbox.Sandbox, caps Caps) {
	fresh := func(t *testing.T) *box {
		t.Helper()
		b := &box{sb: open(t), caps: caps}
		b.dir = b.sb.Info().Cwd
		t.Cleanup(func() { b.close(t) })
		return b
	}
	t.Run("info", func(t *testing.T) { testInfo(t, fresh) })
	// The commands and files share a sandbox, as they do in life; each test has a
	// folder of its own in it.
	shared := fresh(t)
	group := func(name string, tests []test) {
		t.Run(name, func(t *testing.T) {
			for _, x := range tests {
				t.Run(x.name, func(t *testing.T) { x.run(t, shared.folder(t)) })
			}
		})
	}
	group("adapter", adapterTests)
	group("exec", execTests)
	group("streams", streamTests)
	group("ending", endingTests)
	group("control", controlTests(caps))
	group("files", fileTests)
	group("writing", writeTests)
	group("removing", removeTests)
	group("moving", moveTests)
	group("watch", watchTests(caps))
	alone := func(name string, tests []test) {
		t.Run(name, func(t *testing.T) {
			for _, x := range tests {
				t.Run(x.name, func(t *testing.T) { x.run(t, fresh(t)) })
			}
		})
	}
	alone("populate", populateTests(caps))
	alone("capture", captureTests(caps))
	alone("write tree", writeTreeTests(caps))
	alone("commits", commitTests(caps))
	alone("death", deathTests(caps))
	if caps.Join != nil {
		alone("joining", joiningTests)
	}
	if caps.Reopen != nil && caps.Kill != nil {
		alone("reopening", reopeningTests)
	}
}

// test is one promise.
type test struct {
	name string
	run  func(t *testing.T, b *box)
}

func testInfo(t *testing.T, fresh func(*testing.T) *box) {
	b := fresh(t)
	info := b.sb.Info()
	if info.ID == "" || info.Root == "" || info.Root[0] != '/' || info.Cwd == "" || info.Cwd[0] != '/' {
		t.Errorf("incomplete: %+v", info)
	}
	if info.Isolation == "" || info.Transport == "" {
		t.Errorf("a person cannot tell how it is confined or reached: %+v", info)
	}
	if info.HasGit != b.caps.Git {
		t.Errorf("HasGit is %v, the runtime said %v", info.HasGit, b.caps.Git)
	}
	if err := b.sb.Err(); err != nil {
		t.Errorf("it is dead already: %v", err)
	}
}
