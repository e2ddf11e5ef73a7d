package modal

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/modaltest"
	"glue-lsp/internal/tree"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// inRoot runs a command in the workspace's root that must succeed.
func inRoot(t *testing.T, d *direct, command string, args ...string) string {
	t.Helper()
	out, r := printed(t, d, sandbox.ExecRequest{Argv: append([]string{"sh", "-c", command, "sh"}, args...), Cwd: d.Info().Root})
	if r.ExitCode != 0 {
		t.Fatalf("%s: status %d, %s", command, r.ExitCode, out)
	}
	return out
}

const makeFiles = `for f do case $f in */*) mkdir -p -- "./${f%/*}" ;; esac && : >"./$f" || exit 1; done`

func TestWhatGoesOfAFormerTreeIsRemovedWhateverItsName(t *testing.T) {
	d := openDirect(t, nil)
	names := []string{"\xff", "new\nline", "ends\n", "-rf", "--", "it's", `"q"`, " ", "*", `\`, "[a]", "$(a)", "a\tb", "dir/-x", "-dir/\xfe\n/x"}
	inRoot(t, d, makeFiles, names...)
	inRoot(t, d, makeFiles, "stays", "dir/stays", "a*b/stays")
	going := slices.Clone(names)
	const many = 3000
	inRoot(t, d, fmt.Sprintf(`mkdir many && i=0; while [ $i -lt %d ]; do : >"many/one of many files, number $i"; i=$((i+1)); done`, many))
	for i := range many {
		going = append(going, fmt.Sprintf("many/one of many files, number %d", i))
	}
	if err := d.clear(within(t), "populate", going); err != nil {
		t.Fatal(err)
	}
	if got := inRoot(t, d, "find . ! -type d | sort"); got != "./a*b/stays\n./dir/stays\n./stays\n" {
		t.Errorf("left is %q", got)
	}
	if err := d.clear(within(t), "populate", nil); err != nil {
		t.Errorf("where nothing goes: %v", err)
	}
}

func TestX12_NothingOutsideTheRootIsRemovedThroughALink(t *testing.T) {
	d := openDirect(t, nil)
	inRoot(t, d, `mkdir -p /tmp/outside/in d && : >/tmp/outside/in/file && ln -s /tmp/outside d/link && ln -s /tmp/outside top && : >d/file`)
	for _, p := range []string{"d/link/in/file", "d/link/in", "top/in"} {
		err := d.clear(within(t), "populate", []string{"d/file", p})
		wantError(t, err, sandbox.Unavailable, "link")
	}
	// A link itself goes, and what it leads to does not.
	if err := d.clear(within(t), "populate", []string{"d/link", "top"}); err != nil {
		t.Fatal(err)
	}
	if got := inRoot(t, d, "find . /tmp/outside ! -type d"); got != "./d/file\n/tmp/outside/in/file\n" {
		t.Errorf("left is %q", got)
	}
}

func TestWhatCannotBeRemovedOfAFormerTreeIsNamed(t *testing.T) {
	d := openDirect(t, func(o *Options) { o.Env = map[string]string{"PATH": "/tmp/bin:/usr/local/bin:/usr/bin:/bin"} })
	inRoot(t, d, `mkdir -p /tmp/bin dir && : >dir/x && cat >/tmp/bin/rm <<'EOF' && chmod 755 /tmp/bin/rm
#!/bin/sh
[ "$1" != -rf ] || { echo "rm: cannot remove '$3': Read-only file system"; echo and more; exit 1; } >&2
EOF`)
	err := d.clearForKept(within(t), "populate", sandbox.PopulateRequest{})
	wantError(t, err, sandbox.PermissionDenied, "kept after setup: rm: cannot remove './dir': Read-only file system")
}

// What a setup makes may be a great many files, of which nothing is to be known.
func TestFoldersThatStayWholeAreNotListed(t *testing.T) {
	for name, change := range map[string]func(*equipment){
		"GNU's find and stat":         func(*equipment) {},
		"without GNU's find and stat": func(e *equipment) { e.gnuFind, e.fine = false, false },
	} {
		t.Run(name, func(t *testing.T) {
			d := openDirect(t, nil)
			change(&d.has)
			inRoot(t, d, makeFiles, "node_modules/a/b/c", "node_modules/went/up", "pkg/x/y/z/node_modules/a/b", "pkg/x/y/z/[a]*/b", ".git/objects/ab/cd", "pkg/x/y/z/w/\xff\n/gone", "pkg/x/.git/HEAD")
			inRoot(t, d, "ln -s pkg node_modules/link; ln -s pkg led; ln -s pkg x.o; mkfifo pipe")
			ignore := []tree.IgnoreFile{{Content: []byte("node_modules/\n*.o\n[[]a]*/\n")}}
			what := agent.NewKept([]tree.Entry{{Path: "pkg/a"}}, ignore, []string{"node_modules/went/up"}, false)
			found, err := d.findKept(within(t), "populate", what)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(found.shut)
			if diff := cmp.Diff([]string{".git", "node_modules/a", "pkg/x/y/z/[a]*", "pkg/x/y/z/node_modules"}, found.shut); diff != "" {
				t.Errorf("not looked into (-want +got):\n%s", diff)
			}
			for _, dir := range found.shut {
				for listed := range found.children {
					if strings.HasPrefix(listed+"/", dir+"/") {
						t.Errorf("%q was looked into", listed)
					}
				}
			}
			going, err := what.Going(func(dir string) ([]agent.KeptChild, error) { return found.children[dir], nil })
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(going)
			if diff := cmp.Diff([]string{".git", "led", "node_modules/went", "pipe", "pkg/x/.git", "pkg/x/y/z/w"}, going); diff != "" {
				t.Errorf("goes (-want +got):\n%s", diff)
			}
		})
	}
}

// What a volume holds is no former tree's, wherever somebody mounted it.
func TestAVolumeInTheWorkspaceIsNotEmptiedForATree(t *testing.T) {
	cloud := modaltest.Shared(t)
	for _, transport := range []string{Agent, Direct} {
		t.Run(transport, func(t *testing.T) {
			// As a person makes one: only Modal's own package can.
			make := exec.Command(modaltest.Python(t), "-c", "import modal, sys; modal.Volume.from_name(sys.argv[1], create_if_missing=True).hydrate()", "data-"+transport)
			make.Env = append(os.Environ(), cloud.Environ()...)
			if out, err := make.CombinedOutput(); err != nil {
				t.Fatalf("making a volume: %v: %s", err, out)
			}
			r := newRuntime(t, cloud, func(o *Options) {
				o.Transport, o.Volumes = transport, []string{"data-" + transport + ":/workspace/a/with space"}
			})
			sb := openBox(t, r, nil)
			root := sb.Info().Root
			if out, res := printed(t, sb, sandbox.ExecRequest{Argv: []string{"sh", "-c", "echo x >'a/with space/mine' && echo x >b.txt"}, Cwd: root}); res.ExitCode != 0 {
				t.Fatal(out)
			}
			clear := func(ignore string, entries ...tree.Entry) error {
				req := sandbox.PopulateRequest{
					KeepIgnored: true, Ignore: []tree.IgnoreFile{{Content: []byte(ignore)}}, Entries: entries,
					Commit: strings.Repeat("a", 40), Format: tree.SHA1, Bundle: strings.NewReader("no bundle"),
				}
				if d, ok := sb.(*direct); ok {
					return d.clearForKept(within(t), "populate", req)
				}
				return sb.Populate(within(t), req)
			}
			wantError(t, clear(""), sandbox.Conflict, "with space")
			wantError(t, clear("other\n", tree.Entry{Path: "a/with space/also.txt"}), sandbox.Conflict, "with space")
			wantError(t, sb.Remove(within(t), root+"/a", true, false), sandbox.Unsupported, "mount")
			held := func(after string) {
				t.Helper()
				if out, _ := printed(t, sb, sandbox.ExecRequest{Argv: []string{"cat", "a/with space/mine"}, Cwd: root}); out != "x\n" {
					t.Errorf("after %s the volume holds %q", after, out)
				}
			}
			held("refusals")
			if transport == Direct {
				if err := clear("with space\n"); err != nil {
					t.Error(err)
				}
				if out, _ := printed(t, sb, sandbox.ExecRequest{Argv: []string{"ls", ".", "a/with space"}, Cwd: root}); !strings.Contains(out, "mine") || strings.Contains(out, "b.txt") {
					t.Errorf("there is %q", out)
				}
			}
			err := sb.Populate(within(t), sandbox.PopulateRequest{
				KeepIgnored: true, Ignore: []tree.IgnoreFile{{Content: []byte("with space\n")}},
				Commit: strings.Repeat("a", 40), Format: tree.SHA1, Bundle: strings.NewReader("no bundle"),
			})
			wantError(t, err, sandbox.InvalidParams, "bundle")
			held("a tree that could not be filled in")
		})
	}
}
