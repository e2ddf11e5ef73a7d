package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"glue-lsp/sandbox"
)

func TestDoctorOpensNothingThatConfinesNothingUnlessSomebodyAgreed(t *testing.T) {
	for _, agreed := range []bool{false, true} {
		ran := filepath.Join(t.TempDir(), "ran")
		shell := filepath.Join(t.TempDir(), "bin") // with a program of the workspace's that a shell would find
		put(t, filepath.Join(shell, "git"), "#!/bin/sh\n[ -z \"$TMPDIR\" ] || : > "+ran+"\necho git\n")
		r := New(Options{Environ: []string{"HOME=" + t.TempDir(), "PATH=" + shell + ":/usr/bin:/bin"}, Bubblewrap: "/nonexistent"})
		r.tryLandlock = func(context.Context, string) (int, *sandbox.Error) {
			return 0, &sandbox.Error{Kind: sandbox.RuntimeUnavailable, Op: "open", Message: "no landlock", Err: errors.New("none")}
		}
		checks := r.Checks(testContext(t), sandbox.Spec{Unconfined: agreed})
		i := slices.IndexFunc(checks, func(c sandbox.Check) bool { return c.Name == "local sandbox" })
		if i < 0 || (checks[i].Status == "ok") != agreed || !agreed && checks[i].Hint == "" {
			t.Errorf("agreed %v: %+v", agreed, checks)
		}
		if _, err := os.Stat(ran); (err == nil) != agreed {
			t.Errorf("agreed %v, and inside ran: %v", agreed, err)
		}
	}
}

func TestDoctorLeavesNothingBehind(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	root := dependencies(t)
	for _, isolation := range isolations {
		r := New(Options{Isolation: isolation})
		checks := r.Checks(testContext(t), sandbox.Spec{HostRoot: root, Lend: func(context.Context) ([]string, error) { return []string{"node_modules"}, nil }})
		if slices.ContainsFunc(checks, func(c sandbox.Check) bool { return c.Name == "local sandbox" && c.Status != "ok" }) {
			t.Errorf("%s: %+v", isolation, checks)
		}
		if left, err := filepath.Glob(filepath.Join(temp, "glue-doctor-*")); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", isolation, left, err)
		}
	}
}
