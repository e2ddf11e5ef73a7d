package sandbox

import (
	"context"

	"glue-lsp/internal/tree"
)

// What only some sandboxes can do. Callers ask by a type assertion, and do without.

// Cloner is a Sandbox that can fetch from a git remote by itself, so that only what the
// remote does not have is sent to it.
type Cloner interface {
	// CloneRemote makes the root a repository that holds the tree of a commit as one of the
	// sources gives it. It uses no credentials, and asks for none. Trees.Populate with
	// OverClone goes on from there; without, it starts afresh. An error names every source
	// that was tried and says, whole, what was answered; it is of kind Unsupported where
	// there is no git inside.
	CloneRemote(ctx context.Context, req CloneRequest) (CloneResult, error)
}

// CloneSource is one place to fetch from. URL begins with http:// or https:// and holds no
// credentials. Commit is what is wanted; where the remote does not give it, Ref (a full
// name such as refs/heads/main) is taken as it is there by now.
type CloneSource struct {
	URL    string `json:"url"`
	Commit string `json:"commit"`
	Ref    string `json:"ref,omitempty"`
}

// CloneRequest for Cloner.CloneRemote.
type CloneRequest struct {
	Sources []CloneSource // tried in this order
	Format  tree.Format
	Objects []string // ids that the caller asks about
	// KeepIgnored leaves in the root what is there, but for a repository: the Populate that
	// follows has the same field.
	KeepIgnored bool
	Progress    func(message string) // nil is nobody
}

// CloneResult says what is in the sandbox now.
type CloneResult struct {
	URL string // of the source that was taken
	Has []bool // for each of CloneRequest.Objects, whether it is there
}

// Distant is a Runtime to which sending takes long.
type Distant interface {
	Runtime
	// BundleMax is how large the bundle that is sent at the start may be, in bytes, before
	// another way is tried, unless somebody says otherwise.
	BundleMax() int64
}

// Keeper is a Sandbox whose files can be kept as an image, from which later ones start.
type Keeper interface {
	// Keep makes the image and gives its name, for Spec.Kept. It holds the files only: no
	// processes, and nothing of their environment.
	Keep(ctx context.Context) (image string, err error)
}

// Archiver is a Sandbox whose files can be had, as an image, after its end.
type Archiver interface {
	// Archive makes the image, or names one that was made, and gives its name. An error is of
	// kind ExecutorDead if the sandbox has ended and left none.
	Archive(ctx context.Context) (image string, err error)
}

// ImageRuntime is a Runtime whose sandboxes are Keepers.
type ImageRuntime interface {
	Runtime
	// ImageKey names everything besides Spec that decides what a sandbox is made of. An
	// image that was kept under another key must not be used.
	ImageKey() string
}
