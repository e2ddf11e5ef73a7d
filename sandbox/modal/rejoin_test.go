package modal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
)

// heldBy gives a sandbox that an earlier sidecar held, and a new one in the test's hands.
func heldBy(t *testing.T, spec sandbox.Spec) (*held, *peer) {
	t.Helper()
	earlier, now := newPeer(t), newPeer(t)
	r := New(Options{Home: t.TempDir(), DeleteOnClose: true, Log: t.Logf})
	h := r.hold(&sidecarProcess{rpc: earlier.rpc}, spec, created{SandboxID: "sb-1"})
	r.current = &sidecarProcess{rpc: now.rpc}
	return h, now
}

// expects takes one call and answers it.
func (p *peer) expects(t *testing.T, method, answer string) {
	t.Helper()
	id, got, _ := p.takes(t)
	if got != method {
		t.Fatalf("it was asked for %s, not %s", got, method)
	}
	p.says(t, `{"jsonrpc":"2.0","id":%d,%s}`, id, answer)
}

const (
	attached = `"result":{"sandboxId":"sb-1"}`
	done     = `"result":{}`
	failed   = `"error":{"code":-32000,"message":"no network","data":{"kind":"unavailable"}}`
)

func TestF28_ASidecarHasASandboxOnlyWhenItKnowsHowToEndIt(t *testing.T) {
	h, p := heldBy(t, sandbox.Spec{})
	result := make(chan error, 1)
	ask := func() {
		_, err := h.process(within(t))
		result <- err
	}
	go ask()
	p.expects(t, "sandbox/attach", attached)
	p.expects(t, "sandbox/setEnding", failed)
	if err := <-result; !kindIs(err, sandbox.Unavailable) {
		t.Fatalf("the first time: %v", err)
	}
	go ask()
	p.expects(t, "sandbox/attach", attached)
	p.expects(t, "sandbox/setEnding", done)
	if err := <-result; err != nil {
		t.Fatalf("the second time: %v", err)
	}
	ask() // asks for nothing more
	if err := <-result; err != nil {
		t.Fatalf("the third time: %v", err)
	}
}

func TestF28_WhoeverGivesUpWaitingForASandboxCutsNobodyElseOff(t *testing.T) {
	h, p := heldBy(t, sandbox.Spec{})
	ctx, cancel := context.WithCancel(within(t))
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := h.process(ctx)
		first <- err
	}()
	id, _, _ := p.takes(t) // it is being joined
	go func() {
		_, err := h.process(within(t))
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Fatalf("the one that was cancelled: %v", err)
	}
	p.says(t, `{"jsonrpc":"2.0","id":%d,%s}`, id, attached)
	p.expects(t, "sandbox/setEnding", done)
	if err := <-second; err != nil {
		t.Fatalf("the other: %v", err)
	}
}

func TestWhatAnEarlierEndingLeftIsThereUntilTheNextCapture(t *testing.T) {
	dir := t.TempDir()
	h, p := heldBy(t, sandbox.Spec{Dir: dir})
	h.state.EndingMax = 1 << 20
	file := filepath.Join(dir, endingFile)
	if err := os.WriteFile(file, []byte("changes"), 0o600); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := h.process(within(t))
		result <- err
	}()
	p.expects(t, "sandbox/release", done)
	p.expects(t, "sandbox/attach", attached)
	p.expects(t, "sandbox/setEnding", done)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(file); err != nil {
		t.Errorf("joined, and gone: %v", err)
	}
	if err := h.Captured(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(file); !os.IsNotExist(err) {
		t.Errorf("captured, and still there: %v", err)
	}
}

// leave writes down what a sidecar left of a sandbox.
func leave(t *testing.T, dir, note string) {
	t.Helper()
	for name, text := range map[string]string{endingFile: "changes", endingNote: note} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestF28_ASandboxThatWasEndedWithItsSidecarIsNotJoinedAgain(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, `{"sandboxId":"sb-1","captured":true,"ended":true}`)
	h, p := heldBy(t, sandbox.Spec{Dir: dir})
	result := make(chan error, 1)
	go func() {
		_, err := h.process(within(t))
		result <- err
	}()
	p.expects(t, "sandbox/release", done)
	if err := <-result; !kindIs(err, sandbox.ExecutorDead) || !h.isDead() {
		t.Errorf("it was joined: %v", err)
	}
}

