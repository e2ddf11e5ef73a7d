package workspace

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestW8_FilesOfLFSGoUpAsTheyAreOnDiskAndAreToldApart(t *testing.T) {
	const attributes = "# large ones\n*.psd filter=lfs diff=lfs merge=lfs -text\n[attr]big filter=lfs -text\n/media/** big\nsmall.psd -filter\n"
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 12345\n"
	files := map[string]string{
		".gitattributes": attributes, "sub/.gitattributes": "*.psd filter=other\n",
		"smudged.psd": strings.Repeat("\x00\xff", 900), "pointer.psd": pointer, "media/deep/a.bin": pointer,
		"small.psd": pointer, "sub/x.psd": pointer, "said.txt": pointer,
	}
	h := newHost(t)
	h.run("init", "-q")
	for name, text := range files {
		h.write(name, text)
	}
	w, s := h.open(), h.store()
	snap := h.snap(w, s)
	wantTree(t, s, snap, files)
	got, err := w.LFSPointers(context.Background(), snap)
	if diff := cmp.Diff([]string{"media/deep/a.bin", "pointer.psd"}, got); diff != "" || err != nil {
		t.Errorf("pointers (-want +got):\n%s%v", diff, err)
	}
	tr := h.trip(w).inside("smudged.psd", "\x00painted", "media/new.bin", "\x00", "pointer.psd", "", "said.txt", "else\n")
	d := tr.plan()
	if diff := cmp.Diff([]string{"media/new.bin", "smudged.psd"}, w.KeptByLFS(snap, d.Changes)); diff != "" {
		t.Errorf("kept by LFS (-want +got):\n%s", diff)
	}
	tr.take(d)
	if got := mustRead(t, h.path("smudged.psd")); got != "\x00painted" {
		t.Errorf("came back as %q", got)
	}
}
