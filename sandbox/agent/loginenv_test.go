package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"glue-lsp/sandbox"
)

// withProfile gives a client whose login shell reads the profile.
func withProfile(t *testing.T, profile string, env ...string) *Client {
	t.Helper()
	home := t.TempDir()
	write(t, filepath.Join(home, ".bash_profile"), profile, 0o644)
	c, _ := connect(t, func(a *Args) { a.NoLogin = false }, append([]string{"HOME=" + home}, env...)...)
	return c
}

func TestCommandsGetTheLoginShellsEnvironment(t *testing.T) {
	c := withProfile(t, "export FROM_PROFILE='a b\nc'\nNOT_EXPORTED=x\n")
	got := run(t, c, sandbox.ExecRequest{Command: `printf '%s|%s' "$FROM_PROFILE" "$NOT_EXPORTED"`})
	if got.out != "a b\nc|" {
		t.Errorf("got %q", got.out)
	}
}

func TestTheImagesPATHStaysInFrontOfTheProfiles(t *testing.T) {
	image := t.TempDir()
	c := withProfile(t, "PATH=/profile/bin:/usr/bin:/bin\n", "PATH="+image+":"+os.Getenv("PATH"))
	got := run(t, c, sandbox.ExecRequest{Command: `printf %s "$PATH"`})
	dirs := strings.Split(got.out, ":")
	if dirs[0] != image || dirs[len(dirs)-1] != "/profile/bin" {
		t.Errorf("PATH is %q", got.out)
	}
	if strings.Count(":"+got.out+":", ":/usr/bin:") > strings.Count(":"+os.Getenv("PATH")+":", ":/usr/bin:") {
		t.Errorf("PATH names folders again: %q", got.out)
	}
}

func TestWhatAProfilePrintsOrLeavesRunningDoesNoHarm(t *testing.T) {
	for name, profile := range map[string]string{
		"output":     "echo noise; echo noise >&2; printf 'A=1\\0B=2\\0\\0'; export X=1\n",
		"background": "export X=1\nsleep 1000 &\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := withProfile(t, profile)
			if got := run(t, c, sandbox.ExecRequest{Command: `printf %s "$X"`}); got.out != "1" || got.err != "" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAProfileThatFailsLeavesThePlainEnvironment(t *testing.T) {
	for name, profile := range map[string]string{"exit": "exit 3\n", "syntax": "if then\n", "kill": "kill -9 $$\n"} {
		t.Run(name, func(t *testing.T) {
			c := withProfile(t, profile, "PLAIN=plain")
			if got := run(t, c, sandbox.ExecRequest{Command: `printf %s "$PLAIN"`}); got.out != "plain" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestAProfileThatHangsIsGivenUp(t *testing.T) {
	c := withProfile(t, "sleep 1000\n", "PLAIN=plain")
	if got := run(t, c, sandbox.ExecRequest{Command: `printf %s "$PLAIN"`}); got.out != "plain" {
		t.Errorf("got %+v", got)
	}
}

func TestTheShellsOwnVariablesAreNotPassedOn(t *testing.T) {
	c := withProfile(t, "", "SHLVL=7", "OLDPWD=/old")
	got := run(t, c, sandbox.ExecRequest{Argv: []string{"env"}})
	for _, name := range []string{"SHLVL=", "OLDPWD=", "_="} {
		if strings.Contains("\n"+got.out, "\n"+name) {
			t.Errorf("%s is there:\n%s", name, got.out)
		}
	}
	if !strings.Contains(got.out, "PWD="+c.Cwd()) {
		t.Errorf("PWD is not the folder:\n%s", got.out)
	}
}
