package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glue-lsp/internal/lsptest"
)

// seen is SessionInfo as far as these tests look at it.
type seen struct {
	ID, State, SandboxID, Transport string
	ExpiresAt                       *time.Time
	Warnings                        []string
	Lost                            *struct{ Kind, Message string }
	Base                            struct{ Commit string }
	Bootstrap                       struct{ Strategy string }
}

func open(e *lsptest.Editor, params map[string]any) (s seen) {
	if params == nil {
		params = map[string]any{}
	}
	e.Call("glue/session/open", params, &s)
	return s
}

// refused wants a call to fail, and gives its kind and message.
func refused(t *testing.T, e *lsptest.Editor, method string, params map[string]any) (code int, kind, message string) {
	t.Helper()
	err := e.TryCall(method, params, nil)
	if err == nil {
		t.Fatalf("%s %v was not refused", method, params)
	}
	var data struct{ Kind string }
	_ = json.Unmarshal(rawData(err.Data), &data)
	return err.Code, data.Kind, err.Message
}

func TestASessionInTheCloudSaysWhenItEndsAndBillsOnlyWhileItIsOpen(t *testing.T) {
	t.Parallel()
	p := onModal(t, "MODAL_SANDBOX_TIMEOUT=600")
	e := p.editor()
	before := time.Now()
	s := open(e, map[string]any{"timeoutSeconds": 300})
	if s.ExpiresAt == nil || s.ExpiresAt.Before(before.Add(299*time.Second)) || s.ExpiresAt.After(time.Now().Add(300*time.Second)) {
		t.Errorf("it ends at %v, opened between %v and %v", s.ExpiresAt, before, time.Now())
	}
	box := p.cloud.Stats(t).Sandbox(t, s.SandboxID)
	if box.TimeoutSeconds != 300 {
		t.Errorf("the cap in the call that made it: %d s", box.TimeoutSeconds)
	}
	if box.Tags["glue-session"] != s.ID || box.Tags["glue-owner"] == "" || box.Tags["glue-host"] == "" {
		t.Errorf("its tags: %v", box.Tags)
	}
	runs(e, "echo out > out.txt")
	var out returned
	e.Call("glue/session/close", map[string]any{}, &out)
	if !out.Terminated || p.read("out.txt") != "out\n" {
		t.Errorf("%+v", out)
	}
	p.nothingBills()
	if billed, open := p.cloud.Stats(t).Billed, time.Since(before).Seconds(); billed <= 0 || billed > open {
		t.Errorf("billed %v s of the %v s that it can have lived", billed, open)
	}
	e.Shutdown()
	p.nothingLeft()
}

func TestACapThatModalDoesNotAllowIsRefusedByName(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	for _, seconds := range []int{-1, 86401, 1 << 40} {
		code, _, message := refused(t, e, "glue/session/open", map[string]any{"timeoutSeconds": seconds})
		if code != -32602 || !strings.Contains(message, "timeoutSeconds") {
			t.Errorf("%d s: %d %s", seconds, code, message)
		}
	}
	for _, value := range []string{"0", "86401", "soon"} {
		p.env = append(p.env, "MODAL_SANDBOX_TIMEOUT="+value)
		_, errs := p.does(125, "run", "--", "true")
		p.sees(errs, "modal.sandbox_timeout_seconds (environment)")
	}
	if n := len(p.cloud.Stats(t).Sandboxes); n != 0 {
		t.Errorf("%d sandboxes were made", n)
	}
	e.Shutdown()
}

