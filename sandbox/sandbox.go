// Package sandbox says what a sandbox can do: run commands, work on files, take a
// tree in and tell what changed in it. A runtime (local, modal) gives a [Sandbox];
// everything above this package knows only this interface and its [Error].
//
// Nothing that comes out of a sandbox is trusted by the callers of this package:
// paths, sizes and modes in answers are what the other side claims.
//
// Paths are absolute in the sandbox, or relative to Info.Cwd; they are Go strings of
// raw bytes, not necessarily UTF-8. A Sandbox is safe for concurrent use. Every
// error that it returns is an [*Error] or a context's error.
package sandbox

import (
	"context"
	"io"
	"io/fs"
	"time"

	"glue-lsp/internal/tree"
)

// Runtime starts sandboxes of one kind.
type Runtime interface {
	// Name is "local" or "modal".
	Name() string
	// Open starts a sandbox, empty but for what its image holds.
	Open(ctx context.Context, spec Spec) (Sandbox, error)
	// Attach joins a sandbox whose owner died or let go of it, with all that runs in it;
	// state is what Sandbox.State gave that owner. What the agent and the caller each know
	// of the tree is not known to be alike: the next Capture names Entries or is Stale. An
	// error of kind ExecutorDead says that the sandbox is gone; any other that it may live
	// and cannot be joined.
	Attach(ctx context.Context, spec Spec, state []byte) (Sandbox, error)
	// Reopen ends what is left of a sandbox and starts another one, no less confined, over
	// the tree that it left, so that what its commands changed can be captured. An error
	// of kind FileNotFound says that no tree is there.
	Reopen(ctx context.Context, spec Spec, state []byte) (Sandbox, error)
	// Reap ends what a dead owner left behind; state is what Sandbox.State gave it, and
	// empty where it died before it had a sandbox to ask.
	Reap(ctx context.Context, spec Spec, state []byte) error
	// Checks are the runtime's lines in `doctor`. It may open a sandbox as spec asks; what
	// is missing in it the runtime makes up.
	Checks(ctx context.Context, spec Spec) []Check
}

// Spec asks for a sandbox.
type Spec struct {
	Session string // the owner's id, for names and tags
	Dir     string // the session's state folder on the host
	TreeDir string // local runtimes keep the sandbox's tree in here
	// CacheDir keeps the workspace's build caches from one sandbox to the next; "" keeps
	// none. Only sandboxes of the same workspace get the same one, since a command can
	// leave anything in it.
	CacheDir string
	Subdir   string            // commands start in this folder of the root, slash-separated
	Env      map[string]string // laid over the sandbox's environment
	Timeout  time.Duration     // the cap on its life; zero is the runtime's default
	// Grace is how long a local sandbox outlives a server that was killed; zero is the
	// runtime's own. A sandbox in the cloud has a keeper that ends it.
	Grace   time.Duration
	Network string // "", "on" or "none"
	// Unconfined: the person agreed that commands run without isolation, where a local
	// runtime that was left to choose has none.
	Unconfined bool
	Tags       map[string]string
	Log        func(format string, args ...any)

	// HostRoot is the absolute host path of what the root is filled with; "" is none. A
	// local sandbox has the root under this path too where it can, since virtual
	// environments and build outputs name it.
	HostRoot string
	// Lend names folders of HostRoot (relative to it, slash-separated) that a local sandbox
	// has from the start, as they are on the host, and that are no part of its tree. What is
	// written there stays inside. It is asked when the sandbox starts; nil is none.
	Lend func(ctx context.Context) ([]string, error)
	// LendCaches lends what tools downloaded for every project of this machine, such as
	// ~/.m2/repository, in the same way. Private sources may be among it.
	LendCaches bool
	// Progress is told what takes long in opening; nil is nobody.
	Progress func(message string)
	// Kept names an image that a Keeper gave, and from which the sandbox should start; ""
	// is none. It is asked when the sandbox starts. Where that image is gone, the sandbox
	// starts as others do, and Info.Kept is empty. Runtimes that are no ImageRuntime do not
	// ask.
	Kept func(ctx context.Context) (string, error)
}

// The ways in which a folder is lent, cheapest first.
const (
	LentOverlay = "overlay" // read from the host, written to the sandbox's own disk
	LentClone   = "clone"   // copied by reference: the file system shares the blocks
	LentCopy    = "copy"
)

