package modal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
)

// fails opens a sandbox, which must fail with an error of a kind that says what is wrong
// and what to do.
func fails(t *testing.T, r *Runtime, change func(*sandbox.Spec), kind sandbox.Kind, says, hint string) {
	t.Helper()
	spec := sandbox.Spec{Session: "s1", Dir: t.TempDir()}
	if change != nil {
		change(&spec)
	}
	sb, err := r.Open(within(t), spec)
	if err == nil {
		_ = sb.Close(within(t))
		t.Fatal("it opened")
	}
	var e *sandbox.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got %#v, want kind %s", err, kind)
	}
	if !strings.Contains(e.Message, says) || !strings.Contains(e.Hint, hint) || hint != "" && e.Hint == "" {
		t.Errorf("got %q, hint %q\nwant %q, hint %q", e.Message, e.Hint, says, hint)
	}
	for _, noise := range []string{"Traceback", "GRPCError", "grpclib", "<Status"} {
		if strings.Contains(e.Error(), noise) {
			t.Errorf("nobody can read %q", e)
		}
	}
}

func TestWhatModalRefusesIsAnErrorByKindThatSaysWhatToDo(t *testing.T) {
	cloud := modaltest.Start(t)
	r := newRuntime(t, cloud, nil)
	for _, tc := range []struct {
		name       string
		faults     map[string]any
		kind       sandbox.Kind
		says, hint string
	}{
		{"a quota", map[string]any{"maxSandboxes": 1}, sandbox.RuntimeUnavailable, "", "glue-lsp sessions list"},
		{"trouble of Modal's own", map[string]any{"createFails": "the scheduler is upset"}, sandbox.Unavailable, "the scheduler is upset", "status.modal.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cloud.Faults(t, nil)
			if tc.faults["maxSandboxes"] != nil {
				openBox(t, r, nil)
			}
			cloud.Faults(t, tc.faults)
			fails(t, r, nil, tc.kind, tc.says, tc.hint)
			cloud.Faults(t, nil)
		})
	}
	if stats := cloud.Stats(t); stats.Alive > 0 {
		t.Errorf("%d sandboxes are left", stats.Alive)
	}
}

func TestAnImageThatDoesNotBuildIsAnErrorWithWhatTheBuildSaid(t *testing.T) {
	cloud := modaltest.Start(t)
	const said = "E: Unable to locate package gti"
	cloud.Faults(t, map[string]any{"imageFails": said})
	fails(t, newRuntime(t, cloud, nil), nil, sandbox.RuntimeUnavailable, said, "modal.image")
	if stats := cloud.Stats(t); len(stats.Sandboxes) > 0 {
		t.Errorf("%d sandboxes were started", len(stats.Sandboxes))
	}
}

func TestWhatIsOutOfRangeIsNamedByItsSettingAndNothingIsStarted(t *testing.T) {
	cloud := modaltest.Start(t)
	spec := func(d time.Duration) func(*sandbox.Spec) { return func(s *sandbox.Spec) { s.Timeout = d } }
	fails(t, newRuntime(t, cloud, nil), spec(25*time.Hour), sandbox.InvalidParams, "modal.sandbox_timeout_seconds", "")
	fails(t, newRuntime(t, cloud, nil), spec(time.Millisecond), sandbox.InvalidParams, "modal.sandbox_timeout_seconds", "")
	fails(t, newRuntime(t, cloud, func(o *Options) { o.Volumes = []string{"data"} }), nil, sandbox.InvalidParams, "modal.volumes", "")
	if stats := cloud.Stats(t); len(stats.Sandboxes) > 0 {
		t.Errorf("%d sandboxes were started", len(stats.Sandboxes))
	}
}

func TestASecretThatModalDoesNotHaveIsNamedWithItsSetting(t *testing.T) {
	cloud := modaltest.Shared(t)
	fails(t, newRuntime(t, cloud, func(o *Options) { o.Secrets = []string{"no-such-secret"} }), nil, sandbox.RuntimeUnavailable, "no-such-secret", "modal.secrets")
}

func TestATokenThatIsMadeAfterARefusalCountsAtTheNextTry(t *testing.T) {
	cloud := modaltest.Shared(t)
	file := filepath.Join(t.TempDir(), "modal.toml")
	write := func(secret string) {
		t.Helper()
		if err := os.WriteFile(file, []byte("[default]\ntoken_id = \""+cloud.TokenID+"\"\ntoken_secret = \""+secret+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("as-wrong")
	r := newRuntime(t, cloud, func(o *Options) {
		var environ []string
		for _, kv := range o.Environ {
			if !strings.HasPrefix(kv, "MODAL_TOKEN_") {
				environ = append(environ, kv)
			}
		}
		o.Environ = append(environ, "MODAL_CONFIG_PATH="+file)
	})
	fails(t, r, nil, sandbox.NotAuthenticated, "", "modal token new")
	write(cloud.TokenSecret)
	openBox(t, r, nil)
}

func TestARefusedTokenEndsNoSidecarThatHoldsASandbox(t *testing.T) {
	cloud := modaltest.Start(t)
	r := newRuntime(t, cloud, nil)
	sb := openBox(t, r, nil)
	cloud.Faults(t, map[string]any{"refuseToken": true})
	fails(t, r, nil, sandbox.NotAuthenticated, "", "modal token new")
	cloud.Faults(t, nil)
	select {
	case <-sb.Done():
		t.Errorf("the other sandbox ended: %v", sb.Err())
	default:
	}
	if _, err := sb.Stat(within(t), "/"); err != nil {
		t.Error(err)
	}
}

func TestJoiningASandboxThatIsGoneOrWasNeverThereSaysSo(t *testing.T) {
	cloud := modaltest.Start(t)
	r := newRuntime(t, cloud, nil)
	dead := openBox(t, r, nil)
	was := dead.State()
	cloud.End(t, dead.Info().ID, "terminated")
	<-dead.Done()
	foreign := strings.ReplaceAll(string(was), dead.Info().ID, "sb-0000000000000000000000")
	for name, tc := range map[string]struct {
		state []byte
		kind  sandbox.Kind
	}{
		"a sandbox that was ended":    {was, sandbox.ExecutorDead},
		"a sandbox that nobody knows": {[]byte(foreign), sandbox.ExecutorDead},
		"the record of another thing": {[]byte(`{"version":1}`), sandbox.InvalidParams},
		"no record":                   {[]byte("\x00"), sandbox.InvalidParams},
	} {
		_, err := r.Attach(within(t), sandbox.Spec{Session: "s2", Dir: t.TempDir()}, tc.state)
		var e *sandbox.Error
		if !errors.As(err, &e) || e.Kind != tc.kind || e.Message == "" {
			t.Errorf("%s: got %v, want kind %s", name, err, tc.kind)
		}
	}
}
