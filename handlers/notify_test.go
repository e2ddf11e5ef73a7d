package handlers

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/session"
)

func announced(id, state string, seq, changed int) session.Info {
	return session.Info{ID: id, State: state, Folder: "/w", Checkpoint: session.CheckpointInfo{Seq: seq, ChangedFiles: changed}}
}

func TestEveryCheckpointIsAnnouncedInOrder(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	for seq := range 50 {
		c.server.sessionChanged(announced("s1", session.Ready, seq, 0))
	}
	c.await(methodSessionChanged, contains(`"seq":49,`))
	c.mu.Lock()
	defer c.mu.Unlock()
	next := 0
	for _, m := range c.messages {
		if m.method != methodSessionChanged {
			continue
		}
		got := into[struct {
			Session struct{ Checkpoint struct{ Seq int } }
		}](t, m.params)
		if got.Session.Checkpoint.Seq != next {
			t.Fatalf("after checkpoint %d came %d", next-1, got.Session.Checkpoint.Seq)
		}
		next++
	}
}

func TestWaitingForACheckpointEndsWithTheSession(t *testing.T) {
	var a announcements
	got := make(chan session.Info, 2)
	for range 2 {
		go func() {
			info, _ := a.checkpoint(context.Background(), "s1", 3)
			got <- info
		}()
	}
	a.add(announced("s1", session.Ready, 2, 1))
	a.add(announced("s2", session.Ready, 9, 1))
	a.add(announced("s1", session.StateLost, 2, 1))
	for range 2 {
		if info := <-got; info.State != session.StateLost {
			t.Errorf("it ended with %+v", info)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.checkpoint(ctx, "s3", 1); err == nil {
		t.Error("waiting for a session that is not there ended without an error")
	}
}

func TestAReturnIsOfferedOnceAtATime(t *testing.T) {
	var o offers
	if !o.begin("s1") || o.begin("s1") || !o.begin("s2") {
		t.Error("two offers for one session, or none for another")
	}
	o.end("s1")
	if !o.begin("s1") {
		t.Error("an offer that is over stands in the way")
	}
}

func TestSessionInfoOnTheWire(t *testing.T) {
	got := toSessionInfo(session.Info{
		ID: "s1", Folder: "/a b", Base: session.BaseInfo{Skipped: []session.Skipped{{Path: "gr\xFC", Reason: "secret"}}},
		Execs: []session.ExecInfo{{ExecID: "x", Command: "echo \xFC"}},
	}, fileURI)
	if got.WorkspaceFolder != "file:///a%20b" || got.ExpiresAt != "" || got.Lost != nil {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]skipped{{Path: `gr\xFC`, PathBytes: "Z3L8", Reason: "secret"}}, got.Base.Skipped); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(got.Execs[0].Command, `\xFC`) {
		t.Errorf("the command is %q", got.Execs[0].Command)
	}
}
