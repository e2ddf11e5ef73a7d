package session

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"glue-lsp/internal/lawtest"
	"glue-lsp/workspace"
)

// TestLaw_NothingIsLostAndNothingOscillates plays what a person, their editor, commands
// and a server do to one tree in any order. The laws are in check (law_world_test.go), and
// beside each action below.
func TestLaw_NothingIsLostAndNothingOscillates(t *testing.T) {
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	base := lawDir(t)
	lawtest.Check(t, 60, 14, func(rt *rapid.T) {
		w := newLawWorld(t, rt, base)
		defer w.end()
		rt.Repeat(map[string]func(*rapid.T){
			"": func(rt *rapid.T) { w.T = rt; w.check() },

			"person changes a file":  w.hostChange,
			"person changes another": w.hostChange,
			"person uses a buffer":   w.useBuffer,
			"person edits a buffer":  w.useBuffer,
			"person commits":         w.hostCommit,

			"command changes a file":  w.insideChange,
			"command changes another": w.insideChange,
			"command runs":            w.insideRun,
			"command uses git":        w.insideGitCommand,

			"both change a file": w.collide,

			"sync":                         func(rt *rapid.T) { w.need(rt); w.sync() },
			"sync while a command writes":  w.busySync,
			"checkpoint":                   func(rt *rapid.T) { w.need(rt); w.checkpoint() },
			"diff":                         w.diff,
			"return":                       w.plainReturn,
			"return while things go on":    w.busyReturn,
			"return to an odd editor":      w.oddReturn,
			"return some":                  w.someReturn,
			"return and settle a conflict": w.settlingReturn,
			"return to a branch":           w.branchReturn,
			"converge":                     w.converge,
			"discard":                      w.discard,
			"undo":                         w.undo,
			"close":                        w.close,
			"crash":                        w.crash,
			"return of an ended session":   w.lateReturn,
		})
	})
}

// need opens a session for an action, unless one is open.
func (w *lawWorld) need(rt *rapid.T) {
	w.T = rt
	if w.s == nil {
		w.logf("H opens a session")
		w.openSession()
	}
}

func (w *lawWorld) hostChange(rt *rapid.T) {
	w.T = rt
	there := w.disk().Paths()
	w.person(func() {
		if rapid.IntRange(0, 30).Draw(rt, "rules") == 0 {
			w.rules = true
			w.write(".gitignore", "*.log\nd/\n")
			return
		}
		w.me.Change(rt, slices.DeleteFunc(there, func(p string) bool { return p == ".gitignore" }))
	})
	w.ed.noticeDisk()
}

func (w *lawWorld) useBuffer(rt *rapid.T) {
	w.T = rt
	open := w.ed.open()
	op := rapid.IntRange(0, 9).Draw(rt, "use")
	if len(open) == 0 || op == 0 {
		var texts []string
		for path, f := range w.disk() {
			if w.ed.buffers[path] == nil && path != ".gitignore" && f.Kind != lawtest.Link && lawtest.IsText(f.Data) {
				texts = append(texts, path)
			}
		}
		if len(texts) == 0 {
			rt.Skip("no file to open")
		}
		slices.Sort(texts)
		name := w.pick(rt, "opened", texts)
		w.logf("H opens %q", name)
		w.ed.buffers[name] = w.ed.load(name)
		open = []string{name}
	}
	name := w.pick(rt, "buffer", open)
	b := w.ed.buffers[name]
	w.person(func() {
		switch {
		case op < 6:
			w.logf("H types in %q", name)
			w.ed.edit(name, w.me.EditText(rt, b.text))
		case op < 8 && b.dirty:
			w.logf("H saves %q", name)
			w.ed.save(name)
		case op == 8:
			w.logf("H closes %q", name)
			delete(w.ed.buffers, name)
		}
	})
}

func (w *lawWorld) hostCommit(rt *rapid.T) {
	w.T = rt
	w.git(w.repo, "add", "-A")
	w.git(w.repo, "commit", "-q", "--allow-empty", "-m", "by the person")
	w.gitDir = w.hostGit()
}

