package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// workspaceRoot is where a confined sandbox has its tree.
const workspaceRoot = "/workspace"

// Where a sandbox has what belongs to the agent.
const (
	insideRun   = "/run/glue/socket"
	insideAgent = "/run/glue/agent"
)

// shownRoots are the folders of the machine that a sandbox sees, read-only. Where one
// is a link (/bin on most systems), it is the same link inside. Everything else under
// / is not there.
var shownRoots = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu", "/sys",
	// Tools of systems that keep them elsewhere.
	"/home/linuxbrew/.linuxbrew", "/run/current-system", "/var/lib/snapd/snap", "/snap",
}

// emptyRoots exist and hold nothing, so that programs that look there find what they
// would on a fresh machine.
var emptyRoots = []string{"/home", "/root", "/srv", "/mnt", "/media", "/var", "/run"}

// neverShown are roots below which nothing is shown, even if PATH or another variable
// names it: other file systems (with WSL, all of Windows), sockets, other users.
var neverShown = []string{"/mnt", "/media", "/run", "/tmp", "/proc", "/sys", "/dev", "/home", "/root", "/boot", "/var/run", "/var/tmp"}

// hiddenFiles are masked in folders that are shown. An ordinary user cannot read them
// anyhow, root could.
var hiddenFiles = []string{
	"/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/security/opasswd", "/etc/sudoers", "/etc/krb5.keytab",
	"/etc/machine-id", "/etc/git-credentials", "/etc/npmrc", "/etc/docker/key.json", "/etc/netrc", "/etc/apt/auth.conf",
}

// hiddenFolders are the same for folders.
var hiddenFolders = []string{
	"/etc/ssl/private", "/etc/sudoers.d", "/etc/ssh", "/etc/wireguard", "/etc/openvpn", "/etc/kubernetes", "/etc/rancher", "/etc/letsencrypt",
	"/etc/NetworkManager", "/etc/wpa_supplicant", "/etc/docker", "/etc/containers", "/etc/pki/tls/private", "/etc/cni", "/etc/ppp",
	"/etc/netplan", "/etc/vpnc", "/etc/libvirt", "/etc/samba", "/etc/credstore", "/etc/credstore.encrypted", "/etc/apt/auth.conf.d",
	"/sys/kernel/debug", "/sys/kernel/tracing", "/sys/firmware", "/sys/fs/bpf",
}

// secretsOfHome are never in a sandbox, whatever else names them. They are not in
// homeTools; the list is a second bolt, for PATH entries and tool variables that lead
// into HOME.
var secretsOfHome = []string{
	".ssh", ".aws", ".azure", ".kube", ".docker", ".gnupg", ".netrc", ".git-credentials", ".modal.toml", ".npmrc", ".pypirc", ".config",
	".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials", ".m2", ".gradle", ".terraform.d", ".vault-token", ".password-store",
	".mozilla", ".thunderbird", ".local/share/keyrings", ".local/share/kwalletd", ".claude", ".codex", ".gemini", ".glue", ".bash_history",
	".zsh_history", ".psql_history", ".pgpass", ".my.cnf", ".s3cfg", ".boto", ".sops", ".age", ".jfrog", ".oci", ".databricks", ".snowflake",
	"snap", ".var",
}

// view is what a sandbox is shown of the machine, worked out from the tables for one
// environment.
type view struct {
	binds    []bind   // read-only, parents first
	links    []bind   // symlinks: from is what the link holds
	folders  []string // empty ones
	maskFile []string
	maskDir  []string
}

// bind shows the host's path `from` at `at`; without a from it is an empty folder.
type bind struct{ from, at string }

// machineView works out what is shown. home is the user's; hidden are more paths that
// must not be seen.
func machineView(environ []string, home string, hidden []string) view {
	var v view
	v.folders = emptyRoots
	for _, root := range shownRoots {
		v.show(root)
	}
	v.showResolver()
	if home != "" && v.covers(home) {
		v.binds = append(v.binds, bind{at: home})
	}
	for _, name := range shownOfHome(home) {
		p := filepath.Join(home, name)
		v.binds = append(v.binds, bind{from: p, at: p})
	}
	for _, p := range namedByEnviron(environ) {
		if mayShow(p, home) && !v.visible(p) {
			v.binds = append(v.binds, bind{from: p, at: p})
		}
	}
	for _, p := range certificates(environ) {
		if !v.visible(p) {
			v.binds = append(v.binds, bind{from: p, at: p})
		}
	}
	slices.SortStableFunc(v.binds, func(a, b bind) int { return strings.Compare(a.at, b.at) })
	for _, p := range hidden {
		if v.covers(p) {
			v.maskDir = append(v.maskDir, p)
		}
	}
	for _, name := range secretsOfHome {
		if p := filepath.Join(home, name); home != "" && v.covers(p) {
			v.mask(p)
		}
	}
	for _, p := range append(slices.Clone(hiddenFiles), hiddenFolders...) {
		v.mask(p)
	}
	return v
}

