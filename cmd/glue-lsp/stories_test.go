package main

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"glue-lsp/internal/lsptest"
)

// asProgram makes this test binary the program itself, so that stories run the real
// thing: flags, processes, exit codes.
const asProgram = "GLUE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" || len(os.Args) > 1 && os.Args[1] == "agent" {
		os.Exit(mainCode())
	}
	goleak.VerifyTestMain(m)
}

func TestStories(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(_ testing.TB, home string) lsptest.Server {
		return lsptest.Binary(self, []string{"serve", "--stdio", "--log-level", "warn"},
			append(os.Environ(), asProgram+"=1", "GLUE_HOME="+home, "GIT_CONFIG_GLOBAL=/dev/null"))
	}
	lsptest.RunStories(t, "testdata/stories", start, lsptest.StoryOptions{Runtime: "local"})
}
