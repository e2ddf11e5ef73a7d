// Package handlers is the language server's face: LSP messages come in, calls on
// sessions go out, and answers, notifications and edits go back.
//
// It translates and never decides: what is agreed between host and sandbox, what is
// written to the user's tree and what a command may do is the business of the packages
// below. It writes nothing to the user's tree, runs no program and never asks the
// sandbox what is right.
//
// Start at routes.go, the one table of what can be called, then at the file named after
// the group of methods (session.go, exec.go, fs.go, commands.go, …). types.go holds the
// shapes that travel; docs/lsp-extensions.md is generated from both. server.go owns the
// life of the connection, errors.go is the only place where a failure becomes an LSP
// error.
package handlers
