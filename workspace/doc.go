// Package workspace is the host's side of a session: the tree as the editor sees it,
// what both sides agreed on, and the one gate through which the person's files are
// written.
//
// It never writes into a repository's .git folder (but for [Workspace.Branch], an
// explicit wish), never reads the person's objects again once a snapshot was taken,
// and knows nothing of LSP or of sandboxes: trees are ids in a [Store], edits are its
// own type.
//
// Three trees meet in every plan: agreed (what host and sandbox last held alike, path
// by path), host (a [Snapshot]) and theirs (the sandbox's). The way up starts at
// [Workspace.Snapshot] and [Store.PlanUp]; the way down at [Workspace.PlanDown] and
// [Workspace.Apply].
package workspace
