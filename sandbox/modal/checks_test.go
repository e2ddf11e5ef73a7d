package modal

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
)

// promised is how long doctor may take without a network.
const promised = 10 * time.Second

// look runs doctor and gives its lines by name.
func look(t testing.TB, r *Runtime) map[string]sandbox.Check {
	t.Helper()
	out := map[string]sandbox.Check{}
	for _, c := range r.Checks(within(t), sandbox.Spec{}) {
		if c.Status == "fail" && c.Hint == "" {
			t.Errorf("%s fails without saying what to do: %s", c.Name, c.Detail)
		}
		if _, twice := out[c.Name]; twice {
			t.Errorf("two lines are called %s", c.Name)
		}
		out[c.Name] = c
	}
	return out
}

func statuses(checks map[string]sandbox.Check) map[string]string {
	out := map[string]string{}
	for name, c := range checks {
		out[name] = c.Status
	}
	return out
}

func TestDoctorAsksModalWhoseTheTokenIsAndStartsNoSandbox(t *testing.T) {
	cloud := modaltest.Start(t)
	r := newRuntime(t, cloud, func(o *Options) {
		o.App, o.CLI, o.Environment = "mine", filepath.Join(filepath.Dir(o.Python), "modal"), "staging"
		o.Python, o.DeleteOnClose, o.Timeout = "", false, 10*time.Minute
	})
	checks := look(t, r)
	want := map[string]string{
		"modal command": "ok", "modal python": "ok", "modal package": "ok", "modal token": "ok",
		"modal environment": "ok", "modal transport": checks["modal transport"].Status, "modal sandboxes": "ok",
	}
	if d := cmp.Diff(want, statuses(checks)); d != "" {
		t.Errorf("lines (-want +got):\n%s\n%+v", d, checks)
	}
	for name, parts := range map[string][]string{
		"modal python":      {modaltest.Python(t), "the interpreter of the modal command"},
		"modal package":     {"modal 1."},
		"modal token":       {"emulated-workspace", "from MODAL_TOKEN_ID and MODAL_TOKEN_SECRET", "127.0.0.1"},
		"modal environment": {"staging"},
		"modal sandboxes":   {"app mine", "after 10m,", "delete_on_close"},
	} {
		for _, part := range parts {
			if !strings.Contains(checks[name].Detail, part) {
				t.Errorf("%s says %q, want %q in it", name, checks[name].Detail, part)
			}
		}
	}
	stats := cloud.Stats(t)
	if len(stats.Sandboxes) > 0 || stats.Calls["AppGetOrCreate"] > 0 {
		t.Errorf("doctor left something in Modal: %d sandboxes, calls %v", len(stats.Sandboxes), stats.Calls)
	}
}

func TestDoctorOnAServerThatKnowsOnlyWhatSandboxesNeed(t *testing.T) {
	cloud := modaltest.Start(t)
	for _, faults := range []map[string]any{
		{"coreOnly": true},
		{"unimplemented": []string{"WorkspaceNameLookup", "EnvironmentGetOrCreate", "TokenInfoGet"}},
	} {
		cloud.Faults(t, faults)
		if c := look(t, newRuntime(t, cloud, nil))["modal token"]; c.Status != "ok" {
			t.Errorf("%v: %+v", faults, c)
		}
	}
}

func TestDoctorNamesWhatIsWrongWithTheTokenAndTheCommandThatHelps(t *testing.T) {
	cloud := modaltest.Start(t)
	without := func(o *Options) {
		o.Environ = append(o.Environ, "MODAL_TOKEN_ID=", "MODAL_TOKEN_SECRET=")
	}
	for _, tc := range []struct {
		name, detail string
		change       func(*Options)
		faults       map[string]any
	}{
		{"wrong", "the token of MODAL_TOKEN_ID and MODAL_TOKEN_SECRET is refused", func(o *Options) {
			o.Environ = append(o.Environ, "MODAL_TOKEN_SECRET=as-marked0wrong0secret")
		}, nil},
		{"revoked", "revoked", nil, map[string]any{"refuseToken": true}},
		{"none", "Token missing", without, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cloud.Faults(t, tc.faults)
			c := look(t, newRuntime(t, cloud, tc.change))["modal token"]
			if c.Status != "fail" || !strings.Contains(c.Detail, tc.detail) || !strings.Contains(c.Hint, "modal token new") {
				t.Errorf("got %+v, want %q", c, tc.detail)
			}
			if strings.Contains(c.Detail+c.Hint, "marked0wrong") {
				t.Errorf("the token is in %+v", c)
			}
		})
	}
}

func TestDoctorAnswersInTimeWithoutANetwork(t *testing.T) {
	t.Parallel()
	// It takes connections and says nothing, as a network that swallows packets does.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for name, tc := range map[string]struct{ url, why string }{
		"silent":  {"http://" + silent.Addr().String(), "no answer from 127.0.0.1"},
		"refused": {"http://127.0.0.1:1", "Connection refused"},
		"unnamed": {"https://modal.invalid", "modal.invalid cannot be resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRuntime(t, modaltest.Shared(t), func(o *Options) { o.Environ = append(o.Environ, "MODAL_SERVER_URL="+tc.url) })
			began := time.Now()
			c := look(t, r)["modal token"]
			if took := time.Since(began); took > promised {
				t.Errorf("it took %s, want %s at most", took, promised)
			}
			if c.Status != "fail" || !strings.Contains(c.Detail, tc.why) || !strings.Contains(c.Hint, "network") {
				t.Errorf("got %+v, want %q", c, tc.why)
			}
		})
	}
}

func TestDoctorAnswersInTimeWhereInterpretersHang(t *testing.T) {
	t.Parallel()
	p := newPythons(t)
	p.script("a/python3", "#!/bin/sh\nsleep 600\n")
	p.script("b/python3", "#!/bin/sh\nsleep 600 &\nsleep 600\n")
	p.script("c/python3", "#!/bin/sh\nwhile :; do echo noise; done\n")
	o := p.options("a", "b", "c", "/usr/bin", "/bin")
	o.Home = p.at("glue")
	began := time.Now()
	c := look(t, New(o))["modal python"]
	if took := time.Since(began); took > promised {
		t.Errorf("it took %s, want %s at most", took, promised)
	}
	if c.Status != "fail" || !strings.Contains(c.Detail, "a/python3 does not run: it does not answer in time") {
		t.Errorf("got %+v", c)
	}
}

func TestDoctorNamesAPythonThatCannotBeUsed(t *testing.T) {
	r := New(Options{Home: t.TempDir(), Python: filepath.Join(t.TempDir(), "none"), CLI: "/no/modal", Environ: os.Environ()})
	checks := look(t, r)
	if c := checks["modal python"]; c.Status != "fail" || !strings.Contains(c.Detail, "MODAL_PYTHON") {
		t.Errorf("got %+v", c)
	}
	if c := checks["modal command"]; c.Status != "warn" || c.Hint == "" {
		t.Errorf("got %+v", c)
	}
	if _, asked := checks["modal token"]; asked {
		t.Errorf("a token was asked for without a Python: %+v", checks)
	}
}

func TestAnEnvironmentThatIsNotThereIsAFailureWithItsCommand(t *testing.T) {
	got := account{TokenValid: true, Environment: "my env", EnvironmentMissing: true}.checks()
	want := []sandbox.Check{
		{Name: "modal token", Status: "ok", Detail: "valid"},
		{
			Name: "modal environment", Status: "fail", Detail: `there is no environment "my env"`,
			Hint: "run: modal environment create 'my env', or correct modal.environment (MODAL_ENVIRONMENT)",
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
