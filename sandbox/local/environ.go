package local

import (
	"regexp"
	"slices"
	"sort"
	"strings"
)

// passedOn are the variables that a sandbox gets from the server's environment. All
// others stay outside: a token may hide in any of them.
var passedOn = []string{
	"PATH", "LANG", "LANGUAGE", "TERM", "COLORTERM", "TZ", "HOME", "USER", "LOGNAME", "SHELL", "NO_COLOR", "CI",
	// Tools: where they are and which version counts.
	"GOROOT", "GOTOOLCHAIN", "GOFLAGS", "GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB", "GOINSECURE", "GOEXPERIMENT", "CGO_ENABLED",
	"JAVA_HOME", "M2_HOME", "MAVEN_HOME", "GRADLE_HOME", "ANDROID_HOME", "ANDROID_SDK_ROOT", "DOTNET_ROOT", "NVM_DIR", "NVM_BIN",
	"VOLTA_HOME", "FNM_DIR", "N_PREFIX", "PNPM_HOME", "BUN_INSTALL", "DENO_INSTALL", "COREPACK_ENABLE_STRICT",
	"PYENV_ROOT", "PYENV_VERSION", "PYENV_SHELL", "UV_PYTHON", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "CONDA_EXE", "CONDA_PREFIX",
	"RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "RUST_BACKTRACE", "RBENV_ROOT", "RBENV_VERSION", "GEM_HOME", "GEM_PATH", "SDKMAN_DIR",
	"ASDF_DIR", "ASDF_DATA_DIR", "MISE_DATA_DIR", "NIX_PATH", "NIX_PROFILES", "LD_LIBRARY_PATH", "PKG_CONFIG_PATH", "CC", "CXX",
	"DEBIAN_FRONTEND",
	// How the network is reached.
	"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"GIT_SSL_CAINFO", "PIP_CERT", "PIP_INDEX_URL", "NPM_CONFIG_REGISTRY", "CARGO_HTTP_CAINFO", "PIP_FIND_LINKS",
}

// passedOnPrefixes are families of variables that a sandbox gets.
var passedOnPrefixes = []string{"LC_"}

// certificateVars name files or folders that a sandbox must then be able to read.
var certificateVars = []string{
	"SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
	"PIP_CERT", "CARGO_HTTP_CAINFO",
}

// toolVars name folders of tools that a sandbox must then be able to read.
var toolVars = []string{
	"GOROOT", "JAVA_HOME", "M2_HOME", "MAVEN_HOME", "GRADLE_HOME", "ANDROID_HOME", "ANDROID_SDK_ROOT", "DOTNET_ROOT", "NVM_DIR", "VOLTA_HOME",
	"FNM_DIR", "N_PREFIX", "PNPM_HOME", "PYENV_ROOT", "CONDA_PREFIX", "RUSTUP_HOME", "RBENV_ROOT", "SDKMAN_DIR", "ASDF_DIR", "ASDF_DATA_DIR",
	"MISE_DATA_DIR",
}

// userinfo finds a URL with a name or password in it, such as a proxy's.
var userinfo = regexp.MustCompile(`://[^/\s]*@`)

// environment chooses a sandbox's variables; `fixed` are the sandbox's own and `over`
// the caller's, which count most.
func environment(environ []string, over map[string]string, fixed ...string) []string {
	vars := map[string]string{}
	for _, kv := range environ {
		name, value, ok := strings.Cut(kv, "=")
		if !ok || !isPassedOn(name) || userinfo.MatchString(value) {
			continue
		}
		vars[name] = value
	}
	for _, kv := range fixed {
		name, value, _ := strings.Cut(kv, "=")
		vars[name] = value
	}
	for name, value := range over {
		vars[name] = value
	}
	out := make([]string, 0, len(vars))
	for name, value := range vars {
		out = append(out, name+"="+value)
	}
	sort.Strings(out)
	return out
}

func isPassedOn(name string) bool {
	if slices.Contains(passedOn, name) {
		return true
	}
	return slices.ContainsFunc(passedOnPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// envOf is the last value of a variable.
func envOf(environ []string, name string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(environ[i], "="); ok && k == name {
			return v
		}
	}
	return ""
}
