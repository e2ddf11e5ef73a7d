// Package local runs sandboxes on this machine: an agent confined by bubblewrap where
// that works, and otherwise one that is not confined, which says so.
//
// What a confined command sees is decided in policy_linux.go, by tables. The package
// never decides what goes into a sandbox or comes out of it, and never removes a
// sandbox's tree: its owner does.
//
// Start reading at [New] and [Runtime.Open].
package local
