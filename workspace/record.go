package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"

	"glue-lsp/internal/tree"
)

// record is Apply's journal on the disk. It is there, complete and synced, before the
// first file of the person's is touched, and goes when the last one is durable: a record
// whose process is gone is an Apply that was killed.
type record struct {
	dir   string
	lock  *flock.Flock
	token string
}

// intent is what a record says. Contents that were replaced or removed lie one after the
// other in the file "kept".
type intent struct {
	Version int          `json:"version"`
	Root    string       `json:"root"`
	Token   string       `json:"token"` // of temporary names, see tree.Root.UseToken
	Steps   []intentStep `json:"steps"` // in the order in which they are carried out
}

type intentStep struct {
	Path   []byte      `json:"path"` // any bytes
	Format tree.Format `json:"format"`
	Was    tree.Entry  `json:"was"` // without paths
	Will   tree.Entry  `json:"will"`
	At     int64       `json:"at,omitempty"` // of Was in kept
	Perm   uint32      `json:"perm,omitempty"`
}

const (
	intentVersion = 1
	intentFile    = "intent.json"
	keptFile      = "kept"
	lockFile      = "lock"
	undoSuffix    = "U" // of the token while steps are taken back
)

// recordPrefix begins the names of a tree's records: the tree's, since one tree can be
// opened by several of its folders.
func (w *Workspace) recordPrefix() string {
	sum := sha256.Sum256([]byte(w.root))
	return "apply-" + hex.EncodeToString(sum[:8]) + "-"
}

// record writes down what is about to be done. Without a state folder, or on a full disk,
// it is nil: what a person wants back must not depend on another disk's room.
func (w *Workspace) record(root *tree.Root, steps []*step) (*record, error) {
	if w.opts.StateDir == "" || len(steps) == 0 {
		return nil, nil
	}
	r, err := w.writeRecord(steps)
	if noRoom(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	root.UseToken(r.token)
	return r, nil
}

// noRoom reports a disk that is full, or a quota that is used up.
func noRoom(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func (w *Workspace) writeRecord(steps []*step) (_ *record, err error) {
	dir, err := os.MkdirTemp(w.opts.StateDir, w.recordPrefix())
	if err != nil {
		return nil, err
	}
	r := &record{dir: dir, lock: flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600)), token: tree.NewToken()}
	defer func() {
		if err != nil {
			r.drop()
		}
	}()
	if err := r.lock.Lock(); err != nil {
		return nil, err
	}
	in := intent{Version: intentVersion, Root: w.root, Token: r.token}
	if in.Steps, err = keepOnDisk(filepath.Join(dir, keptFile), steps); err != nil {
		return nil, err
	}
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	if err := renameio.WriteFile(filepath.Join(dir, intentFile), b, 0o600); err != nil {
		return nil, err
	}
	return r, errors.Join(syncFolder(dir), syncFolder(w.opts.StateDir))
}

// keepOnDisk writes what the steps' paths hold into a file, durably.
func keepOnDisk(name string, steps []*step) (out []intentStep, err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	at := int64(0)
	for _, s := range steps {
		is := intentStep{Path: []byte(s.Path), Format: s.format, Was: withoutPath(s.Expect), Will: withoutPath(s.New), At: at, Perm: uint32(s.perm)}
		if s.kept != nil {
			is.Was = withoutPath(s.kept.Entry())
			n, err := io.Copy(f, s.kept.Reader())
			if err != nil {
				return nil, err
			}
			at += n
		}
		out = append(out, is)
	}
	return out, f.Sync()
}

func withoutPath(e tree.Entry) tree.Entry {
	e.Path = ""
	return e
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// turnBack makes the temporary names of the undoing others than those of the doing: what
// lies under them means something else.
func (r *record) turnBack(root *tree.Root) {
	if r != nil {
		root.UseToken(r.token + undoSuffix)
	}
}

// settle says, durably, that everything is as it shall stay. After an error the record may
// count, now or after a power cut, and is still held.
func (r *record) settle() error {
	if r == nil {
		return nil
	}
	if err := endIntent(r.dir); err != nil {
		return fmt.Errorf("the record of this return cannot be ended: %w", err)
	}
	r.drop()
	return nil
}

// endIntent makes a record count no more. Only then may what it kept go: a power cut must
// not bring the one back without the other.
func endIntent(dir string) error {
	return errors.Join(ignoreGoneRecord(os.Remove(filepath.Join(dir, intentFile))), syncFolder(dir))
}

// drop deletes a record that does not count.
func (r *record) drop() {
	_ = os.RemoveAll(r.dir)
	_ = r.lock.Close()
}

// leave lets go of a record as it is: whoever comes next puts back what it names.
func (r *record) leave() {
	_ = r.lock.Close()
}

// abandoned gives the folders of this tree's records whose process is gone.
func (w *Workspace) abandoned() ([]string, error) {
	if w.opts.StateDir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(w.opts.StateDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, storeError("look for interrupted returns", w.opts.StateDir, err)
	}
	var dirs []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), w.recordPrefix()) {
			dirs = append(dirs, filepath.Join(w.opts.StateDir, e.Name()))
		}
	}
	return dirs, nil
}
