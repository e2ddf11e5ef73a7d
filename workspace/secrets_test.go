package workspace

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/tree"
)

func TestX6_SecretsAreKnownByName(t *testing.T) {
	find := newSecretFinder()
	for _, name := range []string{
		".env", ".env.local", "app/.env.production", "prod.env", "server.pem", "tls/server.KEY", "id_rsa", "id_rsa_work", "id_ed25519",
		"cert.p12", "cert.pfx", "release.jks", ".netrc", ".git-credentials", ".pypirc", ".aws/credentials", ".aws/config", "home/.ssh/known_hosts",
		"credentials.json", "gcp-credentials-prod.json", "my-service-account.json", "service_account_prod.json", "client_secret_123.json",
		"secrets.yaml", "config/secrets.yml", "terraform.tfstate", "prod.tfstate.backup", "prod.tfvars", "kubeconfig", ".kube/config", ".docker/config.json",
		".config/gcloud/access_tokens.db", ".gnupg/private-keys-v1.d/x.key", ".vault-token", "passwords.kdbx", "config/master.key", ".npmrc", ".envrc",
	} {
		if find.find(name) == nil {
			t.Errorf("%s is not taken for a secret", name)
		}
	}
	for _, name := range []string{
		"a.txt", ".env.example", ".env.sample", "env.template", ".env.local.example", "id_rsa.pub", "server.pem.example", "environment.ts", "keys.go",
		"credentials.go", "secrets.py", "src/secrets/mod.rs", "docker/config.json", "config.json", "monkey.txt", "ssh/config", "docs/credentials.md", "x.keys",
	} {
		if s := find.find(name); s != nil {
			t.Errorf("%s is taken for a secret: %s", name, s.Why)
		}
	}
	for _, s := range secretNames {
		if s.Why == "" {
			t.Errorf("%s has no reason", s.Pattern)
		}
	}
}

func TestW4_X6_SecretsStayUnlessTrackedOrIncludedByName(t *testing.T) {
	h := newRepo(t, ".env", "TRACKED=1\n", ".gitignore", "ignored.env\n.npmrc\nlocal/\n")
	h.write("fresh/.env", "UNTRACKED=1\n")
	h.write("key.pem", "PRIVATE KEY")
	h.write("wanted.pem", "PUBLIC CERTIFICATE")
	h.write("ignored.env", "IGNORED=1\n")
	h.write("local/settings.json", "{}")
	h.write("local/.env", "LOCAL=1\n")
	h.write("pkg/.yarnrc.yml", "npmAuthToken: abc\n")
	h.write("lib/.yarnrc.yml", "nodeLinker: pnp\n")
	w, s := h.open(func(o *Options) { o.Include = []string{"wanted.pem", "ignored.env", "local/"} }), h.store()
	snap := h.snap(w, s)
	want := map[string]string{
		".env": "TRACKED=1\n", ".gitignore": "ignored.env\n.npmrc\nlocal/\n", "wanted.pem": "PUBLIC CERTIFICATE", "ignored.env": "IGNORED=1\n",
		"local/settings.json": "{}", "lib/.yarnrc.yml": "nodeLinker: pnp\n",
	}
	if diff := cmp.Diff(want, contents(t, s, snap.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	left := map[string]tree.Reason{"fresh/.env": tree.Secret, "key.pem": tree.Secret, "local/.env": tree.Secret, "pkg/.yarnrc.yml": tree.Secret}
	if diff := cmp.Diff(left, skippedPaths(snap)); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}

	h.write("lib/.yarnrc.yml", "npmAuthToken: abc\n")
	snap = h.snap(w, s)
	if skippedPaths(snap)["lib/.yarnrc.yml"] != tree.Secret || contents(t, s, snap.Tree)["lib/.yarnrc.yml"] != "nodeLinker: pnp\n" {
		t.Error("a token was written into a file that went up before, and it goes up too")
	}
}

func TestW4_IncludeLetsIgnoredFilesThroughByName(t *testing.T) {
	for _, c := range []struct {
		name    string
		include []string
		want    []string
	}{
		{"nothing", nil, nil},
		{"a name at the top", []string{"local.json"}, []string{"local.json"}},
		{"a name anywhere but in ignored folders", []string{"*.json"}, []string{"local.json"}},
		{"a folder", []string{"gen"}, []string{"gen/a.json", "gen/deep/b.json", "gen/c.txt"}},
		{"a folder, but not one file", []string{"gen/**", "!gen/c.txt"}, []string{"gen/a.json", "gen/deep/b.json"}},
		{"files in a folder", []string{"gen/*.json"}, []string{"gen/a.json"}},
		{"files anywhere in a folder", []string{"/gen/**/*.json"}, []string{"gen/a.json", "gen/deep/b.json"}},
		{"anywhere", []string{"**/b.json"}, []string{"gen/deep/b.json"}},
		{"one file", []string{"gen/deep/b.json"}, []string{"gen/deep/b.json"}},
		{"what lies in a folder of any name", []string{"*/c.txt"}, []string{"gen/c.txt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newRepo(t, ".gitignore", "gen/\n*.json\n")
			for _, name := range []string{"local.json", "gen/a.json", "gen/deep/b.json", "gen/c.txt"} {
				h.write(name, "x")
			}
			w, s := h.open(func(o *Options) { o.Include = c.include }), h.store()
			want := map[string]string{".gitignore": "gen/\n*.json\n"}
			for _, name := range c.want {
				want[name] = "x"
			}
			if diff := cmp.Diff(want, contents(t, s, h.snap(w, s).Tree)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
		})
	}
}
