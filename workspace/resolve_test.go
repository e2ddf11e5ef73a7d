package workspace

import (
	"context"
	"io"
	"maps"
	"strings"
	"testing"

	"glue-lsp/internal/tree"
)

// clash is one conflict: what both had, and what each side made of it.
type clash struct {
	kind               string
	base, mine, theirs map[string]string
	path               string // that is settled
	unsent             bool   // the host's file is one that does not go up
}

func clashes() map[string]clash {
	body := strings.Repeat("a line that stays\n", 12)
	type m = map[string]string
	return map[string]clash{
		"content":                     {kind: "content", base: m{"f": "1\n"}, mine: m{"f": "mine\n"}, theirs: m{"f": "theirs\n"}, path: "f"},
		"binary":                      {kind: "binary", base: m{"f": "\x001"}, mine: m{"f": "\x00mine"}, theirs: m{"f": "\x00theirs"}, path: "f"},
		"both added":                  {kind: "addAdd", base: m{}, mine: m{"f": "mine\n"}, theirs: m{"f": "theirs\n"}, path: "f"},
		"changed here, deleted there": {kind: "modifyDelete", base: m{"f": "1\n"}, mine: m{"f": "mine\n"}, theirs: m{}, path: "f"},
		"deleted here, changed there": {kind: "modifyDelete", base: m{"f": "1\n"}, mine: m{}, theirs: m{"f": "theirs\n"}, path: "f"},
		"a link there":                {kind: "type", base: m{"f": "1\n"}, mine: m{"f": "mine\n"}, theirs: m{"f": "-> g"}, path: "f"},
		"a link here":                 {kind: "type", base: m{"f": "1\n"}, mine: m{"f": "-> g"}, theirs: m{"f": "theirs\n"}, path: "f"},
		"executable there":            {kind: "content", base: m{"f": "1\n"}, mine: m{"f": "mine\n"}, theirs: m{"f": "*theirs\n"}, path: "f"},
		"renamed apart":               {kind: "rename", base: m{"f": body}, mine: m{"mine": body}, theirs: m{"theirs": body}, path: "theirs"},
		"renamed there, deleted here": {kind: "rename", base: m{"f": body}, mine: m{}, theirs: m{"to": body + "more\n"}, path: "to"},
		"not seen by the merge":       {kind: "addAdd", base: m{}, mine: m{}, theirs: m{".env": "theirs\n"}, path: ".env", unsent: true},
	}
}

// trip lays the clash out on a host that is used for all of them.
func (c clash) trip(t *testing.T, h *host, w *Workspace, s *Store) *trip {
	t.Helper()
	tr := &trip{host: &host{TB: t, dir: h.dir, cache: h.cache, git: h.git}, w: w, s: s}
	with := func(files map[string]string) map[string]string {
		all := maps.Clone(files)
		all["g"] = "g\n"
		return all
	}
	tr.lay(with(c.base))
	tr.agreed = tr.snap(tr.w, tr.s).Tree
	tr.theirs = with(c.theirs)
	tr.lay(with(c.mine))
	if c.unsent {
		tr.write(c.path, "never went up\n")
	}
	return tr
}

