// Package agent is the program that works inside a sandbox, and its client on the
// host. Both ends live here so that the protocol between them is in one place.
//
// The agent runs commands, works on files and reads trees on behalf of its client,
// over any byte stream: a socket pair, a unix socket, a chain of pipes. Losing that
// stream ends nothing; a client that comes back finds its commands and the output
// that it missed. Without a client for a grace the agent ends everything and itself.
//
// Neither end trusts the other: each bounds what it reads, and a panic in one
// operation is that operation's error. The package knows nothing about how a
// sandbox is made, and imports little, since its daemon is shipped as a small
// binary of its own.
//
// Start reading at [Dial] and [Client] for the host's side, at [Main] for the
// sandbox's side, and at protocol.go for what goes between them.
package agent
