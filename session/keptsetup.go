package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
)

// What setup commands made is kept as an image, where the runtime has images: the next
// session on the folder with the same lock files starts from it.

// keptFile, in the folder's cache, names the image.
const keptFile = "setup.json"

// keptImage is keptFile. Key stands for all that decides what setup makes: see keyOf. Sent
// are the paths that had gone up when the image was made, each ended by a NUL: the image
// holds those files, which no later session is to find.
type keptImage struct {
	Key   string    `json:"key"`
	Image string    `json:"image"`
	At    time.Time `json:"at"`
	Sent  []byte    `json:"sent"`
}

// keptSetup is a session's part in it.
type keptSetup struct {
	file     string
	runtime  sandbox.ImageRuntime
	commands []string

	once  sync.Once
	known chan struct{} // closed when key is set, or never will be
	key   string
	used  keptImage // what the sandbox was to start from
}

// newKeptSetup gives nil where nothing can be kept.
func newKeptSetup(rt sandbox.Runtime, commands []string, cacheDir string) *keptSetup {
	images, ok := rt.(sandbox.ImageRuntime)
	if !ok || len(commands) == 0 {
		return nil
	}
	return &keptSetup{file: filepath.Join(cacheDir, keptFile), runtime: images, commands: commands, known: make(chan struct{})}
}

// keyOf adds to setupKey what the runtime makes sandboxes of.
func (k *keptSetup) keyOf(setup string) string {
	sum := sha256.Sum256([]byte(setup + "\n" + k.runtime.ImageKey()))
	return hex.EncodeToString(sum[:])
}

// read tells what the tree is that goes up; the sandbox may wait for it.
func (k *keptSetup) read(entries []tree.Entry) {
	if k == nil {
		return
	}
	k.once.Do(func() {
		k.key = k.keyOf(setupKey(k.commands, entries))
		close(k.known)
	})
}

// unread tells that none will come, if none came.
func (k *keptSetup) unread() {
	if k != nil {
		k.once.Do(func() { close(k.known) })
	}
}

// image is Spec.Kept. It waits until the tree was read.
func (k *keptSetup) image(ctx context.Context) (string, error) {
	select {
	case <-k.known:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if kept := readKept(k.file); k.key != "" && kept.Key == k.key {
		k.used = kept
		return kept.Image, nil
	}
	return "", nil
}

// gone are the files that the image holds of the tree of its time and that a tree does not
// have. It is asked once the sandbox has started from the image.
func (k *keptSetup) gone(entries []tree.Entry) []string {
	if k == nil {
		return nil
	}
	here := make(map[string]bool, len(entries))
	for _, e := range entries {
		here[e.Path] = true
	}
	var gone []string
	for path := range strings.SplitSeq(string(k.used.Sent), "\x00") {
		if path != "" && !here[path] {
			gone = append(gone, path)
		}
	}
	return gone
}

func readKept(file string) keptImage {
	var kept keptImage
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &kept) != nil || kept.Sent == nil {
		return keptImage{}
	}
	return kept
}

// began notes whether the sandbox started from what was kept; then no setup is due. What
// could not be used is forgotten.
func (s *Session) began(info sandbox.Info, entries []tree.Entry) {
	k := s.keptSetup
	if k == nil {
		return
	}
	if info.Kept != "" {
		key := setupKey(k.commands, entries)
		s.update(func(st *state) { st.Setup = setupState{Key: key} })
		return
	}
	if kept := readKept(k.file); kept.Key == k.key && kept.Image != "" {
		_ = os.Remove(k.file)
	}
}

// notFilled forgets the image where a tree could not be put into what was made of it, or
// every later session would fail on it too.
func (s *Session) notFilled(ctx context.Context, err error) {
	if s.sb.Info().Kept == "" || ctx.Err() != nil || isDead(err) {
		return
	}
	s.m.o.Log("session %s: what setup made before is not used again: %v", s.ID(), err)
	_ = os.Remove(s.keptSetup.file)
}

// lostKept notes that the sandbox has lost what it started with: setup is due.
func (s *Session) lostKept() {
	s.update(func(st *state) { st.Setup = setupState{} })
}

// keepSetup keeps what setup has just made, before any command can add to it. That it
// cannot be kept costs time in the next session, and no more.
func (s *Session) keepSetup(ctx context.Context, sb sandbox.Sandbox, key string, p Progress) {
	keeper, ok := sb.(sandbox.Keeper)
	if !ok || s.keptSetup == nil {
		return
	}
	if why := s.notToKeep(ctx); why != "" {
		s.m.o.Log("session %s: what setup made is not kept: %s", s.ID(), why)
		return
	}
	sent, err := s.sent(ctx)
	if err != nil {
		s.m.o.Log("session %s: what setup made is not kept: %v", s.ID(), err)
		return
	}
	p.say("keeping what setup made for the next session", -1)
	image, err := keeper.Keep(ctx)
	if err != nil {
		s.m.o.Log("session %s: what setup made could not be kept: %v", s.ID(), err)
		return
	}
	b, err := json.Marshal(keptImage{Key: s.keptSetup.keyOf(key), Image: image, At: s.m.o.Now(), Sent: sent})
	if err == nil {
		err = renameio.WriteFile(s.keptSetup.file, b, 0o600)
	}
	if err != nil {
		s.m.o.Log("session %s: what setup made could not be noted: %v", s.ID(), err)
	}
}

// sent are the paths that went up at the start, and those that the sandbox has by now, each
// ended by a NUL.
func (s *Session) sent(ctx context.Context) ([]byte, error) {
	st := s.snapshotState()
	all := []byte{}
	for _, of := range []string{st.BaseTree, st.Agreed} {
		entries, err := s.store.Repo.ReadTree(ctx, of)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			all = append(append(all, e.Path...), 0)
		}
		if st.BaseTree == st.Agreed {
			break
		}
	}
	return all, nil
}

// notToKeep says why an image of the sandbox would not stand for what setup made: it
// changed files that are not ignored, which are the session's changes and no part of the
// next tree; or it left something running, which an image does not hold.
func (s *Session) notToKeep(ctx context.Context) string {
	if err := s.check.take(ctx); err != nil {
		return "no checkpoint could be taken: " + err.Error()
	}
	st := s.snapshotState()
	switch {
	case st.Theirs != st.Agreed || len(st.LeftInside) > 0:
		return "the sandbox's tree differs from the editor's"
	case s.busy():
		return "something runs in the sandbox"
	}
	return ""
}
