package modal

import (
	"strings"
	"testing"

	"glue-lsp/internal/modaltest"
	"glue-lsp/sandbox"
)

func TestF19_WhereTheAgentCannotRunAutoGoesWithoutItAndSaysWhy(t *testing.T) {
	r := newRuntime(t, modaltest.Shared(t), func(o *Options) {
		o.Image, o.Transport = "gcr.io/distroless/static", Auto
	})
	sb := openBox(t, r, nil)
	info := sb.Info()
	if info.Transport != Direct {
		t.Errorf("got %+v", info)
	}
	if notes := strings.Join(info.Notes, "\n"); !strings.Contains(notes, "slower") || !strings.Contains(notes, "sh") {
		t.Errorf("it says %q", notes)
	}
}

func TestF19_WhereTheAgentCannotRunItIsRefusedWhenItWasAskedForByName(t *testing.T) {
	cloud := modaltest.Shared(t)
	r := newRuntime(t, cloud, func(o *Options) {
		o.Image, o.Transport = "gcr.io/distroless/static", Agent
	})
	sb, err := r.Open(within(t), sandbox.Spec{Session: "s"})
	if err == nil {
		t.Fatalf("it opened: %+v", sb.Info())
	}
	if !kindIs(err, sandbox.Unsupported) || !strings.Contains(err.Error(), "agent") {
		t.Errorf("got %v", err)
	}
	for _, s := range cloud.Stats(t).Sandboxes {
		if s.Alive && strings.Contains(strings.Join(s.Image, " "), "distroless") {
			t.Errorf("sandbox %s goes on", s.ID)
		}
	}
}

func TestAutoTakesTheAgentWhereItRuns(t *testing.T) {
	r := newRuntime(t, modaltest.Shared(t), func(o *Options) { o.Transport = Auto })
	if info := openBox(t, r, nil).Info(); info.Transport != Agent || len(info.Notes) != 0 {
		t.Errorf("got %+v", info)
	}
}