func (w *lawWorld) insideChange(rt *rapid.T) {
	w.need(rt)
	w.command(func() {
		if rapid.IntRange(0, 30).Draw(rt, "hides") == 0 {
			w.logf("S hides everything by .gitignore")
			w.rules = true
			_ = os.WriteFile(w.it.Path(".gitignore"), []byte("*\n"), 0o644)
			return
		}
		w.it.Change(rt, slices.DeleteFunc(w.sandboxFiles().Paths(), func(p string) bool { return p == ".gitignore" }))
	})
}

// collide lets the person and a command change one file, so that there is something to
// merge or a conflict.
func (w *lawWorld) collide(rt *rapid.T) {
	w.need(rt)
	disk := w.disk()
	both := slices.DeleteFunc(w.sandboxFiles().Paths(), func(p string) bool { return p == ".gitignore" || disk[p].Kind != lawtest.Regular })
	if len(both) == 0 {
		rt.Skip("no file is on both sides")
	}
	path := w.pick(rt, "path", both)
	w.person(func() { w.me.Modify(rt, path) })
	w.ed.noticeDisk()
	w.command(func() { w.it.Modify(rt, path) })
}

// somethingNew is what there is to return, mostly.
func (w *lawWorld) somethingNew(rt *rapid.T) {
	for range rapid.IntRange(0, 2).Draw(rt, "new changes") {
		w.insideChange(rt)
	}
}

// insideRun changes a file by a command of the session.
func (w *lawWorld) insideRun(rt *rapid.T) {
	w.need(rt)
	if rapid.Bool().Draw(rt, "sync first") {
		w.sync()
	}
	name := w.pick(rt, "path", []string{"a.txt", "d/a.txt", "with space", "made here", "-dash"})
	file := lawtest.Quote("./" + name)
	command := w.pick(rt, "command", []string{
		"printf '%s\\n' " + w.it.NewMark() + " >> " + file,
		"rm -f " + file,
		"printf '%s\\n' " + w.it.NewMark() + " > " + file + ".t && mv " + file + ".t " + file,
		"cp " + file + " copy.txt && echo " + w.it.NewMark() + " >> copy.txt",
	})
	w.logf("S runs %s", command)
	w.command(func() {
		e, err := w.s.Start(context.Background(), ExecOptions{Command: command})
		w.fine("start", err)
		_, err = e.Wait(context.Background()) // it may fail, as commands do
		w.fine("run", err)
	})
	w.checkpoint()
}

func (w *lawWorld) insideGitCommand(rt *rapid.T) {
	w.need(rt)
	args := rapid.SampledFrom([][]string{
		{"commit", "-aqm", "tracked ones"},
		{"commit", "-q", "--allow-empty", "-m", "empty"},
		{"commit", "-q", "--amend", "-m", "amended"},
		{"stash", "-q"},
		{"stash", "pop", "-q"},
		{"checkout", "-q", "-B", "side"},
		{"checkout", "-q", "main"},
		{"rm", "-q", "-f", "a.txt"},
		{"tag", "-f", "t"},
		{"gc", "-q", "--prune=now"},
		{"init", "-q"},
		{"add", "-A"},
		{"reset", "-q", "--hard", "HEAD"},
	}).Draw(rt, "git")
	w.logf("S runs git %q", args)
	w.command(func() {
		switch args[0] {
		case "init":
			_ = os.RemoveAll(w.it.Path(".git"))
			w.reinit = true
		case "commit":
			if rapid.Bool().Draw(rt, "all") {
				_, _ = w.tryGit(w.it.Dir, "add", "-A")
			}
		}
		_, _ = w.tryGit(w.it.Dir, args...) // it may fail, as commands do
	})
}

