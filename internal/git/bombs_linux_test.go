package git

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"glue-lsp/internal/tree"
)

// appetite measures what commands of a git cost.
type appetite struct {
	mu   sync.Mutex
	all  sync.WaitGroup
	peak int64 // bytes of memory of the hungriest one
}

// watch looks at each command's peak until it is gone. A process's resource usage would
// count the memory of the one that it was forked from, too.
func (a *appetite) watch(g *Git) {
	g.started = func(pid int) {
		a.all.Go(func() {
			for {
				b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
				m := highWater.FindSubmatch(b)
				if err != nil || m == nil {
					return // it has ended
				}
				kib, err := strconv.ParseInt(string(m[1]), 10, 64)
				if err != nil {
					return
				}
				a.mu.Lock()
				a.peak = max(a.peak, kib<<10)
				a.mu.Unlock()
				runtime.Gosched()
			}
		})
	}
}

// most gives the peak, once all commands have ended.
func (a *appetite) most() int64 {
	a.all.Wait()
	return a.peak
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

func diskOf(t *testing.T, dir string) int64 {
	t.Helper()
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		total += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

func rawID(t testing.TB, id string) string {
	t.Helper()
	b, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// growing is a delta of a base of some size that copies all of it n times.
func growing(base, n int) []byte {
	d := binary.AppendUvarint(nil, uint64(base))
	d = binary.AppendUvarint(d, uint64(n*base))
	for range n {
		for at := 0; at < base; at += 1 << 16 {
			size := min(base-at, 1<<16)
			op := []byte{0x80 | 0x0f | 0x30, byte(at), byte(at >> 8), byte(at >> 16), byte(at >> 24), byte(size), byte(size >> 8)}
			if size == 1<<16 { // written as zero
				op = []byte{0x80 | 0x0f, byte(at), byte(at >> 8), byte(at >> 16), byte(at >> 24)}
			}
			d = append(d, op...)
		}
	}
	return d
}

// chain is a pack of a blob and n deltas, each of the one before and of twice the size.
func chain(t *testing.T, base, n int) []byte {
	t.Helper()
	content := make([]byte, base)
	pack := []packObject{{kind: 3, content: content}}
	for range n {
		id := tree.HashBytes(tree.SHA1, content)
		pack = append(pack, packObject{kind: 7, content: growing(len(content), 2), base: id})
		content = append(content, content...)
	}
	return makePack(t, pack...)
}

func commitText(treeID, parent, message string) []byte {
	if parent != "" {
		parent = "parent " + parent + "\n"
	}
	return []byte("tree " + treeID + "\n" + parent + "author A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n" + message)
}

// stopped says what an ingest of a bomb.must give.
type verdict int

const (
	taken   verdict = iota // it is only large, or odd
	limited                // a *LimitError
	refused                // wrong, for another reason
)

func TestX7_NoPackCostsMoreThanItsBound(t *testing.T) {
	isolate(t)
	const most = 256 << 20
	base := []byte("base")
	baseID := tree.HashBytes(tree.SHA1, base)
	empty := packObject{kind: 2}
	emptyID := hashObject(tree.SHA1, "tree", nil)
	big, delta := deltaBomb(3000)
	bombs := map[string]struct {
		pack []byte
		want verdict
	}{
		"one delta of three gigabytes":             {makePack(t, packObject{kind: 3, content: big}, packObject{kind: 7, content: delta, base: tree.HashBytes(tree.SHA1, big)}), limited},
		"a chain of deltas that doubles each time": {chain(t, 1<<20, 7), limited},
		"a blob of zeros":                          {makePack(t, packObject{kind: 3, content: make([]byte, 100<<20)}), taken},
		"a message of 110 MB":                      {makePack(t, empty, packObject{kind: 1, content: commitText(emptyID, "", strings.Repeat("m", 110<<20))}), limited},
		"a size that lies":                         {makePack(t, packObject{kind: 3, content: base, size: 1 << 40}), refused},
		"deltas of each other": {makePack(t,
			packObject{kind: 7, content: growing(4, 1), base: strings.Repeat("a", 40)}, packObject{kind: 7, content: growing(4, 1), base: strings.Repeat("b", 40)}), refused},
		"a delta that copies from beyond its base": {makePack(t, packObject{kind: 3, content: base}, packObject{kind: 7, content: growing(1<<20, 1), base: baseID}), refused},
	}
	seen := false // of the quickest commands, none may be looked at while it runs
	for name, bomb := range bombs {
		g := findGit(t)
		r := newStore(t, g, tree.SHA1)
		var cost appetite
		cost.watch(g)
		err := r.Ingest(t.Context(), bytes.NewReader(bomb.pack), IngestLimits)
		var limit *LimitError
		got := refused
		switch {
		case err == nil:
			got = taken
		case errors.As(err, &limit):
			got = limited
		}
		if got != bomb.want {
			t.Errorf("%s: %v", name, err)
		}
		peak := cost.most()
		seen = seen || peak > 0
		if peak > most {
			t.Errorf("%s: a command has held %d MiB", name, peak>>20)
		} else {
			t.Logf("%s: %d MiB, %v", name, peak>>20, err)
		}
		if disk := diskOf(t, r.Dir); disk > 4<<20 {
			t.Errorf("%s: the store has %d bytes", name, disk)
		}
		if left := leftovers(t, r); len(left) > 0 {
			t.Errorf("%s: left behind: %q", name, left)
		}
		if bomb.want != taken && len(objects(t, r)) > 0 {
			t.Errorf("%s: something of it stays", name)
		}
	}
	if !seen {
		t.Error("no command's memory was seen")
	}
}

// nested is a pack of trees, each in the next, and the id of the outermost.
func nested(t *testing.T, depth int) (pack []byte, id string) {
	t.Helper()
	blob := packObject{kind: 3, content: []byte("x")}
	objects := []packObject{blob}
	id = tree.HashBytes(tree.SHA1, blob.content)
	mode := "100644"
	for range depth {
		content := []byte(mode + " d\x00" + rawID(t, id))
		objects = append(objects, packObject{kind: 2, content: content})
		id, mode = hashObject(tree.SHA1, "tree", content), "40000"
	}
	return makePack(t, objects...), id
}

func TestX7_TreesThatNoDiskCouldHoldFailTheReadingAndNothingElse(t *testing.T) {
	isolate(t)
	blobID := tree.HashBytes(tree.SHA1, []byte("x"))
	blob := packObject{kind: 3, content: []byte("x")}
	longName := []byte("100644 " + strings.Repeat("n", 2<<20) + "\x00" + rawID(t, blobID))
	deep, deepID := nested(t, 6_000)
	var wide bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&wide, "100644 %07d\x00%s", i, rawID(t, blobID))
	}
	for name, x := range map[string]struct {
		pack  []byte
		id    string
		reads bool
	}{
		"deep":        {deep, deepID, true}, // newer versions of git refuse it
		"a long name": {makePack(t, blob, packObject{kind: 2, content: longName}), hashObject(tree.SHA1, "tree", longName), false},
		"wide":        {makePack(t, blob, packObject{kind: 2, content: wide.Bytes()}), hashObject(tree.SHA1, "tree", wide.Bytes()), true},
	} {
		g := findGit(t)
		r := newStore(t, g, tree.SHA1)
		var cost appetite
		cost.watch(g)
		if err := r.Ingest(t.Context(), bytes.NewReader(x.pack), IngestLimits); err != nil {
			continue // refused at once is as good
		}
		entries, err := r.ReadTree(t.Context(), x.id)
		if err == nil && !x.reads {
			t.Errorf("%s: %d entries, %v", name, len(entries), err)
		}
		if _, err := r.Diff(t.Context(), "", x.id, true); err == nil && !x.reads {
			t.Errorf("%s: comparing it gives %v", name, err)
		}
		if peak := cost.most(); peak > 256<<20 {
			t.Errorf("%s: a command has held %d MiB", name, peak>>20)
		}
		if left := leftovers(t, r); len(left) > 0 {
			t.Errorf("%s: left behind: %q", name, left)
		}
	}
}

func TestX7_ALongHistoryIsTakenInWithinItsBound(t *testing.T) {
	isolate(t)
	g := findGit(t)
	r := newStore(t, g, tree.SHA1)
	var cost appetite
	cost.watch(g)
	pack := []packObject{{kind: 2}}
	empty, parent := hashObject(tree.SHA1, "tree", nil), ""
	for i := range 5_000 {
		content := commitText(empty, parent, fmt.Sprint(i))
		pack = append(pack, packObject{kind: 1, content: content})
		parent = hashObject(tree.SHA1, "commit", content)
	}
	bundle := "# v2 git bundle\n" + parent + " HEAD\n\n"
	in := io.MultiReader(strings.NewReader(bundle), bytes.NewReader(makePack(t, pack...)))
	refs, err := r.IngestBundle(t.Context(), in, IngestLimits)
	if err != nil || refs["HEAD"] != parent || cost.most() > 128<<20 {
		t.Errorf("%v %v, %d MiB", refs, err, cost.peak>>20)
	}
}

func TestX7_RefsByTheHundredThousandAreRefused(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	var header strings.Builder
	header.WriteString("# v2 git bundle\n")
	for i := range maxBundleRefs + 1 {
		fmt.Fprintf(&header, "%s refs/tags/%d\n", strings.Repeat("1", 40), i)
	}
	if err := r.Ingest(t.Context(), strings.NewReader(header.String()), IngestLimits); err == nil || !strings.Contains(err.Error(), "more than 100000 refs") {
		t.Errorf("%v", err)
	}
}

func TestX7_ACommandThatPrintsWithoutEndIsStopped(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	id := makeTree(t, r, corpus(2000, 1))
	out := boundedBuffer{most: 1000}
	_, err := out.result(r.Run(t.Context(), Cmd{Args: []string{"ls-tree", "-r", id}, Stdout: &out}))
	var limit *LimitError
	if !errors.As(err, &limit) || limit.What != LimitOutput || out.buf.Cap() > 0 {
		t.Errorf("%v, %d bytes held", err, out.buf.Cap())
	}
}

func TestX7_ACommandThatComplainsWithoutEndIsCutShort(t *testing.T) {
	var b cappedBuffer
	if n, err := io.Copy(&b, strings.NewReader(strings.Repeat("x", 1<<20))); n != 1<<20 || err != nil || b.buf.Cap() > 2*maxStderr {
		t.Errorf("%d, %v, %d bytes held", n, err, b.buf.Cap())
	}
}

func TestX7_FilesTooLargeToSearchForRenamesAreComparedAllTheSame(t *testing.T) {
	isolate(t)
	r := newStore(t, findGit(t), tree.SHA1)
	var text strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	from := makeTree(t, r, map[string]string{"a": text.String(), "x": "1"})
	to := makeTree(t, r, map[string]string{"b": text.String() + "end\n", "x": "2"})
	entries, err := r.Diff(t.Context(), from, to, true)
	if err != nil || len(entries) != 2 || !entries[0].Renamed {
		t.Fatalf("%+v %v", entries, err)
	}
	defer func(l Limits) { DefaultLimits = l }(DefaultLimits)
	DefaultLimits.Piece = 2 << 20
	if entries, err = r.Diff(t.Context(), from, to, true); err != nil || len(entries) != 3 {
		t.Errorf("with little memory: %+v %v", entries, err)
	}
}
