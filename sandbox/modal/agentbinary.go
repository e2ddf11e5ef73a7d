package modal

import (
	"path/filepath"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/modal/agentbin"
)

// agentBinary gives the program that becomes the agent on linux and an architecture (as
// Go names it), known by its hash. An error is of kind Unsupported where there is none.
func (r *Runtime) agentBinary(arch string) (agentbin.Program, error) {
	p, err := agentbin.Find(arch)
	if err != nil {
		return p, &sandbox.Error{Kind: sandbox.Unsupported, Op: "find the agent", Message: err.Error(), Err: err}
	}
	return p, nil
}

// agentFile gives the program as a file to upload.
func (r *Runtime) agentFile(p agentbin.Program) (string, error) {
	if p.Own {
		r.options().Log("modal: this glue-lsp was built without the small agent (make build puts it in), so that it goes up itself")
	}
	file, err := p.File(filepath.Join(r.options().Home, "agents"))
	if err != nil {
		return "", &sandbox.Error{Kind: sandbox.Unavailable, Op: "unpack the agent", Message: err.Error(), Err: err}
	}
	return file, nil
}
