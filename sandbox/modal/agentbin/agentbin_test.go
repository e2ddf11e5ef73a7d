package agentbin

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"
)

// packed gives builds with one program for arm64, known by the hash of content.
func packed(t *testing.T, content, hashOf string) (fstest.MapFS, string) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(hashOf))
	hash := hex.EncodeToString(sum[:])
	return fstest.MapFS{"builds/agent-linux-arm64-" + hash + ".gz": {Data: b.Bytes()}, "builds/README.md": {}}, hash
}

func noOwn() (Program, error) { return Program{Own: true, path: "self"}, nil }

func TestAPackedProgramIsKnownByItsHashAndUnpackedOnce(t *testing.T) {
	builds, hash := packed(t, "program", "program")
	p, err := find(builds, "arm64", noOwn)
	if err != nil || p.Hash != hash || p.Own {
		t.Fatalf("%+v, %v", p, err)
	}
	dir := filepath.Join(t.TempDir(), "agents")
	for range 2 {
		file, err := p.File(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != "program" {
			t.Fatalf("%q, %v", got, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info, err)
		}
		// What is there already is looked at: it must not be anything else.
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("another"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestAPackedProgramWithOtherContentIsRefused(t *testing.T) {
	builds, _ := packed(t, "program", "another")
	p, err := find(builds, "arm64", noOwn)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := p.File(dir); err == nil {
		t.Error("it was unpacked")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestWithoutPackedProgramsThisOneServesItsOwnArchitectureAlone(t *testing.T) {
	none := fstest.MapFS{"builds/README.md": {}}
	if _, err := find(none, "riscv64", noOwn); !errors.Is(err, ErrNone) {
		t.Errorf("got %v", err)
	}
	if runtime.GOOS != "linux" {
		return // it could not run in a sandbox
	}
	p, err := find(none, runtime.GOARCH, noOwn)
	if err != nil || !p.Own {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = ownProgram(); err != nil || len(p.Hash) != 64 {
		t.Errorf("%+v, %v", p, err)
	}
}

// agentLimit is a bound, not the goal, which is 4 MiB: each session on a new image sends
// as much.
const agentLimit = 9 << 19

func TestTheSmallAgentIsSmallAndNeedsNoLibrary(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		file := filepath.Join(t.TempDir(), "agent")
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", file, "glue-lsp/sandbox/agent/cmd/glue-agent")
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > agentLimit {
			t.Errorf("%s: %d bytes, more than %d: see what it imports", arch, info.Size(), agentLimit)
		}
		f, err := elf.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		libraries, err := f.ImportedLibraries()
		if err != nil || len(libraries) > 0 || f.Section(".interp") != nil {
			t.Errorf("%s: it needs %v, %v", arch, libraries, err)
		}
		f.Close()
	}
}
