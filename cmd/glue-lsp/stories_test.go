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
	hideLandlock()
	if os.Getenv(asProgram) != "" || len(os.Args) > 1 && os.Args[1] == "agent" {
		os.Exit(mainCode())
	}
	goleak.VerifyTestMain(m)
}

// serverWith starts the program as an editor would, with more of an environment.
func serverWith(t *testing.T, env ...string) lsptest.StartServer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return func(_ testing.TB, home string) lsptest.Server {
		own := append(os.Environ(), asProgram+"=1", "GLUE_HOME="+home, "GIT_CONFIG_GLOBAL=/dev/null")
		return lsptest.Binary(self, []string{"serve", "--stdio", "--log-level", "warn"}, append(own, env...))
	}
}

// The isolations that stories are played in. GLUE_LOCAL_ISOLATION is the setting
// local.isolation: one that does not work fails the stories.
func TestStories(t *testing.T) {
	for _, isolation := range []string{"bubblewrap", "landlock"} {
		t.Run(isolation, func(t *testing.T) {
			lsptest.RunStories(t, "testdata/stories", serverWith(t, "GLUE_LOCAL_ISOLATION="+isolation), lsptest.StoryOptions{Runtime: "local", After: untilUnused})
		})
	}
}
