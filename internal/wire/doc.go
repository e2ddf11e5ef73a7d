// Package wire carries LSP messages: a hardened transport around go.lsp.dev/jsonrpc2 that
// survives whatever a peer sends, keeps notifications in order, lets calls overlap, and lets
// replies pass waiting output.
//
// It knows JSON-RPC and framing, not LSP's methods; the one exception is $/cancelRequest,
// which must be answered even if a handler hangs. It never ends the connection because of
// what a message holds: a frame that cannot be understood is answered or skipped, and the
// next one is served. Memory is bounded in both directions, also against a peer that sends
// without reading.
//
// Of jsonrpc2 it uses the message scanner and encoders, ids, error objects and the codec.
// jsonrpc2's own Conn and framer are not used: a handler's panic, a notification's error and
// malformed JSON each end that connection, its framer allocates what a header promises, and
// it cannot answer a cancelled call before its handler returns.
//
// Start reading at conn.go (one connection's life), then frame.go (bytes to bodies),
// message.go (bodies to messages), incoming.go (serving the peer), outgoing.go (asking the
// peer) and outbox.go (what waits to be written, and in which order).
package wire
