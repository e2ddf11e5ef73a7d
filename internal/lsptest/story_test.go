package lsptest

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

func TestStories(t *testing.T) {
	RunStories(t, filepath.Join("testdata", "stories"), glueServer, StoryOptions{})
}

func TestStories_FailWhereTheyShould(t *testing.T) {
	const files = "-- a.txt --\none\n-- want/a.txt --\nother\n"
	cases := map[string]struct{ script, want string }{
		"an unknown verb":            {"dance", `there is no verb "dance"`},
		"a wrong buffer":             {"open a.txt\nbuffer a.txt == want/a.txt", "story:2: buffer a.txt == want/a.txt\nit is\none\n\nnot\nother\n"},
		"a wrong disk":               {`disk a.txt contains "three"`, `does not hold "three"`},
		"a file that is there":       {"disk a.txt absent", "is there"},
		"a buffer that is closed":    {"buffer a.txt clean", "a.txt is closed in the editor"},
		"a command that fails":       {"session open\nexec echo hi; exit 2", "exited with 2\nstdout: hi"},
		"a wrong output":             {"session open\nexec echo hi\nstdout == \"ho\"", "not\nho"},
		"a refusal":                  {"exec true", "no session is open"},
		"no refusal":                 {"fails noSuchSession session open", "should have failed"},
		"another refusal":            {"fails conflict exec true", `kind "noSuchSession"`},
		"a missing golden file":      {"disk a.txt == want/b.txt", "neither"},
		"a golden file without want": {"disk a.txt == a.txt", "neither"},
		"an open quote":              {`edit a.txt 0:0 "x`, "a quote does not end"},
		"a late set-up":              {"open a.txt\nclient helix", "must come before"},
		"an unknown client":          {"client ed", "there is no client"},
		"a conflict that is none":    {"session open\nreturn\nconflict a.txt", "the conflicts are []"},
		"a return of nothing":        {"session open\nreturn\nreturned a.txt", "these came back: []"},
		"a host program that fails":  {"open a.txt\nhost false", "on the host"},
		"a story of nothing":         {"# nothing", "never used the editor"},
		"a wrong count":              {"sessions 3", "0 are listed"},
		"finishing nothing":          {"open a.txt\nfinish", "no command was begun"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			said := onPaper(t, func(tb testing.TB) {
				s := newStory(t, "story", txtar.Parse([]byte(files)), glueServer, StoryOptions{Runtime: "local"})
				s.tb.TB = tb
				s.play(parseScript(c.script))
			})
			if !strings.Contains(strings.Join(said, "\n"), c.want) {
				t.Errorf("said %q, want something with %q", said, c.want)
			}
		})
	}
}

func TestWords(t *testing.T) {
	got, err := words(`a  b=c "d e\n" "\"" want/f`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b=c", quoteMark + "d e\n", quoteMark + `"`, "want/f"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestVerbs_AreAllInTheDocumentation(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	doc := strings.Join(strings.Fields(file.Doc.Text()), " ")
	for name, v := range verbs() {
		for _, part := range []string{v.usage, v.what} {
			if !strings.Contains(doc, strings.Join(strings.Fields(part), " ")) {
				t.Errorf("%s: doc.go does not hold %q", name, part)
			}
		}
		if (v.run == nil) == (v.raw == nil) {
			t.Errorf("%s wants exactly one of run and raw", name)
		}
	}
}
