package workspace

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"glue-lsp/internal/tree"
)

var marker = regexp.MustCompile(`[HS]\d+;`)

// history draws what host and sandbox each do to one tree. Every edit leaves a mark
// of its own, so that it can be told whether it survived.
type history struct {
	*rapid.T
	next int
}

var lawPaths = []string{"a.txt", "b.txt", "d/a.txt", "d/e/c.txt", "d", "bin", "x.sh", "link", "Cased"}

func (h *history) mark(side string) string {
	h.next++
	return fmt.Sprintf("%s%d;", side, h.next)
}

func (h *history) newFile(side string) string {
	mark := h.mark(side)
	end := rapid.SampledFrom([]string{"\n", "\n", "\n", "\r\n", "\r"}).Draw(h.T, "end")
	body := ""
	for i := range rapid.IntRange(1, 12).Draw(h.T, "lines") {
		body += fmt.Sprintf("line %d of %s", i, mark) + end
	}
	switch rapid.IntRange(0, 11).Draw(h.T, "kind") {
	case 0:
		return "\x00" + body
	case 1:
		return "*" + body
	case 2:
		return "-> a.txt" + mark
	case 3:
		return "\ufeff" + body
	case 4:
		return body + "caf\xe9" + end
	case 5:
		return strings.TrimSuffix(body, end)
	case 6:
		return "" + mark
	}
	return body
}

// edit changes files of a tree in place, which stays one that can exist on disk.
func (h *history) edit(side string, files map[string]string) {
	for range rapid.IntRange(0, 4).Draw(h.T, side+" edits") {
		path := rapid.SampledFrom(lawPaths).Draw(h.T, "path")
		text, exists := files[path]
		switch op := rapid.IntRange(0, 9).Draw(h.T, "operation"); {
		case op < 5 && exists && !strings.HasPrefix(text, "-> "):
			lines := strings.SplitAfter(text, "\n")
			i := rapid.IntRange(0, len(lines)-1).Draw(h.T, "line")
			end := ""
			if strings.HasSuffix(lines[i], "\r\n") {
				end = "\r\n"
			} else if strings.HasSuffix(lines[i], "\n") {
				end = "\n"
			}
			lines[i] = strings.TrimSuffix(lines[i], end) + " " + h.mark(side) + end
			files[path] = strings.Join(lines, "")
		case op == 5 && exists:
			delete(files, path)
		case op == 6 && exists:
			to := rapid.SampledFrom(lawPaths).Draw(h.T, "to")
			delete(files, path)
			if possible(files, to) {
				files[to] = text
			} else {
				files[path] = text
			}
		default:
			delete(files, path)
			if possible(files, path) {
				files[path] = h.newFile(side)
			} else if exists {
				files[path] = text
			}
		}
	}
}

// possible reports whether a file can be made: nothing is there, and no file is in its
// way, nor is it in another's.
func possible(files map[string]string, path string) bool {
	for other := range files {
		if other == path || strings.HasPrefix(other, path+"/") || strings.HasPrefix(path, other+"/") {
			return false
		}
	}
	return true
}

func marks(files map[string]string) map[string]string {
	out := map[string]string{}
	for path, text := range files {
		for _, m := range marker.FindAllString(text, -1) {
			out[m] = path
		}
	}
	return out
}

// lay makes the host's folder hold exactly the files.
func (h *host) lay(files map[string]string) {
	h.Helper()
	old, err := os.ReadDir(h.dir)
	if err != nil {
		h.Fatal(err)
	}
	for _, e := range old {
		if e.Name() != ".git" {
			h.remove(e.Name())
		}
	}
	for path, text := range files {
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			h.link(path, target)
			continue
		}
		text, executable := strings.CutPrefix(text, "*")
		h.write(path, text)
		if executable {
			if err := os.Chmod(h.path(path), 0o755); err != nil {
				h.Fatal(err)
			}
		}
	}
}

func TestLaw_BothSidesEditsSurviveOrConflictByName(t *testing.T) {
	h := newRepo(t)
	w, s := h.open(), h.store()
	rapid.Check(t, func(rt *rapid.T) {
		hist := &history{T: rt}
		base := map[string]string{}
		for _, path := range lawPaths {
			if possible(base, path) && rapid.Bool().Draw(rt, "has "+path) {
				base[path] = hist.newFile("B")
			}
		}
		mine, theirs := maps.Clone(base), maps.Clone(base)
		hist.edit("H", mine)
		hist.edit("S", theirs)
		tr := &trip{host: h, w: w, s: s, agreed: makeTree(t, s, base), theirs: theirs}
		h.lay(mine)
		for _, path := range slices.Sorted(maps.Keys(mine)) {
			text, _, ok := DecodeDocument([]byte(strings.TrimPrefix(mine[path], "*")))
			if !ok || strings.HasPrefix(mine[path], "-> ") || !rapid.Bool().Draw(rt, "open "+path) {
				continue
			}
			d := Document{Path: tr.path(path), Version: 3, Text: slices.Clone(text)}
			if rapid.Bool().Draw(rt, "unsaved "+path) {
				d.Text, d.Changed = append(d.Text, hist.mark("H")...), true
			}
			tr.docs = append(tr.docs, d)
		}
		mode := rapid.SampledFrom([]func(*DownRequest){
			func(*DownRequest) {}, disk, func(r *DownRequest) { r.Caps = &ClientCaps{DocumentChanges: true} }, func(r *DownRequest) { r.MaxFiles = 1 },
		}).Draw(rt, "mode")
		before := tr.onDisk()

		d := tr.plan(mode)
		for path, outcome := range tr.take(d) {
			if outcome != Taken {
				rt.Fatalf("%s was %s", path, outcome)
			}
		}
		after := tr.onDisk()
		same(t, "the host and the plan's merged tree", contents(t, s, d.Merged), after)

		named := map[string]bool{}
		for _, c := range d.Conflicts {
			named[c.Path] = true
		}
		for _, sk := range d.Skipped {
			named[sk.Path] = true
		}
		left := marks(after)
		for m, path := range marks(before) {
			if _, ok := left[m]; !ok && m[0] == 'H' {
				rt.Fatalf("the host's edit %s of %s is gone", m, path)
			}
		}
		for m, path := range marks(theirs) {
			if _, ok := left[m]; !ok && m[0] == 'S' && !named[path] {
				rt.Fatalf("the sandbox's edit %s of %s neither came back nor is named: %v %v", m, path, d.Conflicts, d.Skipped)
			}
		}

		// Once it is agreed on, nothing but what is named is offered again.
		var moved []tree.Entry
		for _, target := range d.Targets {
			moved = append(moved, target.Theirs)
		}
		agreed, err := s.Advance(context.Background(), tr.agreed, moved)
		if err != nil {
			rt.Fatal(err)
		}
		tr.agreed = agreed
		for _, c := range tr.plan(mode).Changes {
			if !named[c.Path] && !named[c.OldPath] {
				rt.Fatalf("%s %s is offered again", c.Status, c.Path)
			}
		}
		if t.Failed() {
			rt.FailNow()
		}
	})
	if _, err := os.Stat(filepath.Join(h.dir, ".git")); err != nil {
		t.Error(err)
	}
}
