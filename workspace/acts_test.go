package workspace

import (
	"path"
	"testing"
)

func TestX5_FilesThatActByThemselvesAreKnownByClass(t *testing.T) {
	for class, paths := range map[string][]string{
		OnOpen: {
			".vscode/tasks.json", ".vscode/settings.json", ".vscode/launch.json", ".vscode/mcp.json", "x.code-workspace",
			".idea/workspace.xml", ".envrc", "mise.toml", ".mcp.json", ".claude/settings.json", ".cursor/mcp.json", "AGENTS.md",
			"CLAUDE.md", ".devcontainer/devcontainer.json", ".nvim.lua", ".exrc", ".dir-locals.el", ".gitattributes", ".gitmodules",
			".husky/pre-commit", "lefthook.yml", ".bashrc", ".zshrc", ".profile",
		},
		OnBuild: {
			"package.json", ".npmrc", ".yarnrc.yml", "Makefile", "build.rs", ".cargo/config.toml", "conftest.py", "setup.py",
			"eslint.config.mjs", "gradlew", "gradle/wrapper/gradle-wrapper.jar", ".github/workflows/ci.yml", ".pre-commit-config.yaml",
		},
	} {
		for _, p := range paths {
			for _, variant := range []string{p, "deep/er/" + p} {
				acts := ActsByItself(variant)
				if acts == nil || acts.When != class || acts.Why == "" {
					t.Errorf("%s: %+v, want class %s with a reason", variant, acts, class)
				}
			}
		}
	}
}

func TestX5_ActingFilesAreKnownInEverySpellingThatAFileSystemTakesForThem(t *testing.T) {
	for _, p := range []string{
		".VSCODE/Tasks.JSON", "claude.md", ".vscode/tasks.json.", ".vscode /tasks.json", ".vs\u200ccode/tasks.json", "Agents.MD", ".Envrc",
		".vscode", ".idea", ".husky", ".claude",
	} {
		if acts := ActsByItself(p); acts == nil || acts.When != OnOpen {
			t.Errorf("%q: %+v, want a file that acts on open", p, acts)
		}
	}
}

func TestX5_OrdinaryFilesDoNotAct(t *testing.T) {
	for _, p := range []string{
		"main.go", "src/vscode/tasks.json", "docs/claude.txt", "envrc", "README.md", "package.json.md", "idea/x", "a.idea", "tasks.json",
		"settings.json", "github/workflows/x.yml", "xMakefile", "", "/", "..", "\xff\xfe",
	} {
		if acts := ActsByItself(p); acts != nil {
			t.Errorf("%q is said to act: %+v", p, acts)
		}
	}
}

func TestTheTableOfActingFilesIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range actingFiles() {
		if seen[f.pattern] {
			t.Errorf("%s is in the table twice", f.pattern)
		}
		seen[f.pattern] = true
		if _, err := path.Match(f.pattern, "x"); err != nil {
			t.Errorf("%s: %v", f.pattern, err)
		}
		if f.when != OnOpen && f.when != OnBuild || f.why == "" {
			t.Errorf("%s: class %q, reason %q", f.pattern, f.when, f.why)
		}
	}
}
