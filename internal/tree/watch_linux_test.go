package tree_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"glue-lsp/internal/tree"
)

// Editors that follow events show a replaced file anew only if it came after it went.
func TestTheLastThatAWatcherHearsOfAReplacedFileIsThatItCame(t *testing.T) {
	root := t.TempDir()
	put(t, root, "f", "old")
	r := openRoot(t, root)
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Close(watch); err != nil {
			t.Error(err)
		}
	})
	if _, err := unix.InotifyAddWatch(watch, root, unix.IN_MOVE|unix.IN_CREATE|unix.IN_DELETE); err != nil {
		t.Fatal(err)
	}
	writeFile(t, r, "f", tree.Regular, "new")
	var last uint32
	for _, one := range heard(t, watch) {
		if one.name == "f" {
			last = one.mask
		}
	}
	if last != unix.IN_MOVED_TO && last != unix.IN_CREATE {
		t.Errorf("the last event of the file is %#x", last)
	}
}

type event struct {
	name string
	mask uint32
}

// heard reads the events that wait: a mask at 4, a length at 12, a padded name at 16.
func heard(t *testing.T, watch int) []event {
	t.Helper()
	buffer := make([]byte, 64<<10)
	n, err := unix.Read(watch, buffer)
	if err != nil {
		t.Fatal(err)
	}
	var events []event
	for rest := buffer[:n]; len(rest) > 0; {
		end := 16 + binary.NativeEndian.Uint32(rest[12:])
		name, _, _ := bytes.Cut(rest[16:end], []byte{0})
		events = append(events, event{string(name), binary.NativeEndian.Uint32(rest[4:])})
		rest = rest[end:]
	}
	return events
}
