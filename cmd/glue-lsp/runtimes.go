package main

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"glue-lsp/config"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/local"
	"glue-lsp/sandbox/modal"
)

// runtimeNames are the runtimes that every build has.
func runtimeNames() []string { return []string{"local", "modal"} }

// newRuntimes makes them. settings and folders (the workspace's) are asked each time they
// count, since an editor can change them.
func newRuntimes(home, self string, settings func() *config.Settings, folders func() []string, log func(string, ...any)) map[string]sandbox.Runtime {
	environ := os.Environ()
	return map[string]sandbox.Runtime{
		"local": local.New(local.Options{AgentPath: self, Isolation: settings().LocalIsolation, Home: home, Environ: environ}),
		"modal": modal.Following(func() modal.Options {
			o := modalOptions(home, environ, settings().Modal, log)
			o.Avoid = workingTrees(folders())
			return o
		}),
	}
}

// modalOptions are the settings under modal.
func modalOptions(home string, environ []string, m config.Modal, log func(string, ...any)) modal.Options {
	return modal.Options{
		Home: home, Environ: environ, Log: log,
		Python: m.PythonPath, CLI: m.CLI,
		App: m.AppName, Environment: m.Environment, Image: m.Image,
		Timeout: time.Duration(m.SandboxTimeoutSeconds) * time.Second, IdleTimeout: time.Duration(m.IdleTimeoutSeconds) * time.Second, DeleteOnClose: m.DeleteOnClose,
		CPU: m.CPU, MemoryMB: m.MemoryMB, GPU: m.GPU, Region: m.Region,
		Secrets: m.Secrets, Volumes: m.Volumes, Env: m.Env, Network: m.Network,
		Transport: m.Transport,
	}
}

// workingTrees are folders, and the repositories that they are in.
func workingTrees(folders []string) []string {
	out := slices.Clone(folders)
	for _, dir := range folders {
		if root, ok := repositoryOf(dir); ok && root != dir {
			out = append(out, root)
		}
	}
	return out
}

// repositoryOf is the nearest folder up from dir that holds .git.
func repositoryOf(dir string) (root string, ok bool) {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir, true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", false
		}
		dir = up
	}
}

// currentFolder is where a command line is: whatever it is about, programs that lie here
// are not for this process.
func currentFolder() []string {
	here, err := os.Getwd()
	if err != nil {
		return nil
	}
	if _, ok := repositoryOf(here); !ok {
		return nil // it may be anything, such as HOME
	}
	return []string{here}
}
