package git

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"glue-lsp/internal/tree"
)

// Repo is a private bare repository that uses only its own objects. Its methods
// may be called at the same time.
type Repo struct {
	Git    *Git
	Dir    string // absolute
	Format tree.Format

	packs sync.RWMutex // held for reading by every command, for writing by consolidate

	ownMu sync.Mutex
	own   []string // packs that AddBlobs and Update wrote themselves, without ending
}

// ownPacks names the packs that this process wrote without git.
func (r *Repo) ownPacks() []string {
	r.ownMu.Lock()
	defer r.ownMu.Unlock()
	return slices.Clone(r.own)
}

// Init makes a private bare store at dir, which must not exist or be empty. Files
// in it are readable by the user only.
func (g *Git) Init(ctx context.Context, dir string, format tree.Format) (*Repo, error) {
	if format == "" {
		format = tree.SHA1
	}
	if format != tree.SHA1 && format != tree.SHA256 {
		return nil, fmt.Errorf("make store %s: unknown object format %q", dir, format)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := makeGitDir(dir, gitDirFiles(format, []setting{{"core.bare", "true"}})); err != nil {
		return nil, fmt.Errorf("make store %s: %w", dir, err)
	}
	if err := syncGitDir(dir); err != nil {
		return nil, fmt.Errorf("make store %s: %w", dir, err)
	}
	r := &Repo{Git: g, Dir: dir, Format: format}
	if err := r.Run(ctx, Cmd{Args: []string{"rev-parse", "--git-dir"}}); err != nil {
		return nil, fmt.Errorf("make store %s: %w", dir, err)
	}
	return r, nil
}

// Open opens a store that Init made. What a killed process left half done in it is
// removed.
func (g *Git) Open(ctx context.Context, dir string) (*Repo, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &Repo{Git: g, Dir: dir}
	out, err := r.Output(ctx, "rev-parse", "--is-bare-repository", "--show-object-format")
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	lines := strings.Fields(string(out))
	if len(lines) != 2 || lines[0] != "true" {
		return nil, fmt.Errorf("open store %s: it is not a bare repository", dir)
	}
	r.Format = tree.Format(lines[1])
	r.clearQuarantines()
	return r, nil
}

// Run runs one command; a failure is an *Error with git's own words.
func (r *Repo) Run(ctx context.Context, c Cmd) error {
	r.packs.RLock()
	defer r.packs.RUnlock()
	return r.Git.run(ctx, r.place(), c)
}

// Output runs one command and gives its standard output.
func (r *Repo) Output(ctx context.Context, args ...string) ([]byte, error) {
	out := boundedBuffer{most: maxOutput}
	return out.result(r.Run(ctx, Cmd{Args: args, Stdout: &out}))
}

func (r *Repo) place() place {
	return place{gitDir: r.Dir, workDir: r.Dir}
}

// outputFrom runs one command with input and environment, and gives its output.
func (r *Repo) outputFrom(ctx context.Context, input []byte, env []string, args ...string) ([]byte, error) {
	out := boundedBuffer{most: maxOutput}
	return out.result(r.Run(ctx, Cmd{Args: args, Stdin: bytes.NewReader(input), Stdout: &out, Env: env}))
}

var hexID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// checkID refuses what is not an object's full name, before it gets near git.
func (r *Repo) checkID(id string) error { return checkID(r.Format, id) }

func checkID(format tree.Format, id string) error {
	if !hexID.MatchString(id) || len(id) != 2*newHash(format).Size() {
		return fmt.Errorf("%q is not the full name of a %s object", id, format)
	}
	return nil
}

func (r *Repo) zeroID() string {
	if r.Format == tree.SHA256 {
		return strings.Repeat("0", 64)
	}
	return strings.Repeat("0", 40)
}

// emptyTree is the id of the tree without entries, which git knows without
// having it stored.
func (r *Repo) emptyTree() string {
	return hashObject(r.Format, "tree", nil)
}
