package local

import (
	"testing"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/sandboxtest"
)

func TestEachIsolationKeepsTheContract(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox { return open(t, Options{Isolation: isolation}, nil) }, sandboxtest.Caps{
				Git: true, Trees: true, Watch: true, PTY: true, Control: true, Attach: true, Background: true,
				Kill: func(_ *testing.T, sb sandbox.Sandbox) { sb.(*running).proc.kill() },
			})
		})
	}
}
