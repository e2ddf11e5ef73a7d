package modal

import (
	"slices"
	"testing"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
)

// Other servers that speak Modal's protocol offer less than Modal does. What has no need
// of more than they have must work there.
func TestAServerWithOnlyTheCallsThatSandboxesNeedIsEnough(t *testing.T) {
	for _, transport := range []string{Agent, Direct} {
		t.Run(transport, func(t *testing.T) {
			cloud := modaltest.Start(t)
			cloud.Faults(t, map[string]any{"coreOnly": true})
			r := newRuntime(t, cloud, func(o *Options) {
				o.Transport, o.CPU, o.MemoryMB, o.Region, o.Env = transport, 1, 512, "us", map[string]string{"WORD": "w"}
			})
			sb := openBox(t, r, nil)
			if got := output(t, sb, `echo "$WORD"`); got != "w\n" {
				t.Errorf("a command printed %q", got)
			}
			if ids := owned(t, r); !slices.Contains(ids, sb.Info().ID) {
				t.Errorf("its sandbox %s is not among those that are listed: %v", sb.Info().ID, ids)
			}
			if bad := failures(r.Checks(within(t), sandbox.Spec{Dir: t.TempDir()})); len(bad) != 0 {
				t.Errorf("the doctor complains: %+v", bad)
			}
			again, err := r.Attach(within(t), sandbox.Spec{Session: "s1", Dir: t.TempDir()}, sb.State())
			if err != nil {
				t.Fatalf("joining it again: %v", err)
			}
			if got := output(t, again, "echo joined"); got != "joined\n" {
				t.Errorf("a command after joining printed %q", got)
			}
			if err := again.Close(within(t)); err != nil {
				t.Errorf("ending it: %v", err)
			}
			if alive := cloud.Stats(t).Alive; alive != 0 {
				t.Errorf("%d sandboxes are alive", alive)
			}
		})
	}
}

func owned(t *testing.T, r *Runtime) []string {
	t.Helper()
	all, err := r.Owned(within(t))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, o := range all {
		ids = append(ids, o.ID)
	}
	return ids
}

func failures(checks []sandbox.Check) []sandbox.Check {
	return slices.DeleteFunc(checks, func(c sandbox.Check) bool { return c.Status != "fail" })
}

func TestASandboxWithAGPUIsOneLikeAnyOther(t *testing.T) {
	cloud := modaltest.Shared(t)
	r := newRuntime(t, cloud, func(o *Options) { o.GPU = "T4" })
	sb := openBox(t, r, nil)
	if got := output(t, sb, "echo works"); got != "works\n" {
		t.Errorf("a command printed %q", got)
	}
	if !slices.Contains(owned(t, r), sb.Info().ID) {
		t.Error("it is not listed")
	}
	if err := sb.Close(within(t)); err != nil {
		t.Error(err)
	}
	if seen := cloud.Stats(t).Sandbox(t, sb.Info().ID); seen.Alive {
		t.Error("it outlives its end")
	}
}
