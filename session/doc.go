// Package session is the life of one sandbox that is bound to one working tree:
// opening, syncing, running commands, checkpoints, returning what changed, closing.
//
// It decides what is durable when. What a command changed is on the host's disk
// before its checkpoint is announced, and stays there until it was returned or
// thrown away by name. It never writes the user's tree itself (that is
// [workspace.Workspace.Apply]) and knows neither LSP nor how a sandbox is made.
//
// Start reading at [Manager.Open] (open.go), then sync.go, exec.go, checkpoint.go
// and return.go, in the order in which a session lives.
package session