// sync holds that what the person has is then in the sandbox, or named, and that nothing
// which commands removed comes back there.
func (w *lawWorld) sync() {
	before, host, inside := w.sandboxFiles(), w.host(), maps.Clone(w.inside)
	if write := w.writing; write != nil {
		w.writing = func(paths []string) {
			write(paths)
			before, inside = w.sandboxFiles(), maps.Clone(w.inside)
		}
		defer func() { w.writing = nil }()
	}
	unsure := w.unsure()
	var res SyncResult
	w.hostUntouched("sync", func() {
		var err error
		res, err = w.s.Sync(context.Background(), true, nil)
		w.fine("sync", err)
	})
	after := w.sandboxFiles()
	w.logf("sync sent %d, conflicts %v", res.Sent, res.Conflicts)
	conflict := map[string]bool{}
	for _, c := range res.Conflicts {
		conflict[c.Path] = true
	}
	skipped := map[string]bool{}
	for _, sk := range res.Skipped {
		skipped[sk.Path] = true
	}
	for _, path := range lawtest.Differing(before, after) {
		if conflict[path] {
			w.Fatalf("sync changed %q, which it calls a conflict:\n%s", path, lawtest.Show("before", before, "after", after, []string{path}))
		}
		for m := range lawtest.Marks(after[path].Data).Minus(lawtest.Marks(before[path].Data)) {
			if inside[m] && !w.moved[m] && !w.chosen[m] {
				w.Fatalf("sync brought back %s in %q, which a command had removed", m, path)
			}
		}
	}
	w.keepsRefusals(before, host, after)
	if w.rules {
		return
	}
	all := after.Marks()
	for path, f := range host {
		if unsure[path] {
			continue
		}
		for m := range lawtest.Marks(f.Data) {
			if !all[m] && !w.inside[m] && !conflict[path] && !skipped[path] && !ignored(path) {
				w.Fatalf("%s of %q is not in the sandbox after a sync: conflicts %v, skipped %v\n%s", m, path, res.Conflicts, res.Skipped, lawtest.Show("host", host, "sandbox", after, []string{path}))
			}
		}
	}
}

// keepsRefusals follows what was refused through a sync that merged the person's edits
// into it: that made it another content, and not another offer.
func (w *lawWorld) keepsRefusals(before, host, after lawtest.Files) {
	for path, no := range w.left {
		switch now := after[path]; {
		case before[path] != no || now == no:
		case now == host[path]:
			delete(w.left, path)
		default:
			w.left[path] = now
		}
	}
}

// busySync lets a command write, between being asked and being written to, what the sync
// is about to send.
func (w *lawWorld) busySync(rt *rapid.T) {
	w.need(rt)
	w.hostChange(rt)
	w.writing = func(paths []string) {
		name := w.pick(rt, "meanwhile written", paths)
		w.logf("S writes %q while it is sent", name)
		w.command(func() { w.it.Put(rt, name) })
	}
	w.sync()
}

// checkpoint holds that what the session then knows is what the sandbox holds.
func (w *lawWorld) checkpoint() {
	var info CheckpointInfo
	w.untouched("checkpoint", func() {
		var err error
		info, err = w.s.Checkpoint(context.Background())
		w.fine("checkpoint", err)
	})
	st := w.s.snapshotState()
	if info.Seq != st.Checkpoint.Seq {
		w.Fatalf("checkpoint %d was answered with %d", st.Checkpoint.Seq, info.Seq)
	}
	w.safe = w.sandboxFiles()
	if !w.rules {
		w.capturedAll(st.Theirs)
	}
	w.keepsCommits()
}

func (w *lawWorld) capturedAll(theirs string) {
	known := w.stored(w.s.Dir(), theirs)
	here := w.safe.Without(func(p string) bool { return ignored(p) || w.safe[p].Kind == lawtest.Special })
	for _, path := range lawtest.Differing(here, known) {
		if _, ok := here[path]; !ok && ignored(path) {
			continue // it went up by name
		}
		w.Fatalf("a checkpoint is not what the sandbox holds:\n%s", lawtest.Show("sandbox", here, "session", known, []string{path}))
	}
}

// keepsCommits holds that what the sandbox's repository names is on the host.
func (w *lawWorld) keepsCommits() {
	out, err := w.tryGit(w.it.Dir, "rev-list", "--all", "HEAD")
	if err != nil || w.reinit {
		return // no repository, or one without a commit, or another one
	}
	for _, id := range strings.Fields(out) {
		if _, err := w.tryGit(w.repo, "--git-dir", filepath.Join(w.s.Dir(), "objects.git"), "cat-file", "-e", id); err != nil {
			w.Fatalf("commit %s, made inside, is not on the host after a checkpoint; warnings %q", id, w.s.Info().Warnings)
		}
	}
}

// diff holds that what was refused is not shown.
func (w *lawWorld) diff(rt *rapid.T) {
	w.need(rt)
	w.untouched("diff", func() {
		d, err := w.s.Diff(context.Background(), "")
		w.fine("diff", err)
		w.notOffered("diff", d.Files, w.sandboxFiles())
	})
}