func TestS4_U8_WhenTheCapEndsASandboxTheLastCheckpointIsReturnedWithTheReason(t *testing.T) {
	for how, words := range map[string][]string{
		"timeout":    {"sandbox_timeout_seconds"},
		"terminated": {"from outside"},
		"evicted":    {"Modal"},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			p := onModal(t)
			e := p.editor()
			s := open(e, nil)
			runs(e, "echo kept > kept.txt")
			e.Call("glue/session/checkpoint", map[string]any{}, nil)
			running := e.Begin("glue/exec", map[string]any{"command": "echo lost > lost.txt; sleep 600"})
			p.until("it runs", func() bool {
				var r struct{ Exists bool }
				e.Call("glue/fs/exists", map[string]any{"path": "lost.txt"}, &r)
				return r.Exists
			})
			p.cloud.End(t, s.SandboxID, how)
			err := running.Wait(nil)
			if err == nil || !strings.Contains(string(rawData(err.Data)), "executorDead") {
				t.Fatalf("the command in flight: %v", err)
			}
			var out returned
			e.Call("glue/session/return", map[string]any{"session": s.ID}, &out)
			u := out.Unavailable
			if u == nil || u.Reason != "executorDead" || u.Recovered == nil || u.Recovered.Seq < 1 {
				t.Fatalf("the return says %+v", out)
			}
			p.sees(u.Message, words...)
			p.sees(u.Message, "could not be captured")
			if got := p.read("kept.txt"); got != "kept\n" {
				t.Errorf("kept.txt: %q", got)
			}
			e.Shutdown()
			p.nothingBills()
			p.nothingLeft()
		})
	}
}

func TestF16_S1_ASandboxThatStaysSaysItsIdAndIsJoinedAgainWithItsBase(t *testing.T) {
	t.Parallel()
	p := onModal(t, "MODAL_DELETE_ON_CLOSE=false")
	e := p.editor()
	s := open(e, nil)
	runs(e, "echo first > first.txt; echo secret > /tmp/elsewhere")
	var out returned
	e.Call("glue/session/close", map[string]any{"return": false}, &out)
	if out.Terminated || p.cloud.Stats(t).Alive != 1 {
		t.Fatalf("it did not stay: %+v", out)
	}
	e.Shutdown()
	list, _ := p.does(0, "sessions", "list")
	p.sees(list, s.SandboxID, s.ID)
	if p.cloud.Stats(t).Alive != 1 {
		t.Fatal("looking at the list ended it")
	}
	again := p.editor()
	joined := open(again, map[string]any{"attach": s.SandboxID})
	if joined.ID != s.ID || joined.Base.Commit != s.Base.Commit || joined.SandboxID != s.SandboxID {
		t.Errorf("joined %+v", joined)
	}
	runs(again, "cat /tmp/elsewhere > second.txt")
	again.Call("glue/session/return", map[string]any{}, nil)
	if one, two := p.read("first.txt"), p.read("second.txt"); one != "first\n" || two != "secret\n" {
		t.Errorf("first.txt %q, second.txt %q", one, two)
	}
	again.Call("glue/session/close", map[string]any{}, nil)
	p.cloud.End(t, s.SandboxID, "terminated")
	_, _, message := refused(t, again, "glue/session/open", map[string]any{"attach": s.SandboxID})
	p.sees(message, "gone")
	again.Shutdown()
	p.nothingBills()
	p.nothingLeft()
}

func TestS5_TheSecondWhoWantsASandboxIsToldWhoHasIt(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	s := open(e, nil)
	other := &subscriber{newPerson(t), p.cloud}
	other.env = p.env
	elsewhere := other.editor()
	_, kind, message := refused(t, elsewhere, "glue/session/open", map[string]any{"attach": s.SandboxID})
	if kind != "sessionBusy" || !strings.Contains(message, s.ID) {
		t.Errorf("another home: %s: %s", kind, message)
	}
	elsewhere.Shutdown()
	second := p.editor()
	_, kind, message = refused(t, second, "glue/session/open", map[string]any{"attach": s.SandboxID})
	if kind != "sessionBusy" || !strings.Contains(message, s.ID) {
		t.Errorf("another editor: %s: %s", kind, message)
	}
	second.Shutdown()
	runs(e, "echo still > mine.txt")
	e.Call("glue/session/close", map[string]any{}, nil)
	if got := p.read("mine.txt"); got != "still\n" {
		t.Errorf("mine.txt: %q", got)
	}
	e.Shutdown()
	p.nothingBills()
}

