package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Type is a setting's type, by the names of JSON Schema where it has one.
type Type string

// The types of settings.
const (
	String    Type = "string"
	Integer   Type = "integer"
	Number    Type = "number"
	Boolean   Type = "boolean"
	Strings   Type = "array of strings"
	StringMap Type = "object of strings"
	Runners   Type = "array of runners"
)

// Setting is one row of the table. Key is the YAML key and the editor's key, dots
// separating levels.
type Setting struct {
	Key     string
	Env     string // environment variable, "" for none
	Type    Type
	Default any
	Enum    []string
	Min     float64 // of numbers; both zero is no bound
	Max     float64
	// UserOnly settings run a program, send data or open the network: a workspace's
	// value does not count.
	UserOnly bool
	Help     string

	set func(s *Settings, v any)
}

// Table gives every setting, in the order of the reference page.
func Table() []Setting {
	return []Setting{
		{
			Key: "runtime", Env: "GLUE_RUNTIME", Type: String, Default: "local", Enum: []string{"local", "modal"}, UserOnly: true,
			Help: "Where sandboxes run: on this machine, or in Modal's cloud.",
			set:  func(s *Settings, v any) { s.Runtime = v.(string) },
		},

		{
			Key: "local.isolation", Env: "GLUE_LOCAL_ISOLATION", Type: String, Default: "auto", Enum: []string{"auto", "bubblewrap", "landlock", "none"}, UserOnly: true,
			Help: "What confines commands on this machine. auto takes the strongest that works, and asks before it goes without; a named one that does not work is an error.",
			set:  func(s *Settings, v any) { s.LocalIsolation = v.(string) },
		},
		{
			Key: "local.network", Env: "GLUE_LOCAL_NETWORK", Type: String, Default: "on", Enum: []string{"on", "none"}, UserOnly: true,
			Help: "Whether commands in a local sandbox have a network. none is refused where it cannot be held.",
			set:  func(s *Settings, v any) { s.LocalNetwork = v.(string) },
		},

		{
			Key: "local.cache", Env: "GLUE_LOCAL_CACHE", Type: String, Default: "workspace", Enum: []string{"workspace", "session"}, UserOnly: true,
			Help: "Who shares ~/.cache of local sandboxes: all sessions of a folder, so that builds stay warm, or nobody. What a command leaves in a shared one, the next session's commands find.",
			set:  func(s *Settings, v any) { s.LocalCache = v.(string) },
		},

		{
			Key: "return.mode", Env: "GLUE_RETURN_MODE", Type: String, Default: "edits", Enum: []string{"edits", "disk", "branch"}, UserOnly: true,
			Help: "How changes come back: as edits in the editor, written to disk, or as a branch that touches no file.",
			set:  func(s *Settings, v any) { s.ReturnMode = v.(string) },
		},
		{
			Key: "return.max_mb", Type: Integer, Default: 50, Min: 1, Max: 4096,
			Help: "Largest mbox that a return writes, in MiB. The bundle beside it always holds everything.",
			set:  func(s *Settings, v any) { s.ReturnMaxMB = v.(int) },
		},

		{
			Key: "capture.max_mb", Type: Integer, Default: 2048, Min: 16, Max: 65536, UserOnly: true,
			Help: "How much changed content one checkpoint brings to this machine, in MiB. What is over it, the largest files first, waits in the sandbox and is named.",
			set:  func(s *Settings, v any) { s.CaptureMaxMB = v.(int) },
		},
		{
			Key: "sessions.quota_mb", Type: Integer, Default: 10240, Min: 256, Max: 524288, UserOnly: true,
			Help: "How much kept sessions and build caches may take together, in MiB, before those that nobody needs are deleted, the longest unused first. What was not returned is never deleted.",
			set:  func(s *Settings, v any) { s.QuotaMB = v.(int) },
		},

		{
			Key: "bundle_max_mb", Env: "GLUE_BUNDLE_MAX_MB", Type: Integer, Default: 0, Min: 0, Max: 65536, UserOnly: true,
			Help: "How large the bundle that is sent when a session opens should be at most, in MiB. A history that makes it larger stays behind, with a warning. Of a larger tree, a sandbox in Modal fetches what a remote with HEAD gives without a login, and only the rest is sent; where that is not possible, and locally, all of it is sent, with a warning. 0 is the runtime's own: 30 for Modal, no limit locally.",
			set:  func(s *Settings, v any) { s.BundleMaxMB = v.(int) },
		},
		{
			Key: "upload_max_mb", Type: Integer, Default: 1024, Min: 1, Max: 65536, UserOnly: true,
			Help: "Largest upload in MiB when a session opens; where more would have to be sent, opening fails.",
			set:  func(s *Settings, v any) { s.UploadMaxMB = v.(int) },
		},
		{
			Key: "include", Type: Strings, Default: []string{}, UserOnly: true,
			Help: "Patterns, as in .gitignore, of ignored or secret files that go up and come back all the same.",
			set:  func(s *Settings, v any) { s.Include = v.([]string) },
		},
		{
			Key: "exclude", Type: Strings, Default: []string{},
			Help: "Patterns, as in .gitignore, of files that never go up.",
			set:  func(s *Settings, v any) { s.Exclude = v.([]string) },
		},
		{
			Key: "history", Type: String, Default: "none", UserOnly: true,
			Help: "How much of HEAD's history the sandbox gets, with the tags that point into it, for builds that ask git: none, shallow:N (commits) or full. More than bundle_max_mb of it stays behind, with a warning.",
			set:  func(s *Settings, v any) { s.History = v.(string) },
		},

		{
			Key: "setup", Type: Strings, Default: []string{}, UserOnly: true,
			Help: "Commands that run in the sandbox before a session's first command, and again when a lock file of the working tree changed. In Modal, what they made is kept as a snapshot, and the folder's next sessions begin with it while commands and lock files stay the same.",
			set:  func(s *Settings, v any) { s.Setup = v.([]string) },
		},
		{
			Key: "share", Type: Strings, Default: dependencyFolders(), UserOnly: true,
			Help: "Ignored folders that a local sandbox is lent, by name or pattern; what commands write there stays in the sandbox. Download caches of this machine (~/.m2/repository, ~/.cargo/registry, Go modules and such), which may hold private sources of other projects, are lent with them. An empty list lends none of either.",
			set:  func(s *Settings, v any) { s.Share = v.([]string) },
		},
		{
			Key: "runners", Type: Runners, Default: []Runner{}, UserOnly: true,
			Help: "How kinds of files are run and tested: objects of language, files, run and test. They come before the built-in ones.",
			set:  func(s *Settings, v any) { s.Runners = v.([]Runner) },
		},

		{
			Key: "modal.python_path", Env: "MODAL_PYTHON", Type: String, Default: "", UserOnly: true,
			Help: "Python interpreter that can import modal. Found by itself from the modal command where possible.",
			set:  func(s *Settings, v any) { s.Modal.PythonPath = v.(string) },
		},
		{
			Key: "modal.modal_cli", Env: "MODAL_CLI", Type: String, Default: "modal", UserOnly: true,
			Help: "The modal command.",
			set:  func(s *Settings, v any) { s.Modal.CLI = v.(string) },
		},
		{
			Key: "modal.app_name", Env: "MODAL_APP", Type: String, Default: "glue", UserOnly: true,
			Help: "Modal app that sandboxes belong to.",
			set:  func(s *Settings, v any) { s.Modal.AppName = v.(string) },
		},
		{
			Key: "modal.image", Env: "MODAL_IMAGE", Type: String, Default: "", UserOnly: true,
			Help: "Image of the sandbox: its name in a registry, or the id (im-…) of one in Modal. Git is added to a named one that has apt and no git. Empty is Modal's Debian image with git.",
			set:  func(s *Settings, v any) { s.Modal.Image = v.(string) },
		},
		{
			Key: "modal.sandbox_timeout_seconds", Env: "MODAL_SANDBOX_TIMEOUT", Type: Integer, Default: 1800, Min: 1, Max: 86400, UserOnly: true,
			Help: "Hard cap on a sandbox's life, and so on what it can cost, in seconds.",
			set:  func(s *Settings, v any) { s.Modal.SandboxTimeoutSeconds = v.(int) },
		},
		{
			Key: "modal.delete_on_close", Env: "MODAL_DELETE_ON_CLOSE", Type: Boolean, Default: true, UserOnly: true,
			Help: "Whether closing a session ends its sandbox.",
			set:  func(s *Settings, v any) { s.Modal.DeleteOnClose = v.(bool) },
		},
		{
			Key: "modal.cpu", Type: Number, Default: 0.0, Min: 0, Max: 1024, UserOnly: true,
			Help: "CPU cores. 0 is Modal's default.",
			set:  func(s *Settings, v any) { s.Modal.CPU = v.(float64) },
		},
		{
			Key: "modal.memory_mb", Type: Integer, Default: 0, Min: 0, Max: 1 << 22, UserOnly: true,
			Help: "Memory in MiB. 0 is Modal's default.",
			set:  func(s *Settings, v any) { s.Modal.MemoryMB = v.(int) },
		},
		{
			Key: "modal.gpu", Type: String, Default: "", UserOnly: true,
			Help: "GPU type.",
			set:  func(s *Settings, v any) { s.Modal.GPU = v.(string) },
		},
		{
			Key: "modal.region", Type: String, Default: "", UserOnly: true,
			Help: "Region to run in.",
			set:  func(s *Settings, v any) { s.Modal.Region = v.(string) },
		},
		{
			Key: "modal.secrets", Type: Strings, Default: []string{}, UserOnly: true,
			Help: "Names of Modal secrets whose variables commands get.",
			set:  func(s *Settings, v any) { s.Modal.Secrets = v.([]string) },
		},
		{
			Key: "modal.volumes", Type: Strings, Default: []string{}, UserOnly: true,
			Help: "Modal volumes to mount, each name:/path.",
			set:  func(s *Settings, v any) { s.Modal.Volumes = v.([]string) },
		},
		{
			Key: "modal.env", Type: StringMap, Default: map[string]string{}, UserOnly: true,
			Help: "Variables laid over the sandbox's environment.",
			set:  func(s *Settings, v any) { s.Modal.Env = v.(map[string]string) },
		},
		{
			Key: "modal.network", Type: String, Default: "on", Enum: []string{"on", "none"}, UserOnly: true,
			Help: "Whether commands have a network.",
			set:  func(s *Settings, v any) { s.Modal.Network = v.(string) },
		},
		{
			Key: "modal.transport", Type: String, Default: "auto", Enum: []string{"auto", "agent", "direct"}, UserOnly: true,
			Help: "How sandboxes are talked to: by an agent inside, or by Modal's own calls alone, which is slower and knows less. auto takes the agent where it runs.",
			set:  func(s *Settings, v any) { s.Modal.Transport = v.(string) },
		},
		{
			Key: "modal.idle_timeout_seconds", Type: Integer, Default: 0, Min: 0, Max: 86400, UserOnly: true,
			Help: "Seconds without activity after which Modal ends the sandbox. 0 is never.",
			set:  func(s *Settings, v any) { s.Modal.IdleTimeoutSeconds = v.(int) },
		},
		{
			Key: "modal.environment", Env: "MODAL_ENVIRONMENT", Type: String, Default: "", UserOnly: true,
			Help: "Modal environment to use.",
			set:  func(s *Settings, v any) { s.Modal.Environment = v.(string) },
		},
	}
}