func (w *lawWorld) notOffered(what string, changes []workspace.Change, theirs lawtest.Files) {
	for _, c := range changes {
		if no, ok := w.left[c.Path]; ok && no == theirs[c.Path] {
			w.Fatalf("%s offers %q again, which was refused as %s", what, c.Path, no)
		}
	}
}

func (w *lawWorld) plainReturn(rt *rapid.T) {
	w.need(rt)
	w.somethingNew(rt)
	o := ReturnOptions{Apply: true, Mode: w.pick(rt, "mode", []string{"edits", "edits", "edits", "disk"})}
	if rapid.IntRange(0, 3).Draw(rt, "confirm") == 0 {
		o.Confirm = []string{"."}
	}
	w.giveBack(rt, w.s, acceptsAll, o)
}

func (w *lawWorld) oddReturn(rt *rapid.T) {
	w.need(rt)
	w.somethingNew(rt)
	how := rapid.SampledFrom([]manner{refusesAll, fails, onlySays, takesSome, takesSome, failsHalfWay, typesFirst}).Draw(rt, "manner")
	w.giveBack(rt, w.s, how, ReturnOptions{Apply: true, Mode: "edits"})
}

// busyReturn lets both sides go on while the person decides.
func (w *lawWorld) busyReturn(rt *rapid.T) {
	w.need(rt)
	w.somethingNew(rt)
	w.ed.during = func() {
		for range rapid.IntRange(1, 3).Draw(rt, "things") {
			switch rapid.IntRange(0, 5).Draw(rt, "meanwhile") {
			case 0:
				w.hostChange(rt)
			case 1, 2:
				if len(w.ed.open()) > 0 {
					w.useBuffer(rt)
				}
			case 3:
				w.insideChange(rt)
			case 4:
				w.sync()
			case 5:
				w.checkpoint()
			}
		}
	}
	defer func() { w.ed.during = nil }()
	how := rapid.SampledFrom([]manner{acceptsAll, acceptsAll, takesSome, refusesAll}).Draw(rt, "manner")
	w.giveBack(rt, w.s, how, ReturnOptions{Apply: true, Mode: "edits"})
}

// giveBack returns, and holds the laws of a return: only what it names changes on the
// host, nothing in the sandbox, nothing that the person removed comes back, nothing that
// was refused is offered, and what an editor took in full leaves nothing unnamed.
func (w *lawWorld) giveBack(rt *rapid.T, s *Session, how manner, o ReturnOptions) *Return {
	w.T = rt
	busy := w.ed.during != nil
	theirs := w.sandboxFiles()
	if s != w.s {
		theirs = w.theirs(s.ID())
	}
	host, removed := w.host(), maps.Clone(w.byPerson)
	w.touched = map[string]bool{}
	w.ed.begin(rt, how)
	var r *Return
	act := func() {
		var err error
		// One that has just ended may still be on its way down.
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			r, err = s.Return(context.Background(), o, nil)
			if kindOf(err) != Busy || time.Now().After(deadline) {
				break
			}
		}
		w.fine("return", err)
	}
	if busy {
		act()
	} else {
		w.sandboxUntouched("return", act)
	}
	w.logf("return (%s, mode %s): %s", how, o.Mode, w.tell(r))
	after := w.host()
	w.onlyNamedChanged(r, host, after, removed)
	if busy {
		return r
	}
	if o.Paths == nil && o.Confirm == nil {
		w.notOffered("return", slices.DeleteFunc(slices.Clone(r.Files), func(c workspace.Change) bool { return slices.Contains(slices.Collect(declinedPaths(r)), c.Path) }), theirs)
	}
	declined := map[string]bool{}
	for path := range declinedPaths(r) {
		declined[path] = true
	}
	for path := range w.ed.left {
		switch {
		case declined[path]:
			w.left[path] = theirs[path]
			w.refused.Add(lawtest.Marks(theirs[path].Data))
		case w.ed.took && after[path] == host[path] && after[path] != theirs[path]:
			w.Fatalf("%q was left out of what the editor took, and is not called declined: %s", path, w.tell(r))
		}
	}
	for path, f := range w.left {
		if after[path] == f {
			delete(w.left, path)
		}
	}
	if how == acceptsAll && o.Apply && o.Paths == nil && o.Mode != "branch" && !w.rules {
		gone := lawtest.Set{}
		if s != w.s {
			gone = w.inside // a later session's command removed it again
		}
		w.leavesNothingUnnamed(r, theirs, gone)
	}
	if r.Mbox != nil && !r.Mbox.Truncated && rapid.IntRange(0, 3).Draw(rt, "try the mbox") == 0 {
		w.mboxApplies(s, r)
	}
	return r
}

