// Package arch holds tests of the source tree's own shape.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport lists, for each product package, the module's own packages that it may
// import. Arrows point down only; a package that is missing here fails the test.
var mayImport = map[string][]string{
	"cmd/glue-lsp": {"handlers", "session", "workspace", "sandbox", "sandbox/agent", "sandbox/local", "sandbox/modal", "config", "internal/wire"},
	"handlers":     {"session", "workspace", "sandbox", "config", "internal/wire", "internal/tree"},
	"session":      {"workspace", "sandbox", "internal/git", "internal/tree"},
	"workspace":    {"internal/git", "internal/tree"},

	"sandbox":                      {"internal/tree"},
	"sandbox/sandboxtest":          {"sandbox", "internal/tree"},
	"sandbox/agent":                {"sandbox", "internal/tree", "internal/pack"},
	"sandbox/local":                {"sandbox", "sandbox/agent", "internal/tree"},
	"sandbox/modal":                {"sandbox", "sandbox/agent", "sandbox/modal/agentbin", "internal/pack", "internal/tree", "sidecar"},
	"sandbox/modal/agentbin":       {},
	"sandbox/agent/cmd/glue-agent": {"sandbox/agent"},
	"sidecar":                      {},

	"config":              {},
	"internal/tree":       {},
	"internal/pack":       {"internal/tree"},
	"internal/git":        {"internal/tree", "internal/pack"},
	"internal/wire":       {},
	"internal/lsptest":    {"internal/wire"},
	"internal/arch":       {},
	"internal/lawtest":    {},
	"internal/attendant":  {},
	"internal/modaltest":  {"internal/attendant"},
	"internal/delay":      {},
	"internal/editortest": {},
	"internal/gittest":    {},
	"internal/demo":       {"internal/lsptest", "internal/wire"},
	"editors/nvim":        {},
	"editors/plain":       {},
	"internal/bench":      {"internal/lsptest", "internal/wire", "internal/git", "internal/tree", "workspace", "session", "sandbox", "sandbox/agent", "sandbox/local", "sandbox/modal", "internal/attendant", "internal/delay"},
}

const module = "glue-lsp/"

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointDownOnly(t *testing.T) {
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		allowed, ok := mayImport[name]
		if !ok {
			t.Errorf("package %s is not in the table; say there what it may import", name)
			continue
		}
		for _, imp := range p.Imports {
			own, ok := strings.CutPrefix(imp, module)
			if ok && !slices.Contains(allowed, own) {
				t.Errorf("%s imports %s, which points up or sideways", name, own)
			}
		}
	}
}

func TestOnlyHandlersAndTheFakeEditorKnowTheLSPTypes(t *testing.T) {
	allowed := []string{"handlers", "internal/lsptest", "internal/demo", "internal/bench"}
	for _, p := range list(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if slices.Contains(p.Imports, "go.lsp.dev/protocol") && !slices.Contains(allowed, name) {
			t.Errorf("%s imports go.lsp.dev/protocol", name)
		}
	}
}

func TestTheAgentStaysSmall(t *testing.T) {
	heavy := []string{"go.uber.org/zap", "github.com/spf13/cobra", "go.lsp.dev/protocol", "net/http", "gopkg.in/yaml.v3"}
	out, err := exec.Command("go", "list", "-deps", module+"sandbox/agent").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if slices.Contains(heavy, dep) {
			t.Errorf("the agent depends on %s, which is too large to send to a sandbox", dep)
		}
	}
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
