package git

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// quarantinePrefix begins the name of a folder for objects that may not stay. The
// process that owns it follows, so that another can tell when it is nobody's.
const quarantinePrefix = "incoming-"

// makeQuarantine makes an object folder in the store's own file system, from which
// packs can be moved by renaming.
func (r *Repo) makeQuarantine() (string, error) {
	dir, err := os.MkdirTemp(r.Dir, fmt.Sprintf("%s%d-", quarantinePrefix, os.Getpid()))
	if err != nil {
		return "", err
	}
	return dir, os.Mkdir(filepath.Join(dir, "pack"), 0o700)
}

// quarantine makes a command write objects into dir while it also sees those of
// the store.
func quarantine(dir, store string) []string {
	return []string{
		"GIT_OBJECT_DIRECTORY=" + dir,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + quotePath(filepath.Join(store, "objects")),
	}
}

// release moves the packs of a quarantine into the store, durably. The index comes
// last, for with it git sees a pack.
func (r *Repo) release(dir string) error {
	from, to := filepath.Join(dir, "pack"), filepath.Join(r.Dir, "objects", "pack")
	for _, ending := range []string{".pack", ".rev", ".idx"} {
		names, err := filepath.Glob(filepath.Join(escapeGlob(from), "pack-*"+ending))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := os.Rename(name, filepath.Join(to, filepath.Base(name))); err != nil {
				return err
			}
		}
	}
	return syncPath(to)
}

// clearQuarantines removes those whose process is gone.
func (r *Repo) clearQuarantines() {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), quarantinePrefix)
		owner, _, _ := strings.Cut(rest, "-")
		if pid, err := strconv.Atoi(owner); ok && err == nil && !processLives(pid) {
			_ = os.RemoveAll(filepath.Join(r.Dir, e.Name()))
		}
	}
}