func declinedPaths(r *Return) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, c := range r.Declined {
			if !yield(c.Path) || c.OldPath != "" && !yield(c.OldPath) {
				return
			}
		}
	}
}

func (w *lawWorld) onlyNamedChanged(r *Return, before, after lawtest.Files, removed lawtest.Set) {
	may := map[string]bool{}
	for _, c := range append(slices.Clone(r.Files), r.Declined...) {
		may[c.Path] = true
		if c.OldPath != "" {
			may[c.OldPath] = true
		}
	}
	for _, path := range lawtest.Differing(before, after) {
		if w.touched[path] {
			continue
		}
		if !may[path] {
			w.Fatalf("a return changed %q, which it does not list:\n%s", path, lawtest.Show("before", before, "after", after, []string{path}))
		}
		for m := range lawtest.Marks(after[path].Data).Minus(lawtest.Marks(before[path].Data)) {
			if removed[m] && !w.moved[m] && !w.chosen[m] {
				w.Fatalf("a return brought back %s in %q, which the person had removed", m, path)
			}
		}
	}
}

func (w *lawWorld) leavesNothingUnnamed(r *Return, theirs lawtest.Files, gone lawtest.Set) {
	mine, no := w.mine(), named(r)
	for path, f := range theirs {
		if no.has(path) || ignored(path) {
			continue
		}
		for m := range lawtest.Marks(f.Data) {
			if !mine[m] && !w.byPerson[m] && !gone[m] && m[0] == 'S' {
				w.Fatalf("%s of %q neither came back nor is named: %s", m, path, w.tell(r))
			}
		}
	}
}

// mboxApplies holds that plain git am makes the sandbox's tree of the mbox's base.
func (w *lawWorld) mboxApplies(s *Session, r *Return) {
	if slices.ContainsFunc(s.Info().Warnings, func(text string) bool { return strings.Contains(text, "git apply does not make") }) {
		return // it says so itself, and the bundle holds everything
	}
	st := s.snapshotState()
	meta, err := os.ReadFile(r.Mbox.Path + ".meta.json")
	w.fine("read the meta file", err)
	_, rest, ok := strings.Cut(string(meta), `"base_sha":`)
	base := ""
	if parts := strings.SplitN(rest, `"`, 3); ok && len(parts) == 3 {
		base = parts[1]
	}
	clone, err := os.MkdirTemp(w.dir, "am")
	w.fine("make a clone", err)
	defer removeTree(clone)
	w.git(clone, "init", "-q")
	objects := filepath.Join(s.Dir(), "objects.git", "objects")
	w.fine("make a clone", os.WriteFile(filepath.Join(clone, ".git", "objects", "info", "alternates"), []byte(objects+"\n"), 0o644))
	w.git(clone, "checkout", "-q", "--detach", base)
	if out, err := w.tryGit(clone, "am", "-q", r.Mbox.Path); err != nil {
		w.Fatalf("plain git am of the mbox: %v\n%s", err, out)
	}
	if got := strings.TrimSpace(w.git(clone, "rev-parse", "HEAD^{tree}")); got != st.Theirs {
		w.Fatalf("plain git am makes another tree than the sandbox has:\n%s", w.git(clone, "diff", "--stat", got, st.Theirs))
	}
}

// someReturn brings back one file by name.
func (w *lawWorld) someReturn(rt *rapid.T) {
	w.need(rt)
	var r *Return
	w.untouched("a return that does not apply", func() {
		var err error
		r, err = w.s.Return(context.Background(), ReturnOptions{Mode: "edits"}, nil)
		w.fine("return", err)
	})
	if len(r.Files) == 0 {
		return
	}
	var paths []string
	for _, c := range r.Files {
		paths = append(paths, c.Path)
	}
	path := w.pick(rt, "path", paths)
	w.giveBack(rt, w.s, acceptsAll, ReturnOptions{Apply: true, Mode: "edits", Paths: []string{path}})
}