// at is what the host has at a path, as contents shows it; "" for nothing.
func (tr *trip) at(path string) string {
	tr.Helper()
	found, err := tree.OpenRoot(tr.dir)
	if err != nil {
		tr.Fatal(err)
	}
	defer found.Close() //nolint:errcheck // only read
	e, err := found.Lookup(path, tree.SHA1)
	if err != nil || !e.Exists() {
		return ""
	}
	c, err := found.Content(path, tree.SHA1)
	if err != nil {
		tr.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // only read
	text := new(strings.Builder)
	if _, err := io.Copy(text, c.Reader()); err != nil {
		tr.Fatal(err)
	}
	switch e.Mode {
	case tree.Symlink:
		return "-> " + text.String()
	case tree.Executable:
		return "*" + text.String()
	}
	return text.String()
}

func TestEveryKindOfConflictIsNamedAndSettledByEveryChoice(t *testing.T) {
	const given = "given by the person\n"
	h := newRepo(t)
	w, s := h.open(), h.store()
	for name, c := range clashes() {
		for _, choice := range []string{"", ChooseMine, ChooseTheirs, ChooseContent} {
			for modeName, mode := range map[string]func(*DownRequest){"edits": func(*DownRequest) {}, "disk": disk} {
				if modeName == "disk" && choice != ChooseTheirs {
					continue
				}
				t.Run(name+"/"+choice+"/"+modeName, func(t *testing.T) {
					tr := c.trip(t, h, w, s)
					before := tr.at(c.path)
					resolve := func(r *DownRequest) {
						if choice != "" {
							r.Resolutions = []Resolution{{Path: c.path, Choice: choice, Content: []byte(given)}}
						}
					}
					d := tr.plan(mode, resolve)
					if choice == "" {
						if got := conflictKinds(d)[c.path]; got != c.kind {
							t.Errorf("%s is said to be %q, want %q: %v", c.path, got, c.kind, d.Conflicts)
						}
						tr.take(d)
						same(t, "left alone", before, tr.at(c.path))
						return
					}
					same(t, "conflicts", map[string]string{}, conflictKinds(d))
					for path, outcome := range tr.take(d) {
						if outcome != Taken {
							t.Errorf("%s was %s", path, outcome)
						}
					}
					want := map[string]string{ChooseMine: before, ChooseTheirs: tr.theirs[c.path], ChooseContent: given}[choice]
					if choice == ChooseContent && (strings.HasPrefix(tr.theirs[c.path], "*") || strings.HasPrefix(before, "*")) {
						want = "*" + given
					}
					same(t, "the host", want, tr.at(c.path))
					target, ok := d.Targets[c.path]
					if !ok {
						t.Fatalf("nothing becomes agreed at %s", c.path)
					}
					same(t, "what becomes agreed", fileAt(tr.theirs, c.path), target.Theirs.Hash)

					// Settled is settled, and what the person has now is theirs to send.
					var moved []tree.Entry
					for _, target := range d.Targets {
						moved = append(moved, target.Theirs)
					}
					var err error
					if tr.agreed, err = tr.s.Advance(context.Background(), tr.agreed, moved); err != nil {
						t.Fatal(err)
					}
					d = tr.plan(mode)
					if len(d.Changes)+len(d.Conflicts) > 0 {
						t.Errorf("offered again: %v %v", statuses(d.Changes), d.Conflicts)
					}
				})
			}
		}
	}
}

// fileAt is the hash of what a tree that contents shows has at a path.
func fileAt(files map[string]string, path string) string {
	text, ok := files[path]
	if !ok {
		return ""
	}
	return fileOf(tree.SHA1, path, text).entry.Hash
}

func TestUnsavedTextIsNeverReplacedByAChoiceButEditedByOne(t *testing.T) {
	tr := newTrip(t, "f.txt", "1\n", "gone.txt", "1\n").inside("f.txt", "theirs\n", "gone.txt", "")
	tr.openFile("f.txt")
	tr.openFile("gone.txt")
	tr.typeIn("f.txt", "typed\n")
	tr.typeIn("gone.txt", "typed\n")
	resolve := func(r *DownRequest) {
		r.Resolutions = []Resolution{{Path: "f.txt", Choice: ChooseTheirs}, {Path: "gone.txt", Choice: ChooseTheirs}}
	}
	d := tr.plan(resolve)
	same(t, "deleting a file with unsaved text", map[string]string{"gone.txt": "modifyDelete"}, conflictKinds(d))
	same(t, "editing one", []string{"text f.txt"}, tr.inEdit(d))
	d = tr.plan(resolve, disk)
	same(t, "writing under unsaved text", map[string]string{"f.txt": "content", "gone.txt": "modifyDelete"}, conflictKinds(d))
}

func TestF25_WhatWasRefusedIsNoConflictLater(t *testing.T) {
	tr := newTrip(t, "f.txt", "1\n", "gone.txt", "1\n").inside("f.txt", "theirs\n", "gone.txt", "", "new.txt", "theirs\n")
	tr.write("f.txt", "mine\n")
	tr.write("gone.txt", "mine\n")
	tr.write("new.txt", "mine\n")
	declined := map[string]tree.Entry{"gone.txt": {}}
	for _, path := range []string{"f.txt", "new.txt"} {
		declined[path] = fileOf(tree.SHA1, path, "theirs\n").entry
	}
	refused := func(r *DownRequest) { r.Declined = declined }
	d := tr.plan(refused)
	same(t, "conflicts", map[string]string{}, conflictKinds(d))
	same(t, "declined", []string{"modified f.txt", "deleted gone.txt", "modified new.txt"}, statuses(d.Declined))
	if len(d.Targets) > 0 {
		t.Errorf("what was refused would be agreed on: %v", d.Targets)
	}
	d = tr.plan(refused, func(r *DownRequest) { r.Paths = []string{"f.txt"} })
	same(t, "asked for by name", map[string]string{"f.txt": "content"}, conflictKinds(d))
	tr.inside("f.txt", "theirs anew\n")
	same(t, "once it is another content", map[string]string{"f.txt": "content"}, conflictKinds(tr.plan(refused)))
}

func TestOnlyConflictsThatWereAskedForAreNamed(t *testing.T) {
	tr := newTrip(t, "both.txt", "a\n", "other.txt", "a\n").inside("both.txt", "theirs\n", "other.txt", "b\n")
	tr.write("both.txt", "mine\n")
	if d := tr.plan(); conflictKinds(d)["both.txt"] != "content" {
		t.Errorf("of all there are %v", d.Conflicts)
	}
	d := tr.plan(func(r *DownRequest) { r.Paths = []string{"other.txt"} })
	if len(d.Conflicts) != 0 {
		t.Errorf("of other.txt there are %v", d.Conflicts)
	}
	same(t, "changes", []string{"modified other.txt"}, statuses(d.Changes))
}

func TestUnsavedTextInTheWayIsNoConflictOfContents(t *testing.T) {
	tr := newTrip(t, "run.sh", "a\n").inside("run.sh", "*a\n")
	tr.openFile("run.sh")
	tr.typeIn("run.sh", "a\n#\n")
	if d := tr.plan(); len(d.Conflicts) != 1 || !d.Conflicts[0].Held || !strings.Contains(d.Conflicts[0].Detail, "save it") {
		t.Errorf("%+v", d.Conflicts)
	}
}