// Lent is one folder that was to be lent. How is "" where it was left out, and Problem
// then says why.
type Lent struct {
	Path    string `json:"path"`
	How     string `json:"how,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// Check is one line of doctor.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, warn, fail
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// Info is what a running sandbox is.
type Info struct {
	ID        string
	Root      string // the workspace's root inside
	Cwd       string // where commands start
	Isolation string // bubblewrap, landlock, none, modal
	Gaps      []string
	Transport string // agent or direct
	ExpiresAt time.Time
	HasGit    bool
	Lent      []Lent
	// Image names exactly what the sandbox was made of, where a runtime has images.
	Image string
	// Kept is the image of Spec.Kept if the sandbox started from it: what it holds at
	// ignored paths of the root then stays, see PopulateRequest.KeepIgnored.
	Kept string
	// Stays says that the person wants it to go on after the session's end, up to
	// ExpiresAt: a session that ends lets go of it (Detach) instead of closing it.
	Stays bool
	// Notes are what a person should know of how it started.
	Notes []string
}

// Sandbox is one running sandbox.
type Sandbox interface {
	Info() Info
	Files
	Trees

	// Start starts a command. ctx bounds the starting only.
	Start(ctx context.Context, req ExecRequest) (Process, error)
	// Attach finds a command by its id again; output still kept is delivered from
	// byte `from` of each stream on.
	Attach(ctx context.Context, execID string, from Offsets) (Process, error)
	// Processes lists commands that run, and descendants that outlived theirs.
	Processes(ctx context.Context) ([]ProcessInfo, error)

	// Done is closed when the sandbox is gone; Err then says why.
	Done() <-chan struct{}
	Err() error
	// State is what Runtime needs to find this sandbox after its owner died.
	State() []byte
	// Detach lets go of the sandbox and leaves it running, for Runtime.Attach. Without
	// anybody attached it ends by itself after a while.
	Detach()
	// Close ends every process and the sandbox, and waits for that.
	Close(ctx context.Context) error
}

// ExecRequest describes a command. Command runs by a shell; Argv without one.
type ExecRequest struct {
	ID      string
	Command string
	Argv    []string
	Cwd     string            // default Info.Cwd
	Env     map[string]string // laid over the session's login environment
	Timeout time.Duration     // zero: none; to the millisecond
	Stdin   bool              // keep standard input open for Process.Stdin
	PTY     *Winsize
}

// Winsize is a terminal's size in characters.
type Winsize struct{ Rows, Cols uint16 }

// Stream says which output.
type Stream uint8

// The output streams. A PTY has only Stdout.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// Offsets are positions in a command's two outputs, in bytes from its start.
type Offsets struct{ Stdout, Stderr int64 }

// Sink takes output in order. p is valid only until it returns; while it blocks, the
// process is held back. An error ends the delivery, not the process: Wait goes on
// without the sink, and gives the result.
type Sink func(s Stream, offset int64, p []byte) error

// Process is a running command.
type Process interface {
	ID() string
	// Wait delivers output until the command has ended and gives its result. Ending
	// ctx ends the waiting, not the command; a later Wait goes on where it ended.
	// Output that nobody waits for since Start holds the process back once buffers
	// are full, and after a Wait that was ended is kept up to a bound. A nil sink takes
	// output and forgets it.
	Wait(ctx context.Context, sink Sink) (ExecResult, error)
	Stdin(ctx context.Context, p []byte, eof bool) error
	Resize(ctx context.Context, w Winsize) error
	// Signal goes to the whole process group, and a terminal's foreground group; name
	// is like "SIGINT".
	Signal(ctx context.Context, name string) error
	// Cancel ends the command and every descendant: TERM, then KILL. It returns when
	// they are gone. Of a command that has ended, it ends the descendants.
	Cancel(ctx context.Context) error
}

// ExecResult is how a command ended. Death by signal n is ExitCode 128+n.
type ExecResult struct {
	ExitCode int
	Signal   string
	TimedOut bool // ExitCode is then 124
	Canceled bool
	Duration time.Duration
	Lost     Offsets // bytes that were no longer kept when they were asked for
}

// ProcessInfo is a command that is running, or left descendants in the background.
type ProcessInfo struct {
	ID        string
	Command   string
	StartedAt time.Time
	State     string // running or background
}

// FileInfo follows a link for type, size and time; a dangling link has type other.
type FileInfo struct {
	Type      string // file, directory, other
	IsSymlink bool
	Size      int64
	ModTime   time.Time
	Mode      fs.FileMode // permission bits
	Target    string      // of a link
}

// StatResult is one answer of StatMany.
type StatResult struct {
	Info FileInfo
	Err  error
}

// DirEntry is one name in a directory.
type DirEntry struct {
	Name      string
	Type      string
	IsSymlink bool
}

// FileEvent is one change that a watch saw. Type is created, changed or deleted.
type FileEvent struct {
	Path string
	Type string
}

// WriteOptions for Files.WriteFile.
type WriteOptions struct {
	Mode      *fs.FileMode // nil: 0644, or the replaced file's
	Create    bool
	Overwrite bool
}

// Files are the file operations of the contract.
type Files interface {
	Stat(ctx context.Context, path string) (FileInfo, error)
	StatMany(ctx context.Context, paths []string) ([]StatResult, error)
	ReadDir(ctx context.Context, path string) ([]DirEntry, error)
	// ReadFile reads length bytes from offset; length < 0 reads to the end. size is
	// the whole file's.
	ReadFile(ctx context.Context, path string, offset, length int64) (r io.ReadCloser, size int64, err error)
	WriteFile(ctx context.Context, path string, content io.Reader, opts WriteOptions) (int64, error)
	Mkdir(ctx context.Context, path string, recursive bool) error
	Remove(ctx context.Context, path string, recursive, force bool) error
	Rename(ctx context.Context, from, to string, overwrite bool) error
	Copy(ctx context.Context, from, to string, overwrite bool) error
	// Watch calls events until stop is called or the sandbox ends.
	Watch(ctx context.Context, path string, recursive bool, events func([]FileEvent)) (stop func(), err error)
}

// Trees move whole trees.
type Trees interface {
	// Populate fills the empty root from a git bundle, with a repository in it whose
	// status is clean; without git inside, with the files alone.
	Populate(ctx context.Context, req PopulateRequest) error
	// Capture says what differs between the sandbox's tree and the one that the host
	// knows. Contents go to each as they are read. The agent remembers what it told
	// under Result.Token, once the caller passes that as Base of the next Capture.
	Capture(ctx context.Context, req CaptureRequest, each func(c Captured) error) (CaptureResult, error)
	// WriteTree writes files where the sandbox still holds what the host expects. What it
	// reports as written both sides then know, under the Token that they have: the
	// caller records Found, and Capture does not tell it. After an error some of the
	// writes may be done, and the next Capture without Entries is Stale.
	WriteTree(ctx context.Context, writes []TreeWrite) ([]TreeResult, error)
	// Commits gives a bundle of every commit inside that `known` does not reach
	// (branches, HEAD, stash). Unchanged says that nothing moved since fingerprint.
	Commits(ctx context.Context, req CommitsRequest) (*Commits, error)
}

// PopulateRequest for Trees.Populate.
type PopulateRequest struct {
	Bundle io.Reader
	Size   int64 // of the bundle, for progress
	// BundlePath is the file on the host that Bundle reads from its start, "" if there is
	// none. A runtime that sends files better than streams may send that instead.
	BundlePath string
	// OverClone says that the bundle holds only what the Cloner did not have; the rest is
	// in the repository that CloneRemote left in the root.
	OverClone bool
	// KeepIgnored leaves what the root holds at paths that Ignore ignores and Entries does
	// not have: what setup commands made, in a sandbox with Info.Kept.
	KeepIgnored bool
	Ignore      []tree.IgnoreFile
	// Gone are files of the root that KeepIgnored does not keep, although they may be
	// ignored now: they went up with the tree of the time when the image was made, and are
	// not in Entries.
	Gone []string
	// Lengths are those of the objects in the bundle's pack, in its order; nil if they
	// are not known. With them several can unpack it at once.
	Lengths  []int64
	Commit   string
	Branch   string // name of the branch to be on; "" is detached
	Format   tree.Format
	Progress func(done, total int64)
	// Shallow are commits of the bundle whose parents are not in it.
	Shallow []string
	// Entries is the tree of Commit, so that the agent knows what the host knows.
	Entries []tree.Entry
	Token   string
}

// CaptureRequest for Trees.Capture.
type CaptureRequest struct {
	// Base is the Token of what the host holds, "" for nothing. When the agent does not
	// know it, the answer is an error of kind Stale, and the caller repeats with Entries,
	// all that it holds; they are not nil, even if there are none.
	Base    string
	Entries []tree.Entry
	// Ignore are the rules of the agreed tree, sent when they changed.
	Ignore      []tree.IgnoreFile
	Include     []string // patterns of ignored files that come back all the same
	MaxFileSize int64
	// MaxBytes bounds the contents of one capture together: of what would be over it the
	// largest files are left out, as [tree.TooMuch], and told once there is room. Zero is
	// no limit.
	MaxBytes int64
	Format   tree.Format
}

// Captured is one path that differs. Content is nil for a deletion.
type Captured struct {
	Entry   tree.Entry // Absent: deleted
	Content io.Reader  // Entry.Size bytes, whose hash is verified by the client
}

// CaptureResult closes a capture.
type CaptureResult struct {
	Token   string
	Skipped []tree.Skipped
	Changed int
}

// TreeWrite puts a file into the sandbox, or removes one (New Absent).
type TreeWrite struct {
	Expect tree.Entry
	New    tree.Entry
	Open   func() (io.ReadCloser, error)
}

// TreeResult says what happened to one write. Found is what the path holds now.
type TreeResult struct {
	Path    string
	Written bool
	Found   tree.Entry
	Err     string
}

// CommitsRequest for Trees.Commits.
type CommitsRequest struct {
	Known       []string // commits that the host has
	Fingerprint string   // of the last answer
}

// Commits is what git inside holds beyond what the host knows.
type Commits struct {
	Fingerprint string
	Unchanged   bool
	HasGit      bool   // also where its repository cannot be read, but not where it is gone
	Head        string // commit id, "" if unborn or broken
	Branch      string
	Refs        map[string]string
	Problem     string        // why commits could not be had, if they could not
	Bundle      io.ReadCloser // nil when there is nothing new; the caller closes it
}
