package modal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"glue-lsp/sandbox"
)

// The tags of a sandbox. They are part of the call that makes it, so that there is none
// without them.
const (
	tagOwner   = "glue-owner"   // the GLUE_HOME and machine that made it
	tagHost    = "glue-host"    // that machine's name, for people
	tagSession = "glue-session" // whose it is
	// tagHolder says who works in it now, for people, and tagHolderOwner under which home;
	// without them it is nobody.
	tagHolder      = "glue-holder"
	tagHolderOwner = "glue-holder-owner"
)

// ownerFile keeps the random part of the owner's name.
const ownerFile = "owner-id"

// owner names this home on this machine. Two homes of one machine are two owners, and so
// are two machines that share a home.
func owner(home string) (string, error) {
	file := filepath.Join(home, ownerFile)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if b, err = newOwner(file); err == nil {
			b, err = os.ReadFile(file) // another process may have been first
		}
	}
	if err != nil {
		return "", &sandbox.Error{Kind: sandbox.Unavailable, Op: "name this machine's sandboxes", Path: file, Message: err.Error(), Err: err}
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(string(b)) + "\n" + machine()))
	return hex.EncodeToString(sum[:10]), nil
}

// newOwner writes the file, unless somebody else does.
func newOwner(file string) ([]byte, error) {
	var random [16]byte
	rand.Read(random[:]) // never fails, see crypto/rand
	text := []byte(hex.EncodeToString(random[:]) + "\n")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ownerFile+"-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return text, nil
}

// machine tells machines apart: by machine-id(5), or by name where there is none.
func machine() string {
	if b, err := os.ReadFile("/etc/machine-id"); err == nil && len(b) > 1 {
		return strings.TrimSpace(string(b))
	}
	return hostName()
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "unknown"
	}
	return clip(name, 60)
}

// tags name a sandbox's owner, so that it is found when the owner has died.
func (r *Runtime) tags(spec sandbox.Spec) (map[string]string, error) {
	id, err := owner(r.options().Home)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(spec.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	maps.Copy(tags, map[string]string{tagOwner: id, tagHost: hostName(), tagSession: spec.Session, tagHolder: holder(spec), tagHolderOwner: id})
	return tags, nil
}

// holder is who works in a sandbox now.
func holder(spec sandbox.Spec) string {
	return fmt.Sprintf("session %s on %s", spec.Session, hostName())
}

// setTags changes some tags and leaves the others. A server that knows no tags is no
// error: nothing is found by them there.
func setTags(ctx context.Context, p *sidecarProcess, id string, tags map[string]string) error {
	err := p.call(ctx, "sandbox/setTags", map[string]any{"sandboxId": id, "tags": tags}, nil)
	var e *sandbox.Error
	if errors.As(err, &e) && e.Kind == sandbox.Unsupported {
		return nil
	}
	return err
}
