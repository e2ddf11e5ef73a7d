package modal

import (
	"syscall"
	"testing"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
)

func TestF17_ASidecarThatIsToldToEndIsNotRunInto(t *testing.T) {
	r := newRuntime(t, modaltest.Shared(t), func(o *Options) { o.Transport, o.DeleteOnClose = Direct, true })
	dir := t.TempDir()
	d, ok := openBox(t, r, func(s *sandbox.Spec) { s.Dir = dir }).(*direct)
	if !ok {
		t.Fatal("the transport is another one")
	}
	if err := d.PrepareEnding(within(t), sandbox.CaptureRequest{}); err != nil {
		t.Fatal(err)
	}
	p, err := d.Start(within(t), sandbox.ExecRequest{Command: "sleep 1000"})
	if err != nil {
		t.Fatal(err)
	}
	old := d.p
	if err := syscall.Kill(old.hello.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(within(t), nil); err == nil {
		t.Error("the command that was lost has ended well")
	}
	// Another one waits until the sandbox is ended, and does not join it before.
	_, err = d.Stat(within(t), "/tmp")
	wantError(t, err, sandbox.ExecutorDead, "ended with the sidecar")
	if s := readEnding(dir, state{SandboxID: d.info.ID}); !s.Ended || s.ImageID == "" {
		t.Errorf("it left %+v", s)
	}
}
