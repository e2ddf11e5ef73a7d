// Package modal is the runtime whose sandboxes run in Modal's cloud.
//
// Modal's SDK is Python's, so that a Python process, the sidecar (see package sidecar),
// holds the sandboxes; one for all of a [Runtime]. This package starts it, supervises it
// and talks to it (process.go, rpc.go). In agent mode it puts the agent into the sandbox
// and carries the agent's bytes through commands there (agentmode.go, tunnel.go); what a
// sandbox can do is then what [glue-lsp/sandbox/agent] does everywhere. In direct mode
// the sidecar itself runs commands and works on files (direct.go).
//
// Nothing here knows a Modal protocol: that is the SDK's. Nothing here trusts a sandbox
// with more than the interface's callers do.
//
// Start reading at [Runtime.Open].
package modal
