package emu_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
)

func TestASandboxSeesNoFilesOfTheHost(t *testing.T) {
	t.Setenv("EMULATOR_MARKER", "marker-7391")
	c := dial(t, start(t))
	b := c.create(c.definition())
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{home, t.TempDir(), os.TempDir()} {
		f, err := os.CreateTemp(place, "marker-7391-")
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		t.Cleanup(func() { os.Remove(f.Name()) })
		if out, _ := b.sh("ls -d '" + f.Name() + "' 2>&1"); !strings.Contains(out, "No such file") {
			t.Errorf("%s can be seen: %q", f.Name(), out)
		}
	}
	if out, _ := b.sh("ls -A /workspace /root /home /tmp"); strings.Contains(out, "marker-7391") || !strings.HasPrefix(out, "/home:\n\n/root:\n\n/tmp:\n\n/workspace:\n") {
		t.Errorf("the sandbox did not begin empty: %q", out)
	}
	if out, _ := b.sh("env; cat /proc/*/environ 2>/dev/null"); strings.Contains(out, "marker-7391") {
		t.Error("the host's environment can be seen")
	}
	for _, place := range []string{"/usr/bin", "/usr/lib", "/etc", "/usr/local", "/__modal/host"} {
		_, code := b.sh("mkdir " + place + "/marker-7391 2>/dev/null")
		if _, err := os.Stat(filepath.Join(place, "marker-7391")); code == 0 && err == nil {
			t.Errorf("%s of the host can be written", place)
			os.Remove(filepath.Join(place, "marker-7391"))
		}
	}
}

func TestASandboxSeesNothingOfAnother(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	first, second := c.create(c.definition()), c.create(c.definition())
	first.sh("for d in /tmp /workspace /root /opt /usr/local /dev/shm; do echo mine >$d/marker-7391; done")
	if out, _ := second.sh("find / -xdev -name 'marker-7391*' 2>/dev/null; ls /dev/shm /usr/local"); strings.Contains(out, "marker") {
		t.Errorf("files of another sandbox: %q", out)
	}
	first.start("long", "sleep", "7391")
	if out, _ := second.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"); strings.Contains(out, "7391") {
		t.Errorf("processes of another sandbox: %q", out)
	}
	if out, _ := first.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"); !strings.Contains(out, "sleep 7391") {
		t.Errorf("its own process is not seen: %q", out)
	}
	third := c.create(c.definition())
	_, err := c.router.TaskExecPoll(first.ctx(), pb.TaskExecPollRequest_builder{TaskId: third.task, ExecId: "long"}.Build())
	if err == nil {
		t.Error("one sandbox's token opens another")
	}
}

func TestASandboxSeesAndSignalsNoProcessOfTheHost(t *testing.T) {
	t.Parallel()
	c := dial(t, start(t))
	b := c.create(c.definition())
	victim := exec.Command("sleep", "600")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = victim.Process.Kill()
		_ = victim.Wait()
	})
	script := fmt.Sprintf("test -e /proc/%d && tr '\\0' ' ' </proc/%d/cmdline; kill -9 %d 2>/dev/null", victim.Process.Pid, victim.Process.Pid, victim.Process.Pid)
	if out, _ := b.sh(script); strings.Contains(out, "sleep 600") {
		t.Error("a process of the host can be seen")
	}
	if out, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(victim.Process.Pid)).Output(); err != nil || strings.HasPrefix(string(out), "Z") {
		t.Error("a process of the host was killed")
	}
}

func TestWithoutANetworkNothingIsReached(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	c := dial(t, start(t))
	def := c.definition()
	script := fmt.Sprintf("bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d' 2>/dev/null", lis.Addr().(*net.TCPAddr).Port)
	if _, code := c.create(def).sh(script); code != 0 {
		t.Error("with a network this machine's servers stand for those of the internet")
	}
	def.NetworkAccess = pb.NetworkAccess_builder{NetworkAccessType: pb.NetworkAccess_BLOCKED}.Build()
	b := c.create(def)
	if _, code := b.sh(script); code == 0 {
		t.Error("a blocked network reaches this machine")
	}
	if !b.stats().BlockNetwork {
		t.Error("that it is blocked is not counted")
	}
}