func TestS1_F14_AForeignSandboxesHeadIsTheBaseAndThatIsSaid(t *testing.T) {
	t.Parallel()
	p := onModal(t, "MODAL_DELETE_ON_CLOSE=false")
	maker := &subscriber{newPerson(t), p.cloud}
	maker.env = p.env
	e := maker.editor()
	s := open(e, nil)
	runs(e, "echo theirs > theirs.txt; git add -A; git commit -qm theirs; echo uncommitted > a.txt; echo new > new.txt")
	e.Call("glue/session/close", map[string]any{"return": false}, nil)
	e.Shutdown()

	p.write("mine.txt", "mine\n")
	mine := p.editor()
	joined := open(mine, map[string]any{"attach": s.SandboxID})
	if joined.Bootstrap.Strategy != "attach" || !strings.Contains(strings.Join(joined.Warnings, "\n"), "is taken as the base") {
		t.Errorf("%+v", joined)
	}
	var r struct{ Stdout struct{ Data string } }
	mine.Call("glue/exec", map[string]any{"command": "cat mine.txt theirs.txt new.txt a.txt"}, &r)
	if r.Stdout.Data != "mine\ntheirs\nnew\nuncommitted\n" {
		t.Errorf("inside: %q", r.Stdout.Data)
	}
	mine.Call("glue/session/return", map[string]any{}, nil)
	for name, want := range map[string]string{"a.txt": "uncommitted\n", "new.txt": "new\n", "theirs.txt": "theirs\n", "mine.txt": "mine\n"} {
		if got := p.read(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	var out returned
	mine.Call("glue/session/close", map[string]any{}, &out)
	if out.Terminated || p.cloud.Stats(t).Alive != 1 {
		t.Errorf("a sandbox of somebody else's was ended: %+v", out)
	}
	for _, id := range []string{"sb-0123456789abcdefghijkl", "nonsense"} {
		_, kind, message := refused(t, mine, "glue/session/open", map[string]any{"attach": id})
		if kind != "executorDead" || !strings.Contains(message, "no such sandbox") {
			t.Errorf("%s: %s: %s", id, kind, message)
		}
	}
	mine.Shutdown()
}

func TestL1_ResumingASessionWhoseSandboxIsGoneOffersWhatWasKept(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	s := open(e, nil)
	runs(e, "echo kept > kept.txt")
	e.Kill()
	p.nothingBills()
	again := e.Restart(p.server())
	again.SaveCleanFiles()
	_, kind, message := refused(t, again, "glue/session/open", map[string]any{"resume": s.ID})
	if kind != "sessionLost" || !strings.Contains(message, "1 changed file") {
		t.Errorf("%s: %s", kind, message)
	}
	if n := len(p.cloud.Stats(t).Sandboxes); n != 1 {
		t.Errorf("%d sandboxes were made", n)
	}
	again.Call("glue/session/return", map[string]any{"session": s.ID}, nil)
	if got := p.read("kept.txt"); got != "kept\n" {
		t.Errorf("kept.txt: %q", got)
	}
	again.Shutdown()
	p.nothingLeft()
}

func TestL4_ASandboxThatCannotBeEndedIsEndedByTheFinisher(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	open(e, nil)
	runs(e, "echo out > out.txt")
	p.cloud.Faults(t, map[string]any{"terminateFails": 1 << 20})
	var out returned
	e.Call("glue/session/close", map[string]any{}, &out)
	if out.Terminated || p.read("out.txt") != "out\n" || p.cloud.Stats(t).Alive != 1 {
		t.Errorf("%+v", out)
	}
	p.cloud.Faults(t, nil)
	p.nothingBills()
	e.Shutdown()
	p.nothingLeft()
}

func TestL4_TheNextStartEndsOrphansOfThisMachineAndNeverThoseOfOthers(t *testing.T) {
	t.Parallel()
	p := onModal(t, "MODAL_DELETE_ON_CLOSE=false")
	other := &subscriber{newPerson(t), p.cloud}
	other.env = p.env
	ids := map[string]string{}
	for name, who := range map[string]*subscriber{"mine": p, "theirs": other} {
		e := who.editor()
		s := open(e, nil)
		e.Call("glue/session/close", map[string]any{}, nil)
		e.Shutdown()
		ids[name] = s.SandboxID
		who.does(0, "sessions", "discard", s.ID, "--yes") // nothing here knows of it any more
	}
	_, said := p.does(0, "sessions", "prune", "--dry-run")
	p.sees(said, ids["mine"], "would be ended")
	if n := p.cloud.Stats(t).Alive; n != 2 {
		t.Fatalf("%d run after a dry run", n)
	}
	_, said = p.does(0, "sessions", "prune")
	p.sees(said, ids["mine"], "was ended")
	if strings.Contains(said, ids["theirs"]) {
		t.Errorf("another's is spoken of: %s", said)
	}
	if stats := p.cloud.Stats(t); stats.Sandbox(t, ids["mine"]).Alive || !stats.Sandbox(t, ids["theirs"]).Alive {
		t.Errorf("%+v", stats.Sandboxes)
	}
}

func TestU4_FilesThatAreTooLargeToComeBackAreKeptAsAnImage(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	s := open(e, nil)
	runs(e, "truncate -s 2G hole.bin; echo small > small.txt")
	e.Call("glue/session/close", map[string]any{"session": s.ID}, nil)
	if got := p.read("small.txt"); got != "small\n" {
		t.Errorf("small.txt: %q", got)
	}
	p.nothingBills()
	e.Shutdown()
	shown, _ := p.does(0, "sessions", "show", s.ID)
	p.sees(shown, "hole.bin", "kept in Modal as image im-")
	image := strings.TrimRight(shown[strings.Index(shown, "image im-")+len("image "):][:40], " ,")
	image, _, _ = strings.Cut(image, ",")
	p.env = append(p.env, "MODAL_IMAGE="+image)
	out, _ := p.does(0, "run", "--apply=no", "--", "sh", "-c", "stat -c %s /workspace*/*hole.bin /workspace.image-*/*hole.bin 2>/dev/null; true")
	p.sees(out, "2147483648")
}

func TestU4_S6_FilesThatAreTooLargeOutliveAKilledServerAsAnImage(t *testing.T) {
	t.Parallel()
	p := onModal(t)
	e := p.editor()
	s := open(e, nil)
	runs(e, "truncate -s 2G hole.bin; echo small > small.txt")
	e.Kill()
	p.until("its sidecar has ended", func() bool { return len(tiedTo(p.home)) == 0 })
	p.nothingBills()
	p.does(0, "sessions", "list")
	shown, _ := p.does(0, "sessions", "show", s.ID)
	p.sees(shown, "hole.bin", "kept in Modal as image im-")
}

func TestF16_F28_WhereSandboxesStayAKilledServersCommandGoesOnAndItsCaptureIsSupersededByTheLiveTree(t *testing.T) {
	t.Parallel()
	p := onModal(t, "MODAL_DELETE_ON_CLOSE=false")
	// What a server of Modal's does not have to have is done without.
	p.cloud.Faults(t, map[string]any{"coreOnly": true})
	e := p.editor()
	s := open(e, nil)
	e.Begin("glue/exec", map[string]any{"execId": "x", "stream": true, "command": "echo early > state.txt; for i in $(seq 200); do echo $i; sleep 0.02; done; echo final > state.txt"})
	p.until("it prints", func() bool { return heard(e, "glue/exec/output") })
	e.Kill()
	p.until("its sidecar has ended", func() bool { return len(tiedTo(p.home)) == 0 })
	capture := filepath.Join(p.home, "sessions", s.ID, "ending.capture")
	if _, err := os.Stat(capture); err != nil || p.cloud.Stats(t).Alive != 1 {
		t.Fatalf("captured: %v; %d sandboxes run", err, p.cloud.Stats(t).Alive)
	}
	again := e.Restart(p.server())
	again.SaveCleanFiles()
	if now := open(again, map[string]any{"resume": s.ID}); now.ID != s.ID || now.State != "ready" {
		t.Fatalf("resumed as %+v", now)
	}
	var r struct{ ExitCode int }
	again.Call("glue/exec/attach", map[string]any{"execId": "x", "fromByte": 0}, &r)
	if lines := strings.Count(printed(t, again, "x"), "\n"); r.ExitCode != 0 || lines != 200 {
		t.Errorf("status %d, %d lines", r.ExitCode, lines)
	}
	p.until("what was captured before is not taken for its last state any more", func() bool {
		_, err := os.Stat(capture)
		return err != nil
	})
	again.Call("glue/session/close", map[string]any{}, nil)
	if got := p.read("state.txt"); got != "final\n" {
		t.Errorf("state.txt: %q", got)
	}
	again.Shutdown()
}