// show adds a root that exists, as a link where it is one.
func (v *view) show(p string) {
	info, err := os.Lstat(p)
	if err != nil {
		return
	}
	if info.Mode()&os.ModeSymlink != 0 {
		if target, err := os.Readlink(p); err == nil {
			v.links = append(v.links, bind{from: target, at: p})
			// What it leads to must be there too, if no other root has it.
			if real, err := filepath.EvalSymlinks(p); err == nil && !v.covers(real) && !slices.ContainsFunc(shownRoots, func(r string) bool { return within(r, real) }) {
				v.binds = append(v.binds, bind{from: real, at: real})
			}
		}
		return
	}
	v.binds = append(v.binds, bind{from: p, at: p})
}

// showResolver shows the file that /etc/resolv.conf leads to, which systemd and others
// keep in /run.
func (v *view) showResolver() {
	real, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err == nil && !v.covers(real) {
		v.binds = append(v.binds, bind{from: real, at: real})
	}
}

// covers reports whether a path would be seen through a bind: the deepest one counts.
func (v *view) covers(p string) bool {
	deepest := bind{}
	for _, b := range v.binds {
		if within(b.at, p) && len(b.at) >= len(deepest.at) {
			deepest = b
		}
	}
	return deepest.from != ""
}

// visible is covers for a path that may lead through one of the links.
func (v *view) visible(p string) bool {
	return v.covers(p) || slices.ContainsFunc(v.links, func(l bind) bool { return within(l.at, p) })
}

// mask hides a path if it is there.
func (v *view) mask(p string) {
	info, err := os.Stat(p)
	if err != nil || !v.covers(p) {
		return
	}
	// A mount point cannot be a link: what it leads to is masked.
	if real, err := filepath.EvalSymlinks(p); err == nil {
		p = real
	}
	if info.IsDir() {
		v.maskDir = append(v.maskDir, p)
	} else {
		v.maskFile = append(v.maskFile, p)
	}
}

// namedByEnviron gives folders that PATH and the variables of tools name.
func namedByEnviron(environ []string) []string {
	var out []string
	add := func(p string) {
		if !filepath.IsAbs(p) {
			return
		}
		p = filepath.Clean(p)
		if info, err := os.Stat(p); err == nil && info.IsDir() && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	for _, name := range toolVars {
		add(envOf(environ, name))
	}
	for _, p := range filepath.SplitList(envOf(environ, "PATH")) {
		add(p)
		// A tool's libraries stand beside its bin.
		if dir := filepath.Dir(p); filepath.Base(p) == "bin" && strings.Count(dir, "/") >= 2 && !within(envOf(environ, "HOME"), dir) {
			add(dir)
		}
	}
	slices.Sort(out)
	return out
}

// mayShow reports whether a folder that the environment names may be shown.
func mayShow(p, home string) bool {
	real, err := filepath.EvalSymlinks(p)
	if err != nil {
		return false
	}
	for _, q := range []string{p, real} {
		if q == "/" || (home != "" && within(q, home)) {
			return false
		}
		if home != "" && within(home, q) {
			for _, secret := range secretsOfHome {
				s := filepath.Join(home, secret)
				if within(s, q) || within(q, s) {
					return false
				}
			}
			continue
		}
		for _, root := range neverShown {
			if within(root, q) || within(q, root) {
				return false
			}
		}
	}
	return true
}

// certificates gives the files of certificates that variables name.
func certificates(environ []string) []string {
	var out []string
	for _, name := range certificateVars {
		p := envOf(environ, name)
		if !filepath.IsAbs(p) {
			continue
		}
		info, err := os.Stat(p)
		if err == nil && info.Mode().IsRegular() && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}
