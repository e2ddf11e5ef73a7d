package lsptest

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

func fakeBinary(tb testing.TB) Server {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	return Binary(self, nil, append(os.Environ(), asServer+"=1"))
}

func TestBinary_ServesAndEndsOnExit(t *testing.T) {
	e := Start(t, fakeBinary(t), Options{Root: t.TempDir()})
	e.Initialize(Neovim())
	e.OpenNew("a", "text")
	inStep(e)
	e.Shutdown() // while its standard input stays open
	e.Await(Ended())
	if got := e.server.stderr(); !strings.Contains(got, "the fake is serving") {
		t.Errorf("its standard error was %q", got)
	}
}

func TestBinary_EndsWithTheTest(t *testing.T) {
	var e *Editor
	t.Run("a test that leaves it running", func(t *testing.T) {
		e = Start(t, fakeBinary(t), Options{Root: t.TempDir()})
		e.Initialize(Neovim())
	})
	select {
	case <-e.server.done:
	default:
		t.Error("it is still there")
	}
}

func TestBinary_CanBeKilledAndStartedAgain(t *testing.T) {
	e := Start(t, fakeBinary(t), Options{Root: t.TempDir()})
	e.Initialize(Neovim())
	e.OpenNew("a", "unsaved")
	again := e.Restart(fakeBinary(t))
	inStep(again)
	if got := again.Buffer("a"); got != "unsaved" {
		t.Errorf("after the restart: %q", got)
	}
}

func TestServers_ThatEndByThemselvesFailTheTest(t *testing.T) {
	said := onPaper(t, func(tb testing.TB) {
		e := Start(tb, InProcess(func(context.Context, io.Reader, io.Writer) error { return errors.New("no mood") }), Options{})
		e.Await(Ended())
	})
	if got := strings.Join(said, "\n"); !strings.Contains(got, "ended by itself: no mood") {
		t.Errorf("said %q", got)
	}
}

func TestServers_ThatCannotStartFailTheTest(t *testing.T) {
	said := onPaper(t, func(tb testing.TB) { Start(tb, Binary("/no/such/server", nil, nil), Options{}) })
	if got := strings.Join(said, "\n"); !strings.Contains(got, "/no/such/server") {
		t.Errorf("said %q", got)
	}
}