func TestF16_OfASandboxThatStaysTheCaptureIsNotUsedUnlessModalSaysThatItIsGone(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, `{"sandboxId":"sb-1","captured":true,"ended":false}`)
	spec := sandbox.Spec{Dir: dir}
	h, p := heldBy(t, spec)
	h.state.Kept = true
	result := make(chan error, 1)
	go func() {
		_, err := h.rt.Reopen(within(t), spec, h.encoded())
		result <- err
	}()
	p.expects(t, "sandbox/release", done)
	p.expects(t, "sandbox/attach", failed)
	if err := <-result; !kindIs(err, sandbox.Unavailable) {
		t.Errorf("without a network: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, endingFile)); err != nil {
		t.Errorf("the capture: %v", err)
	}
}

func TestF16_WhatWorksElsewhereIsNotOwnedHere(t *testing.T) {
	h, p := heldBy(t, sandbox.Spec{})
	mine, err := owner(h.rt.options().Home)
	if err != nil {
		t.Fatal(err)
	}
	found := make(chan []sandbox.Owned, 1)
	go func() {
		list, err := h.rt.Owned(within(t))
		if err != nil {
			t.Error(err)
		}
		found <- list
	}()
	of := func(id, holder string) string {
		return fmt.Sprintf(`{"sandboxId":%q,"tags":{%q:%q,%q:%q}}`, id, tagOwner, mine, tagHolderOwner, holder)
	}
	p.expects(t, "sandbox/list", `"result":{"sandboxes":[`+of("sb-mine", mine)+","+of("sb-free", "")+","+of("sb-theirs", "another")+`]}`)
	var ids []string
	for _, each := range <-found {
		ids = append(ids, each.ID)
	}
	if diff := cmp.Diff([]string{"sb-mine", "sb-free"}, ids); diff != "" {
		t.Errorf("owned (-want +got):\n%s", diff)
	}
}

func TestASandboxWhoseMakingWasGivenUpTooLateIsEnded(t *testing.T) {
	p := newPeer(t)
	sidecar := &sidecarProcess{rpc: p.rpc}
	ctx, cancel := context.WithCancel(within(t))
	result := make(chan error, 1)
	go func() {
		result <- p.callFor(ctx, "sandbox/create", nil, nil, func(a answer) { endUnwanted(sidecar, a, t.Logf) })
	}()
	id, _, _ := p.takes(t)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Fatalf("the call: %v", err)
	}
	if _, method, _ := p.takes(t); method != "$/cancelRequest" {
		t.Fatalf("it was told %s", method)
	}
	p.says(t, `{"jsonrpc":"2.0","id":%d,%s}`, id, attached) // it had left already
	id, method, raw := p.takes(t)
	var params struct{ SandboxID string }
	if err := json.Unmarshal(raw, &params); err != nil || method != "sandbox/terminate" || params.SandboxID != "sb-1" {
		t.Fatalf("then %s %s: %v", method, raw, err)
	}
	p.says(t, `{"jsonrpc":"2.0","id":%d,%s}`, id, done)
}

func TestS5_ASandboxThatAnotherMachineJoinedIsNotReopened(t *testing.T) {
	cloud := modaltest.Shared(t)
	lasting := func(o *Options) { o.DeleteOnClose = false }
	mine, theirs := newRuntime(t, cloud, lasting), newRuntime(t, cloud, lasting)
	spec := sandbox.Spec{Session: "s1", Dir: t.TempDir()}
	sb, err := mine.Open(within(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := mine.end(ctx, sb.Info().ID); err != nil {
			t.Error(err)
		}
	})
	sb.Detach()
	joined, err := theirs.Join(within(t), sandbox.Spec{Session: "s2", Dir: t.TempDir()}, sb.Info().ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mine.Reopen(within(t), spec, sb.State()); !kindIs(err, sandbox.Conflict) {
		t.Errorf("while somebody works in it: %v", err)
	}
	joined.Detach()
	again, err := mine.Reopen(within(t), spec, sb.State())
	if err != nil {
		t.Fatalf("when they have left: %v", err)
	}
	again.Detach()
}
