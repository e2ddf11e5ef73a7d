package config

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the pages that come from tables")

const referencePage = "../docs/settings.md"

func TestTheReferencePageIsWhatTheTableSays(t *testing.T) {
	want := "# Settings\n\n" +
		"Read from the editor, the environment and `config.yaml` in the state folder (`GLUE_HOME`,\n" +
		"default `~/.glue`), the first of them that has a value; `glue-lsp doctor` shows what is in\n" +
		"force and why. In the file and in editors, a dot is one level: `return.mode` is `mode` under\n" +
		"`return`. Settings that only the user may set do not count when they come from a workspace,\n" +
		"since a repository that you only look at must not choose what runs.\n\n" + Reference()
	if *update {
		if err := os.WriteFile(referencePage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/settings.md is not current; run: make docs\n%s", diff)
	}
}

func TestThePageAboutModalNamesEverySettingOfIt(t *testing.T) {
	page, err := os.ReadFile("../docs/modal.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range Table() {
		if !strings.HasPrefix(row.Key, "modal.") {
			continue
		}
		for _, name := range []string{row.Key, row.Env} {
			if name != "" && !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("docs/modal.md does not name %s", name)
			}
		}
	}
}
