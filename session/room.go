package session

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"glue-lsp/internal/tree"
)

// room is what one capture may bring to the host, and what sets that bound.
type room struct {
	bytes int64
	why   string      // for the person: what is over
	kind  tree.Reason // of what is left out
}

const (
	defaultCaptureMax = 2 << 30
	defaultQuota      = 10 << 30
	// smallCapture is tried however little space seems to be left: what people write by
	// hand is smaller, and the disk says by itself when it is full.
	smallCapture = 4 << 20
)

// captureRoom bounds one capture: by the setting, by what the session's store may still
// grow, and by half of the disk's free space, since what comes is spooled before it is
// stored. The caller holds trees.
func (s *Session) captureRoom() room {
	most, quota := cmp.Or(s.opts.CaptureMaxBytes, s.m.o.CaptureMax), cmp.Or(s.opts.QuotaBytes, s.m.o.Quota)
	r := room{bytes: most, kind: tree.TooLarge, why: fmt.Sprintf("the files of one checkpoint are over capture.max_mb (%s) together", HumanBytes(most))}
	store := quota - folderSize(filepath.Join(s.dir, "objects.git", "objects", "pack"))
	if store = max(store, smallCapture); store < r.bytes {
		r = room{bytes: store, kind: tree.NoRoom, why: fmt.Sprintf("the session's store is over sessions.quota_mb (%s)", HumanBytes(quota))}
	}
	free, reserve, err := s.m.o.FreeSpace(s.dir)
	if err != nil {
		return r // the disk will say so itself
	}
	if disk := max((free-reserve)/2, smallCapture); disk < r.bytes {
		r = room{bytes: disk, kind: tree.NoRoom, why: fmt.Sprintf("the disk that holds %s has only %s left", s.m.o.Home, HumanBytes(free))}
	}
	return r
}

// folderSize adds up the files that lie in a folder itself.
func folderSize(dir string) int64 {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
	}
	return total
}

// namedSkipped is how many skipped paths are named one by one.
const namedSkipped = 5

// noteSkipped warns of what a capture left in the sandbox, remembers what it had no room
// for, and gives the files that exist only there.
func (s *Session) noteSkipped(skipped []tree.Skipped, r room) (only []string) {
	s.unread = nil
	byReason := map[tree.Reason][]string{}
	var reasons []tree.Reason
	for _, sk := range skipped {
		if sk.Reason == tree.TooMuch {
			sk.Reason, sk.Detail = r.kind, r.why
		}
		if sk.Reason == tree.NoRoom {
			s.unread = append(s.unread, sk)
		}
		if sk.Reason.OnlyInside() {
			only = append(only, sk.Path)
		}
		if byReason[sk.Reason] == nil {
			reasons = append(reasons, sk.Reason)
		}
		byReason[sk.Reason] = append(byReason[sk.Reason], sk.Path)
	}
	for _, why := range reasons {
		paths := byReason[why]
		for _, p := range paths[:min(len(paths), namedSkipped)] {
			s.warn("left in the sandbox: %s (%s)", p, why)
		}
		if more := len(paths) - namedSkipped; more > 0 {
			s.warn("left in the sandbox: %d more files (%s)", more, why)
		}
	}
	return only[:min(len(only), maxLeftInside)]
}

// maxLeftInside bounds how many such paths the session's record names.
const maxLeftInside = 1000

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// HumanBytes says a size in bytes as people do, such as 1.5 GiB.
func HumanBytes(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + units[i]
}
