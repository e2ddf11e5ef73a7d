package workspace

import (
	"path"
	"regexp"
	"strings"
)

// secretName is a kind of file that holds credentials. Pattern is in lower case: a
// name, with path.Match's wildcards, or the end of a path, or a folder when it ends
// in a slash. If Holds is given, only a file with matching content counts: such
// names are mostly harmless.
type secretName struct {
	Pattern string
	Why     string
	Holds   *regexp.Regexp
}

// secretNames never go up unless they are tracked or included by name.
var secretNames = []secretName{
	{".env", "environment of an application, usually with passwords", nil},
	{".env.*", "environment of an application, usually with passwords", nil},
	{"*.env", "environment of an application, usually with passwords", nil},
	{".envrc", "direnv's environment, often with tokens", regexp.MustCompile(`(?i)(secret|token|passw|api_?key|credential)`)},
	{".dev.vars", "Wrangler's local secrets", nil},
	{".secrets", "secrets of act and other local runners", nil},
	{"secrets.json", "secrets by name", nil},
	{"secrets.toml", "secrets by name", nil},
	{"secrets.yaml", "secrets by name", nil},
	{"secrets.yml", "secrets by name", nil},
	{"secrets.ini", "secrets by name", nil},
	{"secrets.properties", "secrets by name", nil},
	{"secrets.txt", "secrets by name", nil},
	{"*.pem", "private key or certificate with key", nil},
	{"*.key", "private key", nil},
	{"*.ppk", "PuTTY private key", nil},
	{"*.p8", "private key (PKCS #8)", nil},
	{"*.p12", "key store (PKCS #12)", nil},
	{"*.pfx", "key store (PKCS #12)", nil},
	{"*.jks", "Java key store", nil},
	{"*.keystore", "Java or Android key store", nil},
	{"*.kdbx", "KeePass data base", nil},
	{"*.agekey", "age identity", nil},
	{"id_rsa*", "SSH private key", nil},
	{"id_dsa*", "SSH private key", nil},
	{"id_ecdsa*", "SSH private key", nil},
	{"id_ed25519*", "SSH private key", nil},
	{"*.gpg-key", "GnuPG private key", nil},
	{"secring.*", "GnuPG private key ring", nil},
	{".netrc", "passwords by host", nil},
	{"_netrc", "passwords by host", nil},
	{".git-credentials", "git's stored passwords", nil},
	{".pgpass", "PostgreSQL passwords", nil},
	{".my.cnf", "MySQL password", nil},
	{".htpasswd", "password hashes", nil},
	{".pypirc", "package index passwords", nil},
	{".boto", "cloud storage keys", nil},
	{".s3cfg", "cloud storage keys", nil},
	{".modal.toml", "Modal tokens", nil},
	{".vault-token", "Vault token", nil},
	{".vault_pass*", "Ansible vault password", nil},
	{"credentials", "credentials by name (aws, cargo, gem)", nil},
	{"credentials.toml", "credentials by name (cargo)", nil},
	{"credentials.yaml", "credentials by name", nil},
	{"credentials.yml", "credentials by name", nil},
	{"credentials.ini", "credentials by name", nil},
	{"credentials.txt", "credentials by name", nil},
	{"credentials.csv", "cloud access keys as downloaded", nil},
	{"credentials.db", "cloud credentials", nil},
	{"*credentials*.json", "cloud service credentials", nil},
	{"*service?account*.json", "cloud service account key", nil},
	{"client_secret*.json", "OAuth client secret", nil},
	{"master.key", "Rails master key", nil},
	{"*.tfstate", "Terraform state, which holds secrets in clear", nil},
	{"*.tfstate.*", "Terraform state, which holds secrets in clear", nil},
	{"*.tfvars", "Terraform values, often secret", nil},
	{"*.tfvars.json", "Terraform values, often secret", nil},
	{"kubeconfig", "Kubernetes credentials", nil},
	{"*.kubeconfig", "Kubernetes credentials", nil},
	{"*.ovpn", "VPN profile with key", nil},
	{".ssh/", "SSH keys and configuration", nil},
	{".aws/", "AWS credentials", nil},
	{".gnupg/", "GnuPG keys", nil},
	{".kube/config", "Kubernetes credentials", nil},
	{".docker/config.json", "registry passwords", nil},
	{".config/gcloud/", "Google Cloud credentials", nil},
	{".azure/", "Azure credentials", nil},
	{".npmrc", "npm token", regexp.MustCompile(`(?i)_auth(token)?\s*=|_password\s*=`)},
	{".yarnrc", "npm token", regexp.MustCompile(`(?i)_auth(token)?|_password`)},
	{".yarnrc.yml", "npm token", regexp.MustCompile(`(?i)npmAuth(Token|Ident)\s*:`)},
	{"pip.conf", "package index password", regexp.MustCompile(`://[^/\s:@]+:[^/\s@]+@`)},
	{"nuget.config", "package feed password", regexp.MustCompile(`(?i)password`)},
	{"local.properties", "local keys of an Android project", regexp.MustCompile(`(?i)(secret|token|passw|api_?key)`)},
}

// harmlessNames are excepted from secretNames: templates and public halves of keys.
var harmlessNames = []string{
	"*.example", "*.sample", "*.template", "*.tmpl", "*.dist", "*.defaults", "*.schema", "*.pub",
	"*.example.*", "*.sample.*", "*.template.*",
}

// secretFinder looks names up in secretNames, the exact ones without a search.
type secretFinder struct {
	exact    map[string]*secretName
	patterns []*secretName // with a wildcard in the name
	paths    []*secretName // of more than one component, or a folder
}

func newSecretFinder() *secretFinder {
	f := &secretFinder{exact: map[string]*secretName{}}
	for i := range secretNames {
		switch s := &secretNames[i]; {
		case strings.Contains(s.Pattern, "/"):
			f.paths = append(f.paths, s)
		case strings.ContainsAny(s.Pattern, "*?["):
			f.patterns = append(f.patterns, s)
		default:
			f.exact[s.Pattern] = s
		}
	}
	return f
}

// find gives the kind of secret that a path's name stands for, nil when it is none.
// With Holds set, the content decides.
func (f *secretFinder) find(p string) *secretName {
	p = strings.ToLower(p)
	name := path.Base(p)
	found := f.exact[name]
	for _, s := range f.patterns {
		if found != nil {
			break
		}
		if ok, _ := path.Match(s.Pattern, name); ok {
			found = s
		}
	}
	if found != nil && matchAny(harmlessNames, name) {
		found = nil
	}
	for _, s := range f.paths {
		if found != nil {
			break
		}
		if below(p, s.Pattern) {
			found = s
		}
	}
	return found
}

// below reports whether p ends in pattern, or lies in it when it is a folder.
func below(p, pattern string) bool {
	p = "/" + p
	if strings.HasSuffix(pattern, "/") {
		return strings.Contains(p, "/"+pattern)
	}
	return strings.HasSuffix(p, "/"+pattern)
}

func matchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}
