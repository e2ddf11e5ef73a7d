package handlers

import (
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestHostPathOfURIs(t *testing.T) {
	for uri, want := range map[string]string{
		"file:///a/b": "/a/b", "file:///a%20b": "/a b", "file:///a b": "/a b", "FILE:///x": "/x",
		"file://localhost/x": "/x", "file:/x": "/x", "file:///a%2Fb": "/a/b", "file:///a/%23%3F": "/a/#?",
		"file:///a?query#fragment": "/a", "file:///a/": "/a", "file:///a/../b": "/b",
		"file:///%E4.txt": "/\xE4.txt", "file:///%C3%A4": "/ä", "file:///ä": "/ä", "file:///c%3A/x": "/c:/x",
	} {
		got, err := hostPath(uri)
		if err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", uri, got, err, want)
		}
	}
	for _, uri := range []string{
		"", "x", "untitled:Untitled-1", "file://server/share/x", "file:x", "file:///a%0", "file:///a%zz", "file:///a%00b", "vscode-remote://h/x",
	} {
		if got, err := hostPath(uri); err == nil {
			t.Errorf("%q was taken for the file %q", uri, got)
		}
	}
}

func TestF5_EveryPathSurvivesTheWayThroughAURI(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := path.Clean("/" + strings.ReplaceAll(string(rapid.SliceOf(rapid.Byte()).Draw(t, "path")), "\x00", ""))
		uri := fileURI(p)
		if strings.ContainsFunc(uri, func(r rune) bool { return r > '~' || r <= ' ' }) {
			t.Fatalf("%q is not a URI", uri)
		}
		if got, err := hostPath(uri); err != nil || got != p {
			t.Fatalf("%q became %q, %v", p, got, err)
		}
	})
}

func TestContentURIsComeBack(t *testing.T) {
	for _, side := range []string{"sandbox", "base"} {
		u := contentURI(side, "20260101-a", "dir/a b#\xE4.txt")
		gotSide, id, p, err := parseContentURI(u)
		if err != nil || gotSide != side || id != "20260101-a" || p != "dir/a b#\xE4.txt" {
			t.Errorf("%s is %q %q %q %v", u, gotSide, id, p, err)
		}
	}
	if _, _, p, err := parseContentURI("glue-base:///id/a/b"); err != nil || p != "a/b" {
		t.Errorf("an empty authority gives %q, %v", p, err)
	}
	for _, u := range []string{"file:///x/y", "glue-base:/id", "glue-base:/id/", "glue-base:id/x", "glue-base://host/id/x", "glue-base:/id/%00", "glue-base:"} {
		if _, _, _, err := parseContentURI(u); err == nil {
			t.Errorf("%s was accepted", u)
		}
	}
}

func FuzzURIs(f *testing.F) {
	for _, s := range []string{"file:///a%20b", "glue-base:/s/x", "file://h/x%", "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if p, err := hostPath(uri); err == nil && (!strings.HasPrefix(p, "/") || strings.Contains(p, "\x00") || path.Clean(p) != p) {
			t.Errorf("%q is %q", uri, p)
		}
		_, _, _, _ = parseContentURI(uri)
	})
}
