package emu_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	// What Modal's tests are built with, so that this module knows their versions.
	_ "github.com/fxamacker/cbor/v2"
	_ "github.com/golang-jwt/jwt/v5"
	_ "github.com/modal-labs/modal-client/go"
	_ "github.com/onsi/gomega"
	_ "go.uber.org/goleak"

	"modalemu/emu"
)

// leftOut are live tests of sandboxes that need what the emulator does not play.
var leftOut = map[string]string{
	"TestSandboxExperimentalDocker":                    "containers in a sandbox",
	"TestSandboxWithTunnels":                           "ports that the internet reaches",
	"TestSandboxReloadVolumes":                         "commits of volumes",
	"TestCreateSandboxWithProxy":                       "proxies",
	"TestSandboxWithReadOnlyVolume":                    "a shell whose status for a redirection that fails is Alpine's",
	"TestSidecar":                                      "further containers beside a sandbox", // all of them
	"TestClosingAPartlyReadStreamLeavesNothingRunning": ownWorker,
	"TestExecOutputArrivesInFull":                      ownWorker,
	"TestExecOutputIsRequestedByTheFirstRead":          ownWorker,
	"TestSandboxLogsAreRequestedByTheFirstRead":        ownWorker,
	"Mock": "they answer themselves", // those whose name ends so
}

const ownWorker = "a worker of its own answers it, and it counts goroutines of the tests beside it"

const live = "github.com/modal-labs/modal-client/go/test"

// The SDK for Go ships with the tests that its makers run against the real Modal. What
// concerns sandboxes has to hold here too.
func TestModalsOwnLiveTestsOfSandboxesPass(t *testing.T) {
	s := start(t)
	s.AddSecret("libmodal", "libmodal-test-secret", map[string]string{"a": "1", "b": "2", "c": "hello world"})
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	binary := filepath.Join(t.TempDir(), "live.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, live).CombinedOutput(); err != nil {
		t.Fatalf("building Modal's live tests: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(ctx, binary, "-test.count=1", "-test.timeout=7m", "-test.run", "^("+strings.Join(liveTests(t, ctx, binary), "|")+")$")
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "MODAL_SERVER_URL="+s.URL(), "MODAL_TOKEN_ID=ak-emulator", "MODAL_TOKEN_SECRET=as-emulator", "MODAL_CONFIG_PATH=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("PASS")) {
		t.Errorf("nothing ran:\n%s", out)
	}
}

var aboutSandboxes = regexp.MustCompile(`Sandbox|Stdin|Stdio|Exec|Detach|Idle|Terminated|Closing|SnapshotFilesystem|IgnoreLarge`)

func liveTests(t *testing.T, ctx context.Context, binary string) []string {
	t.Helper()
	list := exec.CommandContext(ctx, binary, "-test.list", ".")
	list.Dir = t.TempDir()
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range strings.Fields(string(out)) {
		_, without := leftOut[name]
		if without || strings.HasPrefix(name, "TestSidecar") || strings.HasSuffix(name, "Mock") || !aboutSandboxes.MatchString(name) {
			continue
		}
		names = append(names, name)
	}
	if len(names) < 50 {
		t.Fatalf("only %d live tests were found: %v", len(names), names)
	}
	return names
}

func start(t *testing.T) *emu.Server {
	t.Helper()
	s, err := emu.Start(emu.Options{Dir: t.TempDir(), FSTools: program, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