// dependencyFolders are where package managers and build tools of each language put what
// they downloaded and built.
func dependencyFolders() []string {
	return []string{
		"node_modules", "bower_components", "jspm_packages", // JavaScript
		".venv", "venv", "__pypackages__", ".tox", ".nox", ".eggs", "*.egg-info", ".pixi", // Python
		"vendor", "vendor/bundle", // Go, PHP, Ruby
		"target",                                         // Rust, Java, Scala
		"deps", "_build", "dist-newstyle", ".stack-work", // Elixir, Haskell
		"elm-stuff", "Pods", "vcpkg_installed", // Elm, Apple's, C++
	}
}

// Reference is the settings' reference page, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString("| setting | environment | type | default | who may set it | what it is for |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, s := range Table() {
		who := "user, workspace"
		if s.UserOnly {
			who = "user"
		}
		typ := string(s.Type)
		if len(s.Enum) > 0 {
			typ = "`" + strings.Join(s.Enum, "`, `") + "`"
		} else if s.Min != s.Max {
			typ += ", " + plainNumber(s.Min) + " to " + plainNumber(s.Max)
		}
		help := s.Help
		env := ""
		if s.Env != "" {
			env = "`" + s.Env + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", s.Key, env, typ, showDefault(s.Default), who, help)
	}
	return b.String()
}

func plainNumber(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func showDefault(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" {
			return ""
		}
		return "`" + v + "`"
	case []string:
		if len(v) > 0 {
			return "`" + strings.Join(v, "` `") + "`"
		}
		return "none"
	case map[string]string, []Runner:
		return "none"
	default:
		return fmt.Sprintf("`%v`", v)
	}
}
