package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"

	"glue-lsp/sandbox"
)

// planned is what the kernel would be asked for; no kernel is.
func planned(t *testing.T, abi int, environ []string, change func(*plan)) *confinement {
	t.Helper()
	home := filepath.Join(t.TempDir(), "glue")
	treeDir := filepath.Join(home, "trees", "s1")
	d, err := makeDirs(treeDir)
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{
		spec: sandbox.Spec{TreeDir: treeDir, Dir: filepath.Join(home, "sessions", "s1")}, dirs: d, agentPath: "/proc/self/exe",
		environ: environ, glueHome: home,
	}
	if change != nil {
		change(p)
	}
	if err := p.landlock(choice{isolation: Landlock, abi: abi}); err != nil {
		t.Fatal(err)
	}
	c, err := decodeConfinement(p.argv[len(p.argv)-1])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// may tells what the rules allow on a path.
func (c *confinement) may(p string) []rights {
	var out []rights
	for _, r := range c.Rules {
		if within(string(r.Path), p) && !slices.Contains(out, r.Rights) {
			out = append(out, r.Rights)
		}
	}
	return out
}

func TestX6_NoRuleReachesASecretOrAWholeHome(t *testing.T) {
	files := map[string]string{}
	for _, name := range append(slices.Clone(secretFiles), toolFiles...) {
		files[name] = "x"
	}
	home, environ := userHome(t, files)
	environ = append(environ, "JAVA_HOME="+home+"/.ssh", "GRADLE_HOME="+home, "PATH="+home+":"+home+"/.ssh:"+filepath.Dir(home)+":/usr/bin")
	c := planned(t, newestABI, environ, func(p *plan) { p.glueHome = filepath.Join(home, ".glue") })
	for _, name := range secretFiles {
		if got := c.may(filepath.Join(home, name)); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, name := range toolFiles {
		if got := c.may(filepath.Join(home, name)); !slices.Contains(got, mayRead) {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, p := range []string{"/", "/run", "/home", "/tmp", "/var/tmp", "/dev", "/dev/pts/0", "/dev/ptmx", "/root", home, filepath.Dir(home)} {
		if got := c.may(p); len(got) != 0 {
			t.Errorf("%s: %v", p, got)
		}
	}
	for _, p := range append(slices.Clone(hiddenFiles), hiddenFolders...) {
		if slices.Contains(c.may(p), mayRead) {
			t.Errorf("%s may be read", p)
		}
	}
	// Nothing is writable but the sandbox's own.
	for _, r := range c.Rules {
		if r.Rights == mayWrite && !strings.Contains(string(r.Path), "/trees/s1/") {
			t.Errorf("%s may be written", r.Path)
		}
	}
}

func TestARuleIsNamedForEachNeighbourOfWhatIsHidden(t *testing.T) {
	base := t.TempDir()
	for _, name := range []string{"a/x", "a/y", "b/z/hidden/s", "b/z/tool", "b/w", "c"} {
		put(t, filepath.Join(base, name), "")
	}
	if err := os.Symlink("z/hidden", filepath.Join(base, "b", "link")); err != nil {
		t.Fatal(err)
	}
	rules := func(masked, private []string) []string {
		c := &confinement{}
		addBelow(c, base, masked, private)
		var out []string
		for _, r := range c.Rules {
			out = append(out, string(r.Rights)+" "+strings.TrimPrefix(string(r.Path), base))
		}
		slices.Sort(out)
		return out
	}
	hidden := []string{filepath.Join(base, "b/z/hidden")}
	if diff := cmp.Diff([]string{"list ", "list /b", "list /b/z", "read /a", "read /b/w", "read /b/z/tool", "read /c"}, rules(hidden, nil)); diff != "" {
		t.Error(diff)
	}
	// Of what is private, not even names are listed.
	if diff := cmp.Diff([]string{"read /a", "read /b/w", "read /b/z/tool", "read /c"}, rules(nil, hidden)); diff != "" {
		t.Error(diff)
	}
	if got := rules(nil, []string{base}); len(got) != 0 {
		t.Errorf("a hidden folder is shown: %v", got)
	}
}

func TestEachKernelIsAskedForWhatItKnows(t *testing.T) {
	for abi := minABI; abi <= newestABI+1; abi++ {
		for _, network := range []string{"on", "none"} {
			c := &confinement{ABI: abi, Network: network}
			cfg := c.config()
			handled := func(name string, got bool, since int) {
				if got != (abi >= since) {
					t.Errorf("version %d: %s is handled: %v", abi, name, got)
				}
			}
			handled("truncating", cfg.HandledAccessFS&ll.AccessFSTruncate != 0, abiTruncate)
			handled("ioctl", cfg.HandledAccessFS&ll.AccessFSIoctlDev != 0, abiIoctl)
			handled("unix sockets", cfg.HandledAccessFS&ll.AccessFSResolveUnix != 0, abiUnix)
			handled("signals", cfg.Scoped&ll.ScopeSignal != 0, abiScopes)
			handled("abstract sockets", cfg.Scoped&ll.ScopeAbstractUnixSocket != 0, abiScopes)
			if network == "on" {
				if cfg.HandledAccessNet != 0 {
					t.Errorf("version %d takes the network away unasked", abi)
				}
				continue
			}
			handled("TCP", cfg.HandledAccessNet&ll.AccessNetConnectTCP != 0, abiTCP)
			handled("UDP", cfg.HandledAccessNet&ll.AccessNetConnectSendUDP != 0, abiUDP)
		}
	}
}

func TestNoRuleMakesDeviceNodes(t *testing.T) {
	for _, r := range []rights{mayRead, mayList, mayWrite, mayUse, mayControl, mayShare} {
		if got := (pathRule{Rights: r}).access(); got == 0 || got&(ll.AccessFSMakeBlock|ll.AccessFSMakeChar) != 0 {
			t.Errorf("%s is %v", r, got)
		}
	}
	if got := (pathRule{Rights: "all"}).access(); got != 0 {
		t.Errorf("an unknown word allows %v", got)
	}
}

func TestSharedMemoryIsLeftOutWhereSecretsLieInIt(t *testing.T) {
	for _, tt := range []struct {
		secrets []string
		want    bool
	}{{nil, true}, {[]string{"/dev/shm/me/.ssh"}, false}, {[]string{"/home/me/.ssh"}, true}} {
		c := &confinement{}
		addSystem(c, view{}, nil, tt.secrets)
		if got := slices.Contains(c.may(sharedMemory), mayShare); got != tt.want {
			t.Errorf("with %v: %v", tt.secrets, got)
		}
	}
}

func TestGapsAreSaidOfEachKernel(t *testing.T) {
	has := func(abi int, network, word string) bool {
		return strings.Contains(strings.Join(landlockGaps(abi, network), "\n"), word)
	}
	for _, tt := range []struct {
		abi     int
		network string
		word    string
		want    bool
	}{
		{abiScopes - 1, "on", "can signal your other processes", true},
		{abiScopes, "on", "can signal your other processes", false},
		{abiUnix - 1, "on", "cannot use unix sockets", true},
		{abiUnix, "on", "cannot use unix sockets", false},
		{abiScopes, "none", "not even loopback", true},
		{abiScopes, "on", "reach it as you do", true},
		{newestABI, "on", "/tmp", true},
		{newestABI, "on", "memory", true},
		{newestABI, "none", "System V shared memory", true},
		{newestABI, "on", "POSIX message queues", true},
	} {
		if got := has(tt.abi, tt.network, tt.word); got != tt.want {
			t.Errorf("version %d, network %s: %q is said: %v", tt.abi, tt.network, tt.word, got)
		}
	}
}

func TestAConfinementKeepsAnyPathAndRefusesWhatItIsNot(t *testing.T) {
	odd := raw("/a b/\xff\xfe/\n%2F\"*")
	c := &confinement{ABI: minABI, Network: "on", Socket: odd, Argv: []raw{odd, "*", ""}, Rules: []pathRule{{Path: odd, Rights: mayRead}}}
	s, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := decodeConfinement(s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "{", "{}", `{"abi":2,"network":"on","socket":"/s","argv":["/a"]}`, `{"abi":6,"network":"maybe","socket":"/s","argv":["/a"]}`} {
		if _, err := decodeConfinement(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// withoutLandlock makes a runtime that finds a kernel without landlock.
func withoutLandlock(o Options) *Runtime {
	r := New(o)
	r.tryLandlock = func(context.Context, string) (int, *sandbox.Error) {
		return 0, &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "this kernel has no landlock", Hint: "use another"}
	}
	return r
}

func TestAutoFallsBackToLandlockThenAsksBeforeItGoesWithout(t *testing.T) {
	environ := []string{"PATH=" + t.TempDir(), "HOME=" + t.TempDir()}
	if got := open(t, Options{Environ: environ}, nil).Info().Isolation; got != Landlock {
		t.Errorf("without bubblewrap: %s", got)
	}
	r := withoutLandlock(Options{Environ: environ})
	spec := sandbox.Spec{TreeDir: t.TempDir()}
	_, err := r.Open(testContext(t), spec)
	var e *sandbox.Error
	if !errors.As(err, &e) || e.Kind != sandbox.NeedsConfirmation || !strings.Contains(e.Message, "bubblewrap is not installed") || !strings.Contains(e.Message, "no landlock") || e.Hint == "" {
		t.Fatalf("got %+v", err)
	}
	if list, _ := os.ReadDir(spec.TreeDir); len(list) != 0 {
		t.Errorf("something was made: %v", list)
	}
	spec.Unconfined = true
	box, err := r.Open(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close(testContext(t))
	if info := box.Info(); info.Isolation != None || !strings.Contains(info.Gaps[0], "no landlock") {
		t.Errorf("got %+v", info)
	}
}

func TestLandlockIsHeldOrRefused(t *testing.T) {
	_, err := withoutLandlock(Options{Isolation: Landlock}).Open(testContext(t), sandbox.Spec{TreeDir: t.TempDir(), Unconfined: true})
	var e *sandbox.Error
	if !errors.As(err, &e) || e.Kind != sandbox.RuntimeUnavailable || e.Hint == "" {
		t.Errorf("got %+v", err)
	}
}
