package modal

import (
	"bufio"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

func TestF28_AWatchGoesOnAfterItsSidecarWasKilledAndTellsWhatChangedMeanwhile(t *testing.T) {
	d := openDirect(t, nil)
	if _, r := printed(t, d, sandbox.ExecRequest{Command: "mkdir /tmp/seen && touch /tmp/seen/gone /tmp/seen/stays"}); r.ExitCode != 0 {
		t.Fatalf("%+v", r)
	}
	var mu sync.Mutex
	told := map[string]string{}
	stop, err := d.Watch(within(t), "/tmp/seen", true, func(events []sandbox.FileEvent) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			told[e.Path] = e.Type
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	kill(t, d.p)
	if _, r := printed(t, d, sandbox.ExecRequest{Command: "rm /tmp/seen/gone; touch /tmp/seen/new"}); r.ExitCode != 0 {
		t.Fatalf("%+v", r)
	}
	want := map[string]string{"/tmp/seen/gone": "deleted", "/tmp/seen/new": "created"}
	eventually(t, "both are told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return cmp.Equal(want, told)
	})
	if _, r := printed(t, d, sandbox.ExecRequest{Command: "rm /tmp/seen/stays"}); r.ExitCode != 0 {
		t.Fatalf("%+v", r)
	}
	eventually(t, "it goes on", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return told["/tmp/seen/stays"] == "deleted"
	})
}

func TestX11_ADirectorysEntriesAreBoundedWhileTheyAreRead(t *testing.T) {
	read := func(text string) ([]sandbox.DirEntry, error) {
		return readEntries(bufio.NewReader(strings.NewReader(text)), 2)
	}
	got, err := read("f-a\x00dlb\x00")
	want := []sandbox.DirEntry{{Name: "a", Type: "file"}, {Name: "b", Type: "directory", IsSymlink: true}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := read("f-a\x00f-b\x00f-c\x00"); !errors.Is(err, errTooMany) {
		t.Errorf("one too many: %v", err)
	}
	for name, text := range map[string]string{"too short": "f-\x00", "a path": "f-a/b\x00", "a name without end": "f-" + strings.Repeat("x", 1<<20)} {
		if got, err := read(text); err == nil {
			t.Errorf("%s: got %d entries and no error", name, len(got))
		}
	}
}
