package handlers

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"go.lsp.dev/protocol"
)

var update = flag.Bool("update", false, "write docs/lsp-extensions.md's tables")

// reference writes the tables of docs/lsp-extensions.md from the Go types.
type reference struct {
	types []reflect.Type // to be described, in the order in which they were met
}

func TestTheReferenceIsWhatTheTypesSay(t *testing.T) {
	file := filepath.Join("..", "docs", "lsp-extensions.md")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := &reference{}
	want := string(raw)
	for _, block := range []struct {
		name  string
		write func() string
	}{
		{"sessions", func() string { return r.methods("glue/session/") }},
		{"running", func() string { return r.methods("glue/exec") }},
		{"files", func() string { return r.methods("glue/fs/") }},
		{"doctor", func() string { return r.methods("glue/doctor") }},
		{"notifications", r.notifications},
		{"commands", r.commands},
		{"kinds", r.kinds},
		{"types", r.described},
	} {
		begin, end := "<!-- generated: "+block.name+" -->\n", "<!-- end -->\n"
		head, rest, ok := strings.Cut(want, begin)
		_, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no block %q", file, block.name)
		}
		want = head + begin + block.write() + end + tail
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(raw), want); diff != "" {
		t.Errorf("docs/lsp-extensions.md is not what the types say; run go test ./handlers -run Reference -update\n%s", diff)
	}
}

// TestEveryMemberIsNamedAsTheContractSays keeps spelling in one style.
func TestMembersAreCamelCaseAndRoutesAreComplete(t *testing.T) {
	r := &reference{}
	for _, x := range routes() {
		if (x.call == nil) == (x.notify == nil) || x.params == nil {
			t.Errorf("%s is not one of request and notification", x.method)
		}
		if strings.HasPrefix(x.method, "glue/") && x.doc == "" {
			t.Errorf("%s is not described", x.method)
		}
	}
	_ = r.methods("glue/") + r.notifications() + r.commands() + r.described()
	for _, t2 := range r.types {
		for _, f := range structFields(t2) {
			if f.name == "" || strings.ToLower(f.name[:1]) != f.name[:1] || strings.Contains(f.name, "_") {
				t.Errorf("%s.%s is not camelCase", t2, f.name)
			}
		}
	}
}

func (r *reference) methods(prefix string) string {
	var b strings.Builder
	for _, x := range glueRoutes() {
		if !strings.HasPrefix(x.method, prefix) {
			continue
		}
		fmt.Fprintf(&b, "\n### `%s`\n\n%s\n", x.method, x.doc)
		if x.notify != nil {
			b.WriteString("\nA notification from the client.\n")
		}
		r.fields(&b, "Params", x.params)
		if x.result == nil {
			continue
		}
		if name := r.named(x.result); name != "" {
			fmt.Fprintf(&b, "\nResult: %s\n", name)
			continue
		}
		r.fields(&b, "Result", x.result)
	}
	return b.String() + "\n"
}

func (r *reference) fields(b *strings.Builder, title string, t reflect.Type) {
	fields := structFields(t)
	if len(fields) == 0 {
		fmt.Fprintf(b, "\n%s: `{}`\n", title)
		return
	}
	fmt.Fprintf(b, "\n| %s | type | |\n| --- | --- | --- |\n", title)
	for _, f := range fields {
		name := "`" + f.name + "`"
		doc := f.doc
		if f.optional {
			name = "`" + f.name + "?`"
		}
		if len(f.instead) > 0 {
			doc = strings.TrimSuffix("or `"+strings.Join(f.instead, "`, `")+"` instead; "+doc, "; ")
		}
		typ := r.typeName(f.typ)
		if f.nullable {
			typ += " or null"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, typ, strings.ReplaceAll(doc, "|", "\\|"))
	}
}

// named gives a link to a type that is described on its own.
func (r *reference) named(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for _, own := range []reflect.Type{reflect.TypeFor[sessionInfo](), reflect.TypeFor[returnResult](), reflect.TypeFor[execResult](), reflect.TypeFor[statResult]()} {
		if t == own {
			return r.typeName(t)
		}
	}
	return ""
}

func (r *reference) typeName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[jsontext.Value]():
		return "string or number"
	case reflect.TypeFor[somePath]():
		return "string or `{path?, pathBytes}`"
	case reflect.TypeFor[protocol.WorkspaceEdit]():
		return "LSP WorkspaceEdit"
	case reflect.TypeFor[textRange]():
		return "LSP Range"
	}
	switch t.Kind() {
	case reflect.Slice:
		return "array of " + r.typeName(t.Elem())
	case reflect.Map:
		return "object of " + r.typeName(t.Elem())
	case reflect.Struct:
		if !slices.Contains(r.types, t) {
			r.types = append(r.types, t)
		}
		return "[" + shownName(t) + "](#" + strings.ToLower(shownName(t)) + ")"
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	default:
		return "number"
	}
}

func shownName(t reflect.Type) string { return strings.ToUpper(t.Name()[:1]) + t.Name()[1:] }

// described is called last: it describes what the other blocks refer to.
func (r *reference) described() string {
	var b strings.Builder
	for i := 0; i < len(r.types); i++ { // grows on the way
		fmt.Fprintf(&b, "\n### %s\n", shownName(r.types[i]))
		r.fields(&b, "Member", r.types[i])
	}
	return b.String() + "\n"
}

func (r *reference) notifications() string {
	var b strings.Builder
	for _, n := range sentNotifications() {
		fmt.Fprintf(&b, "\n### `%s`\n\n%s\n", n.method, n.doc)
		r.fields(&b, "Params", n.params)
	}
	return b.String() + "\n"
}

func (r *reference) commands() string {
	var b strings.Builder
	b.WriteString("\n| Command | does | members of its argument |\n| --- | --- | --- |\n")
	for _, c := range commands() {
		var members []string
		for _, f := range structFields(c.args) {
			name := f.name
			if f.optional {
				name += "?"
			}
			members = append(members, "`"+name+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.name, c.doc, strings.Join(members, ", "))
	}
	r.fields(&b, "Answer", reflect.TypeFor[started]())
	return b.String() + "\n"
}

func (r *reference) kinds() string {
	var b strings.Builder
	r.fields(&b, "Member of data", reflect.TypeFor[failure]())
	b.WriteString("\n| Kind | means |\n| --- | --- |\n")
	for _, k := range errorKinds() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", k.name, k.meaning)
	}
	return b.String() + "\n"
}
