package modal

import (
	"testing"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/sandboxtest"
)

func TestModalDirectKeepsTheContract(t *testing.T) {
	cloud := modaltest.Shared(t)
	r := newRuntime(t, cloud, func(o *Options) { o.Transport = Direct })
	specs := specBook{}
	sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox { return specs.open(t, r) }, sandboxtest.Caps{
		Git: true, Trees: true, Watch: true, PTY: true, Control: true, Attach: true, Background: true,
		Kill: func(t *testing.T, sb sandbox.Sandbox) { cloud.End(t, sb.Info().ID, "terminated") },
	})
}

func TestF19_ModalDirectKeepsTheContractWithoutGitInTheImage(t *testing.T) {
	cloud := modaltest.Shared(t)
	r := newRuntime(t, cloud, func(o *Options) { o.Transport, o.Image = Direct, "registry/glue-without-git" })
	specs := specBook{}
	sandboxtest.Run(t, func(t *testing.T) sandbox.Sandbox { return specs.open(t, r) }, sandboxtest.Caps{
		Trees: true, Watch: true, PTY: true, Control: true, Attach: true, Background: true,
		Kill: func(t *testing.T, sb sandbox.Sandbox) { cloud.End(t, sb.Info().ID, "terminated") },
	})
}