// settlingReturn decides one conflict.
func (w *lawWorld) settlingReturn(rt *rapid.T) {
	w.need(rt)
	first, err := w.s.Return(context.Background(), ReturnOptions{Mode: "edits"}, nil)
	w.fine("return", err)
	if len(first.Conflicts) == 0 {
		return
	}
	c := rapid.SampledFrom(first.Conflicts).Draw(rt, "conflict")
	choice := workspace.Resolution{Path: c.Path, Choice: w.pick(rt, "choice", []string{"mine", "theirs", "content"})}
	theirs := w.sandboxFiles()
	if choice.Choice == "content" {
		mark := w.me.NewMark()
		choice.Content = []byte("settled " + mark + "\n")
		w.settled[mark] = true
	}
	w.logf("H settles %q: %s", c.Path, choice.Choice)
	// One decision may settle a whole group of paths.
	for _, c := range first.Conflicts {
		if choice.Choice != "theirs" {
			w.byPerson.Add(lawtest.Marks(theirs[c.Path].Data))
		}
		w.chosen.Add(theirs.Marks())
		w.chosen.Add(w.host().Marks())
	}
	w.person(func() {
		w.giveBack(rt, w.s, acceptsAll, ReturnOptions{Apply: true, Mode: "edits", Resolutions: []workspace.Resolution{choice}})
	})
}

// branchReturn holds that only the branch and objects are new.
func (w *lawWorld) branchReturn(rt *rapid.T) {
	w.need(rt)
	name := "law-" + strings.TrimSuffix(w.me.NewMark(), ";")
	w.hostUntouched("a return to a branch", func() {
		w.giveBack(rt, w.s, acceptsAll, ReturnOptions{Apply: true, Mode: "branch", Branch: name, Commits: rapid.Bool().Draw(rt, "commits")})
	})
	now := w.hostGit()
	for _, file := range lawtest.Changed(w.gitDir, now) {
		if file != "objects" && !strings.HasPrefix(file, "objects/") && !strings.HasSuffix(file, "refs/heads/"+name) {
			w.Fatalf("a return to branch %s changed .git/%s", name, file)
		}
	}
	w.gitDir = now
}

// converge holds that a full return and a sync leave nothing to do, and both sides alike
// but for what is named.
func (w *lawWorld) converge(rt *rapid.T) {
	w.need(rt)
	o := ReturnOptions{Apply: true, Mode: "edits"}
	w.giveBack(rt, w.s, acceptsAll, o)
	w.offersNothing(rt, "a second return", o)
	w.sync()
	again, err := w.s.Sync(context.Background(), true, nil)
	w.fine("sync", err)
	if again.Sent != 0 {
		w.Fatalf("a second sync sends %d files again", again.Sent)
	}
	if w.rules {
		return // the sync may have brought other rules, by which more or less counts
	}
	last := w.offersNothing(rt, "a return after a sync", o)
	no, unsure := named(last), w.unsure()
	no.conflicts(again.Conflicts)
	for _, sk := range again.Skipped {
		no.paths[sk.Path] = true
	}
	host, inside := w.host(), w.sandboxFiles()
	for _, path := range lawtest.Differing(host, inside) {
		if !no.has(path) && !ignored(path) && !unsure[path] {
			w.Fatalf("after a return and a sync the sides differ, and nothing says so (%s, sync conflicts %v):\n%s",
				w.tell(last), again.Conflicts, lawtest.Show("host", host, "sandbox", inside, []string{path}))
		}
	}
}

func (w *lawWorld) offersNothing(rt *rapid.T, what string, o ReturnOptions) *Return {
	var r *Return
	w.untouched(what, func() { r = w.giveBack(rt, w.s, acceptsAll, o) })
	if left := offered(r); len(left) > 0 || r.Edit != nil || len(r.Disk) > 0 {
		w.Fatalf("%s offers again: %s", what, w.tell(r))
	}
	return r
}

func (w *lawWorld) discard(rt *rapid.T) {
	w.need(rt)
	w.untouched("discard", func() {
		d, err := w.s.Diff(context.Background(), "")
		w.fine("diff", err)
		var paths []string
		if len(d.Files) > 0 && rapid.Bool().Draw(rt, "by name") {
			paths = []string{rapid.SampledFrom(d.Files).Draw(rt, "thrown away").Path}
		}
		gone, err := w.s.Discard(context.Background(), paths)
		w.fine("discard", err)
		theirs := w.sandboxFiles()
		for _, c := range gone {
			w.logf("H throws away %q", c.Path)
			w.left[c.Path] = theirs[c.Path]
			w.refused.Add(lawtest.Marks(theirs[c.Path].Data))
		}
		d, err = w.s.Diff(context.Background(), "")
		w.fine("diff", err)
		w.notOffered("diff after discard", d.Files, theirs)
	})
}

