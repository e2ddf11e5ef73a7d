// Package agentbin holds the agent as small programs of its own, for sandboxes that are
// not on this machine. They are part of what `make build` makes; a plain `go build` makes
// a program without them, whose own file then has to be the agent (see Find).
package agentbin

import (
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

//go:embed all:builds
var builds embed.FS

// Program is a Linux program that becomes the agent by its first argument, agent.Word.
type Program struct {
	Arch string // as Go names it
	// Hash is the SHA-256 of its content in hex digits: another one is another program.
	Hash string
	// Own is set for this very program, which was built without the small ones.
	Own bool

	builds fs.FS
	packed string // its name in builds
	path   string // of an own program
}

// ErrNone says that there is no agent for an architecture.
var ErrNone = errors.New("this build of glue-lsp has no agent for it")

// Find gives the agent for a Linux machine of an architecture ("amd64", "arm64"): the
// small one, or else this program if it could run there. The error wraps ErrNone if
// neither is there.
func Find(arch string) (Program, error) { return find(builds, arch, ownProgram) }

// A packed program's name: agent-linux-<arch>-<hash>.gz.
const (
	packedPrefix = "builds/agent-linux-"
	packedSuffix = ".gz"
)

func find(builds fs.FS, arch string, own func() (Program, error)) (Program, error) {
	found, err := fs.Glob(builds, packedPrefix+arch+"-*"+packedSuffix)
	if err != nil {
		return Program{}, err
	}
	for _, name := range found {
		hash := strings.TrimSuffix(strings.TrimPrefix(name, packedPrefix+arch+"-"), packedSuffix)
		if len(hash) == hex.EncodedLen(sha256.Size) {
			return Program{Arch: arch, Hash: hash, builds: builds, packed: name}, nil
		}
	}
	if runtime.GOOS == "linux" && runtime.GOARCH == arch {
		return own()
	}
	return Program{}, fmt.Errorf("linux/%s: %w (make build puts it in)", arch, ErrNone)
}

var ownProgram = sync.OnceValues(func() (Program, error) {
	self, err := os.Executable()
	if err != nil {
		return Program{}, fmt.Errorf("find this program's own file: %w", err)
	}
	hash, err := hashOf(self)
	return Program{Arch: runtime.GOARCH, Hash: hash, Own: true, path: self}, err
})

// File gives the program as a file, which is made in dir unless it is there. It stays
// there for later, and is nobody's to change.
func (p Program) File(dir string) (string, error) {
	if p.Own {
		return p.path, nil
	}
	name := filepath.Join(dir, "agent-linux-"+p.Arch+"-"+p.Hash)
	// What a disk made of it meanwhile would run with all rights in somebody's sandbox.
	if hash, err := hashOf(name); err == nil && hash == p.Hash {
		return name, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := p.unpack(dir, name); err != nil {
		return "", fmt.Errorf("unpack the agent for linux/%s: %w", p.Arch, err)
	}
	return name, nil
}

func (p Program) unpack(dir, name string) (err error) {
	packed, err := p.builds.Open(p.packed)
	if err != nil {
		return err
	}
	defer packed.Close()
	content, err := gzip.NewReader(packed)
	if err != nil {
		return err
	}
	part, err := os.CreateTemp(dir, "agent-*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			part.Close()
			_ = os.Remove(part.Name())
		}
	}()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(part, sum), content); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.Hash {
		return fmt.Errorf("its content has the hash %s instead of %s", got, p.Hash)
	}
	if err := part.Chmod(0o700); err != nil {
		return err
	}
	if err := part.Close(); err != nil {
		return err
	}
	return os.Rename(part.Name(), name)
}

func hashOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
