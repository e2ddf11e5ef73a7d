package local

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// homeTools are what a sandbox sees, read-only, of the user's HOME: folders of
// compilers, interpreters and their managers. Whatever is not named here is not
// there. Where a manager keeps secrets or a cache beside its tools, only the tools
// are named. None is below .cache, such as Poetry's virtual environments: that folder is
// one that commands write and that lasts, in which nothing may be mounted (see dirs).
var homeTools = []string{
	// Python
	".pyenv", ".local/share/uv/python", ".local/share/uv/tools", ".local/share/pipx", ".local/share/virtualenvs", ".local/share/hatch",
	".local/share/pypoetry", ".local/pipx", ".local/lib", ".rye", ".pixi/bin", ".pixi/envs", "miniconda3", "anaconda3", "miniforge3", "mambaforge", "micromamba",
	// JavaScript
	".nvm", ".volta", ".fnm", ".local/share/fnm", ".nodenv", ".n", ".local/share/pnpm", ".bun/bin", ".deno/bin", ".npm-global", ".yarn/bin",
	// Go, Rust, C
	"go/bin", "sdk", ".goenv", ".gvm", ".rustup", ".cargo/bin", ".cargo/env", ".zig", ".local/share/zigup",
	// JVM, .NET, Dart, Swift
	".sdkman", ".jenv", ".jbang/bin", ".dotnet/sdk", ".dotnet/shared", ".dotnet/host", ".dotnet/packs", ".dotnet/dotnet", ".dotnet/tools", ".swiftly", ".local/share/swiftly",
	// Ruby, PHP, Haskell, OCaml, Lean, Julia, Elixir
	".rbenv", ".rvm", ".gem/ruby", ".phpenv", ".ghcup", ".cabal/bin", ".opam", ".elan", ".juliaup", ".kiex", ".mix", ".kerl",
	// For everything
	".asdf", ".local/share/mise", ".local/share/rtx", ".nix-profile", ".local/state/nix", ".linuxbrew", ".local/bin", "bin",
}

// homeSettings are files of HOME that builds depend on and that sometimes hold
// secrets: they are shown as long as they hold none of secretWords.
var homeSettings = []string{".cargo/config.toml", ".cargo/config", ".tool-versions", ".config/mise/config.toml", ".config/pip/pip.conf", ".bunfig.toml", ".condarc"}

// homeCaches are folders of HOME in which tools keep what they downloaded for every
// project: a sandbox reads the machine's and writes its own. Credentials stand beside
// them, but for cargoGit.
var homeCaches = []string{".cargo/registry", cargoGit, ".m2/repository", ".m2/wrapper", ".gradle/caches", ".gradle/wrapper", ".ivy2/cache", ".nuget/packages"}

// cargoGit are repositories that cargo cloned, with the addresses they came from.
const cargoGit = ".cargo/git"

// namesToken reports whether a repository below cargoGit names an address with a password
// or token in it. The user of ssh://git@host is none.
func namesToken(dir string) bool {
	for _, pattern := range []string{"db/*/config", "db/*/FETCH_HEAD", "checkouts/*/*/.git/config", "checkouts/*/*/.git/FETCH_HEAD"} {
		names, _ := filepath.Glob(filepath.Join(dir, pattern)) // only bad patterns are errors
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil || userinfo.Match(bytes.ReplaceAll(b, []byte("://git@"), []byte("://"))) {
				return true
			}
		}
	}
	return false
}

// secretWords in a settings file keep it out.
var secretWords = [][]byte{[]byte("token"), []byte("password"), []byte("secret"), []byte("_auth"), []byte("credential"), []byte("@")}

// maxSettings bounds what is looked through.
const maxSettings = 256 << 10

// secretFree reports whether a settings file may be shown.
func secretFree(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSettings {
		return false
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSettings))
	if err != nil {
		return false
	}
	return !holdsSecret(b)
}

// holdsSecret reports whether settings may hold a secret.
func holdsSecret(b []byte) bool {
	b = bytes.ToLower(b)
	return slices.ContainsFunc(secretWords, func(word []byte) bool { return bytes.Contains(b, word) })
}

// realHome is the user's HOME, if it is one to take tools from.
func realHome(environ []string) string {
	home := filepath.Clean(envOf(environ, "HOME"))
	if !filepath.IsAbs(home) || home == "/" {
		return ""
	}
	return home
}

// shownOfHome gives what of HOME is there and may be seen, relative to it.
func shownOfHome(home string) []string {
	if home == "" {
		return nil
	}
	var out []string
	for _, name := range homeTools {
		if _, err := os.Stat(filepath.Join(home, name)); err == nil {
			out = append(out, name)
		}
	}
	for _, name := range homeSettings {
		if secretFree(filepath.Join(home, name)) {
			out = append(out, name)
		}
	}
	return out
}

// linkToolchains lets a private HOME lead to the tools of the real one, for a
// sandbox that is not confined.
func linkToolchains(home, private string) error {
	to, err := openPrivate(private)
	if err != nil {
		return err
	}
	defer to.Close()
	for _, name := range shownOfHome(home) {
		if err := to.link(name, filepath.Join(home, name)); err != nil {
			return err
		}
	}
	return nil
}