// undo holds that what the person wrote survives, and that nothing happens inside.
func (w *lawWorld) undo(rt *rapid.T) {
	w.need(rt)
	before := w.mine()
	w.ed.begin(rt, acceptsAll)
	w.ed.undoing = true
	defer func() { w.ed.undoing = false }()
	w.sandboxUntouched("undo", func() {
		if _, err := w.s.Undo(context.Background(), nil); err != nil {
			w.logf("undo: %v", err) // there may be nothing to undo
		}
	})
	for m := range before.Minus(w.mine()) {
		if m[0] == 'S' || w.settled[m] {
			w.byPerson[m] = true
		}
	}
}

// close ends the session, with a return or without.
func (w *lawWorld) close(rt *rapid.T) {
	w.need(rt)
	if rapid.IntRange(0, 2).Draw(rt, "really") > 0 {
		return // a session that lives long sees more
	}
	inside := w.sandboxFiles()
	var o *ReturnOptions
	if rapid.Bool().Draw(rt, "return") {
		o = &ReturnOptions{Apply: true, Mode: "edits"}
		w.ed.begin(rt, acceptsAll)
	}
	r, err := w.s.Close(context.Background(), o, nil)
	w.fine("close", err)
	if !r.Terminated {
		w.Fatalf("the session was closed and its sandbox goes on")
	}
	w.logf("closed, return: %v", o != nil)
	theirs := w.theirs(w.s.ID()).Marks()
	for path, f := range inside {
		if ignored(path) || w.rules {
			w.lost.Add(lawtest.Marks(f.Data).Minus(theirs))
		}
	}
	w.sessionEnded()
}

func (w *lawWorld) sessionEnded() {
	w.lost.Add(w.refused)
	w.ended = append(w.ended, w.s.ID())
	w.s, w.left = nil, lawtest.Files{}
}

// crash leaves the state folder as it is at one moment, and lets another server find it.
// What was written after the last checkpoint may be gone.
func (w *lawWorld) crash(rt *rapid.T) {
	w.need(rt)
	if rapid.IntRange(0, 2).Draw(rt, "really") > 0 {
		return
	}
	w.logf("the server crashes")
	next := w.home + "x"
	if out, err := exec.Command("cp", "-a", w.home, next).CombinedOutput(); err != nil {
		w.Fatalf("copy the state: %v\n%s", err, out)
	}
	w.lost.Add(w.sandboxFiles().Marks().Minus(w.safe.Marks()))
	for path, f := range w.safe {
		if ignored(path) || w.rules {
			w.lost.Add(lawtest.Marks(f.Data))
		}
	}
	w.fine("end the old server", w.m.Shutdown(context.Background()))
	w.home = next
	w.manager()
	w.sessionEnded()
}

// lateReturn returns, or throws away, what a session that ended holds.
func (w *lawWorld) lateReturn(rt *rapid.T) {
	w.T = rt
	if len(w.ended) == 0 {
		rt.Skip("no session has ended")
	}
	id := w.pick(rt, "ended session", w.ended)
	s, err := w.m.Find(context.Background(), id)
	w.fine("find an ended session", err)
	left := w.left
	w.left = lawtest.Files{}
	defer func() { w.left = left }()
	if rapid.IntRange(0, 5).Draw(rt, "throw away") == 0 {
		w.untouched("discard", func() {
			_, err := s.Discard(context.Background(), nil)
			w.fine("discard", err)
		})
		w.logf("H throws session %s away", id)
		w.lost.Add(w.theirs(id).Marks())
		return
	}
	w.giveBack(rt, s, acceptsAll, ReturnOptions{Apply: true, Mode: "edits"})
	w.untouched("a second return", func() {
		if r := w.giveBack(rt, s, acceptsAll, ReturnOptions{Apply: true, Mode: "edits"}); len(offered(r)) > 0 {
			w.Fatalf("a second return of an ended session offers again: %s", w.tell(r))
		}
	})
}
