package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/sandbox"
)

// userHome makes a HOME with tools and secrets, and an environment with it.
func userHome(t *testing.T, files map[string]string) (home string, environ []string) {
	t.Helper()
	home = filepath.Join(t.TempDir(), "user")
	for name, content := range files {
		put(t, filepath.Join(home, name), content)
	}
	return home, []string{"HOME=" + home, "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// secretFiles are files of a HOME that nothing in a sandbox may read.
var secretFiles = []string{
	".ssh/id_ed25519", ".aws/credentials", ".config/gcloud/credentials.db", ".azure/token", ".kube/config", ".docker/config.json", ".netrc",
	".git-credentials", ".gnupg/secring.gpg", ".modal.toml", ".npmrc", ".pypirc", ".cargo/credentials.toml", ".cargo/credentials", ".mozilla/firefox/x/logins.json",
	".config/google-chrome/Default/Login Data", ".local/share/keyrings/login.keyring", ".password-store/x.gpg", ".bash_history", ".config/gh/hosts.yml",
	".claude/credentials.json", ".codex/auth.json", ".glue/sessions/s/session.json", ".m2/settings.xml", ".terraform.d/credentials.tfrc.json", "private.txt",
	".gem/credentials", ".config/git/credentials", ".local/share/opencode/auth.json",
}

// toolFiles are files of a HOME that commands need.
var toolFiles = []string{
	".pyenv/versions/3.12/bin/python3.12", ".nvm/versions/node/v22/bin/node22", ".rustup/toolchains/x/bin/rustc-x", ".cargo/bin/tool-c", ".local/bin/tool-l",
	".sdkman/candidates/java/bin/java-s", ".asdf/shims/tool-a", "go/bin/tool-g", ".local/share/pnpm/tool-p", ".volta/bin/tool-v",
}

func TestX6_SecretsCannotBeReadInside(t *testing.T) {
	files := map[string]string{}
	for _, name := range secretFiles {
		files[name] = "SECRET-" + name
	}
	for _, name := range toolFiles {
		files[name] = "#!/bin/sh\necho tool\n"
	}
	home, environ := userHome(t, files)
	// PATH and tool variables must not open a way to them.
	environ = append(
		environ, "GNUPGHOME="+home+"/.gnupg", "JAVA_HOME="+home+"/.ssh", "GRADLE_HOME="+home, "PNPM_HOME="+filepath.Dir(home), "NVM_DIR=/",
		"PATH="+strings.Join([]string{home, home + "/.ssh", home + "/.config", home + "/.claude", filepath.Dir(home), "/usr/bin", "/bin"}, ":"),
	)
	box := open(t, Options{Isolation: Bubblewrap, Environ: environ, Home: filepath.Join(home, ".glue")}, nil)
	for _, name := range secretFiles {
		out, _, status := run(t, box, sandbox.ExecRequest{Argv: []string{"cat", filepath.Join(home, name)}})
		if status == 0 || out != "" {
			t.Errorf("%s can be read: %q", name, out)
		}
	}
	// Nor anywhere else.
	if out := sh(t, box, `grep -rl SECRET- / --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr --exclude=agent 2>/dev/null; true`); out != "" {
		t.Errorf("secrets are found in:\n%s", out)
	}
	for _, name := range toolFiles {
		if out := sh(t, box, `"`+filepath.Join(home, name)+`"`); out != "tool\n" {
			t.Errorf("%s: %q", name, out)
		}
	}
}

func TestX6_TheEnvironmentIsAnAllowList(t *testing.T) {
	_, environ := userHome(t, nil)
	secrets := []string{
		"AWS_SECRET_ACCESS_KEY=S", "GITHUB_TOKEN=S", "MODAL_TOKEN_SECRET=S", "SSH_AUTH_SOCK=/run/S", "GPG_AGENT_INFO=S", "ANTHROPIC_API_KEY=S", "NPM_TOKEN=S",
		"DBUS_SESSION_BUS_ADDRESS=S", "XDG_RUNTIME_DIR=/run/user/S", "DISPLAY=S", "WAYLAND_DISPLAY=S", "DOCKER_HOST=S", "KUBECONFIG=S", "VAULT_TOKEN=S",
		"HTTPS_PROXY=http://user:S@proxy:1", "GOPROXY=https://user:S@proxy", "GLUE_HOME=/S", "LD_PRELOAD=/S", "BASH_ENV=/S", "GIT_ASKPASS=S",
	}
	environ = append(environ, secrets...)
	environ = append(environ, "LC_ALL=C", "TZ=UTC", "HTTP_PROXY=http://proxy:1")
	for _, isolation := range isolations {
		box := open(t, Options{Isolation: isolation, Environ: environ}, func(s *sandbox.Spec) { s.Env = map[string]string{"MINE": "m", "TZ": "Asia/Tokyo"} })
		out, _, _ := run(t, box, sandbox.ExecRequest{Argv: []string{"env"}})
		env := strings.Split(out, "\n")
		for _, kv := range secrets {
			name, _, _ := strings.Cut(kv, "=")
			if slices.ContainsFunc(env, func(e string) bool { return e == kv || (name != "GOPROXY" && strings.HasPrefix(e, name+"=")) }) {
				t.Errorf("%s: %s is passed on", isolation, kv)
			}
		}
		for _, want := range []string{"LC_ALL=C", "TZ=Asia/Tokyo", "MINE=m", "HTTP_PROXY=http://proxy:1", "LANG=C.UTF-8"} {
			if !slices.Contains(env, want) {
				t.Errorf("%s: %s is missing", isolation, want)
			}
		}
	}
}

func TestASettingsFileIsShownOnlyWithoutSecrets(t *testing.T) {
	home, _ := userHome(t, map[string]string{
		".cargo/config.toml": "[build]\nrustflags = []\n", ".condarc": "channels:\n  - https://user:pw@conda\n", ".bunfig.toml": "[install.scopes]\ntoken = \"x\"\n",
		".tool-versions": "nodejs 22\n",
	})
	if diff := cmp.Diff([]string{".cargo/config.toml", ".tool-versions"}, shownOfHome(home)); diff != "" {
		t.Error(diff)
	}
}

func TestTheMachineIsReadOnlyAndOtherPlacesAreEmpty(t *testing.T) {
	box := open(t, Options{Isolation: Bubblewrap}, nil)
	for _, root := range shownRoots {
		if _, err := os.Stat(root); err == nil {
			if _, _, status := run(t, box, sandbox.ExecRequest{Command: "touch " + root + "/glue-test"}); status == 0 {
				t.Errorf("%s can be written", root)
			}
		}
	}
	for _, root := range []string{"/srv", "/mnt", "/media"} {
		if out := sh(t, box, "ls -A "+root); out != "" {
			t.Errorf("%s holds %q", root, out)
		}
	}
	if out := sh(t, box, "ls -A /run /var/tmp /tmp"); strings.Contains(out, "docker") || strings.Contains(out, "dbus") {
		t.Errorf("sockets are there: %q", out)
	}
	for _, file := range hiddenFiles {
		if out := sh(t, box, "cat "+file+" 2>/dev/null; true"); out != "" {
			t.Errorf("%s can be read", file)
		}
	}
	for _, dir := range hiddenFolders {
		if out := sh(t, box, "ls -A "+dir+" 2>/dev/null; true"); out != "" {
			t.Errorf("%s holds %q", dir, out)
		}
	}
	sh(t, box, "echo a >/tmp/a && echo b >/var/tmp/b && echo c >~/c && echo d >/workspace/d && echo e >/dev/shm/e && echo f >/dev/null")
}

func TestTheKernelsSettingsAreReadOnlyAlsoForRoot(t *testing.T) {
	box := open(t, Options{Isolation: Bubblewrap}, nil)
	// What is written is what is there, so that a failure of this test changes nothing.
	for _, name := range []string{"kernel/core_pattern", "kernel/panic", "vm/overcommit_memory", "fs/suid_dumpable"} {
		_, errs, status := run(t, box, sandbox.ExecRequest{Argv: []string{
			"sh", "-c", `v=$(cat /proc/sys/$0) && printf '%s' "$v" > /proc/sys/$0`, name,
		}})
		if status == 0 || !strings.Contains(errs, "Read-only file system") {
			t.Errorf("%s: status %d, %s", name, status, errs)
		}
	}
}

func TestOtherProcessesAreOutOfSight(t *testing.T) {
	box := open(t, Options{Isolation: Bubblewrap}, nil)
	if out := sh(t, box, "ls -d /proc/[0-9]* | wc -l"); len(strings.TrimSpace(out)) > 1 {
		t.Errorf("%s processes are seen", strings.TrimSpace(out))
	}
	if out := sh(t, box, `grep -E '^(CapEff|NoNewPrivs)' /proc/self/status`); !strings.Contains(out, "0000000000000000") || !strings.Contains(out, "NoNewPrivs:\t1") {
		t.Errorf("privileges: %s", out)
	}
}

func TestTheNetworkCanBeTakenAway(t *testing.T) {
	box := open(t, Options{Isolation: Bubblewrap}, func(s *sandbox.Spec) { s.Network = "none" })
	if out := sh(t, box, "cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '"); out != "lo\n" {
		t.Errorf("interfaces: %q", out)
	}
	outside, _ := os.Readlink("/proc/self/ns/net")
	if inside := strings.TrimSpace(sh(t, box, "readlink /proc/self/ns/net")); inside == outside || inside == "" {
		t.Errorf("the network is %q inside and %q outside", inside, outside)
	}
}

func TestToolsThatTheEnvironmentNamesAreShown(t *testing.T) {
	base := t.TempDir()
	home := filepath.Join(base, "user")
	put(t, filepath.Join(home, "custom", "bin", "tool-x"), "#!/bin/sh\necho x\n")
	put(t, filepath.Join(home, "custom", "private"), "SECRET")
	environ := []string{"HOME=" + home, "PATH=" + home + "/custom/bin:/usr/bin:/bin"}
	box := open(t, Options{Isolation: Bubblewrap, Environ: environ}, nil)
	if out := sh(t, box, "tool-x"); out != "x\n" {
		t.Errorf("got %q", out)
	}
	if out := sh(t, box, "cat "+home+"/custom/private 2>/dev/null; true"); out != "" {
		t.Errorf("more than the PATH's folder is shown: %q", out)
	}
}

func TestCertificatesThatTheEnvironmentNamesCanBeRead(t *testing.T) {
	home, environ := userHome(t, map[string]string{"corporate/ca.pem": "CERTIFICATE"})
	environ = append(environ, "SSL_CERT_FILE="+home+"/corporate/ca.pem")
	box := open(t, Options{Isolation: Bubblewrap, Environ: environ}, nil)
	if out := sh(t, box, `cat "$SSL_CERT_FILE"; ls ~/corporate`); out != "CERTIFICATEca.pem\n" {
		t.Errorf("got %q", out)
	}
}

func TestWhatPATHMayNotShow(t *testing.T) {
	for _, p := range []string{"/", "/mnt/c/Windows", "/run/user/1000/bin", "/home/other/bin", "/tmp", "/proc/self", "/home/user", "/home"} {
		if mayShow(p, "/home/user") {
			t.Errorf("%s would be shown", p)
		}
	}
}

func TestAHomeUnderAShownFolderIsHidden(t *testing.T) {
	covered := view{binds: []bind{{from: "/opt", at: "/opt"}, {at: "/opt/people/me"}, {from: "/opt/people/me/.pyenv", at: "/opt/people/me/.pyenv"}}}
	for p, want := range map[string]bool{"/opt/x": true, "/opt/people/me/.ssh": false, "/opt/people/me/.pyenv/x": true, "/home/x": false} {
		if got := covered.covers(p); got != want {
			t.Errorf("%s is shown: %v", p, got)
		}
	}
}
