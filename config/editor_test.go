package config

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const manifest = "../editors/vscode/package.json"

func TestTheReferenceOfTheExtensionIsWhatTheTableSays(t *testing.T) {
	raw, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	want := string(raw)
	for _, block := range []struct {
		name  string
		write func(indent string) (string, error)
	}{
		{`"restrictedConfigurations": `, EditorRestricted},
		{`"properties": `, EditorProperties},
	} {
		want = replaceValue(t, want, block.name, block.write)
	}
	if *update {
		if err := os.WriteFile(manifest, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Errorf("the settings in %s are not current; run: make docs\n%s", manifest, diff)
	}
}

// replaceValue writes the value of the first member of that name anew, which begins a
// line. Everything else of the file stays as it is.
func replaceValue(t *testing.T, text, name string, write func(indent string) (string, error)) string {
	t.Helper()
	head, rest, found := strings.Cut(text, name)
	if !found {
		t.Fatalf("%s has no %s", manifest, name)
	}
	indent := head[strings.LastIndexByte(head, '\n')+1:]
	value, err := write(indent)
	if err != nil {
		t.Fatal(err)
	}
	var old json.RawMessage
	d := json.NewDecoder(strings.NewReader(rest))
	if err := d.Decode(&old); err != nil {
		t.Fatalf("%s: the value of %s: %v", manifest, name, err)
	}
	return head + name + value + rest[d.InputOffset():]
}

func TestOnlyWhatAFolderMayBringHasAScopeThatFoldersCanSet(t *testing.T) {
	text, err := EditorProperties("")
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]struct {
		Scope   string `json:"scope"`
		Default any    `json:"default"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if want := len(Table()) + 1; len(got) != want {
		t.Errorf("%d settings are listed; want %d", len(got), want)
	}
	for _, s := range Table() {
		p, ok := got[EditorPrefix+s.Key]
		if !ok {
			t.Errorf("%s is not listed", s.Key)
			continue
		}
		if personal := p.Scope == scopePerson || p.Scope == scopeMachine; personal != s.UserOnly {
			t.Errorf("%s has scope %s; only the user may set it: %v", s.Key, p.Scope, s.UserOnly)
		}
		if p.Default == nil && s.Type != StringMap {
			t.Errorf("%s has no default", s.Key)
		}
	}
}
