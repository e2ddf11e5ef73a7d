package main

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"glue-lsp/internal/lawtest"
	"glue-lsp/internal/modaltest"
)

// What a crash ends in the cloud.
const (
	theSidecar       victims = "the sidecar"
	theSidecarByTERM victims = "the sidecar, by SIGTERM"
)

// inTheCloud has a person's sandboxes run in Modal.
func (c *crash) inTheCloud() *subscriber {
	c.Helper()
	cloud := modaltest.Start(c.T)
	c.env = append(c.env, cloud.Environ()...)
	c.env = append(c.env, "GLUE_RUNTIME=modal", "MODAL_PYTHON="+modaltest.Python(c.T))
	return &subscriber{c.person, cloud}
}

// strikeCloud is strike for what there is besides a sandbox of this machine's.
func (c *crash) strikeCloud(p *subscriber, who victims) (died bool) {
	c.Helper()
	switch who {
	case theServer:
		c.editor.Kill()
		return true
	case everything:
		for _, x := range tiedTo(c.home) {
			if isSidecar(x, c.home) { // it gets no time to do anything about it
				_ = syscall.Kill(x.pid, syscall.SIGSTOP)
			}
		}
		c.editor.Kill()
		for _, x := range tiedTo(c.home) {
			_ = syscall.Kill(x.pid, syscall.SIGKILL) // it may have ended by itself
		}
		return true
	case theSidecar:
		kill(c.T, p.sidecar())
	case theSidecarByTERM:
		_ = syscall.Kill(p.sidecar(), syscall.SIGTERM)
	}
	return false
}

func TestS6_AnyCrashInTheCloudGivesBackWhatTheLastCheckpointHeldAndBillsNoLonger(t *testing.T) {
	if testing.Short() {
		t.Skip("each crash takes seconds")
	}
	eachCrash(t, 4, func(c *crash) {
		p := c.inTheCloud()
		git := lawtest.Fingerprint(c.T, filepath.Join(c.repo, ".git"), nil)
		c.edits()
		c.open()
		if c.rng.IntN(2) == 0 {
			c.noise()
		}
		who := []victims{theServer, theServer, theSidecar, theSidecarByTERM, everything}[c.rng.IntN(5)]
		moment := time.Duration(c.rng.IntN(1500)) * time.Millisecond
		viaCommandLine := c.rng.IntN(2) == 0
		died := c.interrupted(who, moment, viaCommandLine, func() bool { return c.strikeCloud(p, who) })
		c.untouched(git)
		switch who {
		case theSidecar:
			p.until("another one has the sandbox", func() bool {
				return c.editor.TryCall("glue/session/checkpoint", map[string]any{"session": c.session}, nil) == nil
			})
		case theSidecarByTERM:
			p.until("the sandbox is known to have ended", func() bool { return p.record(c.session).State == "lost" })
		}
		c.recover(died, viaCommandLine)
		c.holdsWhatWasPromised()
		c.untouched(git)
		c.editor.Shutdown()
		p.nothingBills()
		c.nothingIsLeft()
		if n := len(p.cloud.Stats(c.T).Sandboxes); n != 1 {
			c.Errorf("%d sandboxes were made for one session", n)
		}
	})
}

func TestS6_ACrashInTheMiddleOfAnOpenInTheCloudBillsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("each crash takes seconds")
	}
	eachCrash(t, 3, func(c *crash) {
		p := c.inTheCloud()
		git := lawtest.Fingerprint(c.T, filepath.Join(c.repo, ".git"), nil)
		c.edits()
		p.cloud.Faults(c.T, map[string]any{"createDelayMs": c.rng.IntN(600)})
		c.editor.Begin("glue/session/open", map[string]any{"workspaceFolder": c.editor.URI(".")})
		moment := time.Duration(c.rng.IntN(2500)) * time.Millisecond
		<-time.After(moment)
		who := []victims{theServer, theServer, everything}[c.rng.IntN(3)]
		c.strikeCloud(p, who)
		c.Logf("%s is killed %v after it was told to open", who, moment)
		c.untouched(git)
		c.editor = c.editor.Restart(c.server())
		c.editor.SaveCleanFiles()
		c.open()
		c.editor.Call("glue/exec", map[string]any{"command": "echo works > works.txt"}, nil)
		c.editor.Call("glue/session/close", map[string]any{"session": c.session}, nil)
		c.editor.NoticeDisk()
		if got := c.seen("works.txt"); got != "works\n" {
			c.Errorf("works.txt: %q", got)
		}
		c.untouched(git)
		c.editor.Shutdown()
		p.nothingBills()
		c.nothingIsLeft()
		for _, box := range p.cloud.Stats(c.T).Sandboxes {
			if box.TimeoutSeconds == 0 || !strings.HasPrefix(box.Tags["glue-session"], "2") {
				c.Errorf("a sandbox without a cap or a name: %+v", box)
			}
		}
	})
}
