package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"glue-lsp/internal/lsptest"
	"glue-lsp/internal/modaltest"
)

// keptOnModal are the stories in which a sandbox goes on without its server. In the cloud
// that costs money, so it has to be asked for.
var keptOnModal = []string{
	"S6-F28-U6-a-crashed-server-is-taken-up-where-it-was",
}

// directOnModal are those that take every kind of call without an agent inside: commands,
// cancelling, trees up and down of all kinds of files, ends.
var directOnModal = []string{
	"F20-L2-one-slow-command-blocks-nothing-and-cancel-ends-it",
	"S2-F2-R5-new-untracked-and-renamed-files-come-back",
	"S3-F4-binary-and-carriage-returns-come-back-byte-for-byte",
	"S6-L1-the-next-start-offers-what-a-crash-left",
	"a-session-that-was-returned-and-closed-leaves-nothing-to-list",
	"undo-takes-a-whole-return-back-and-keeps-later-edits",
}

// TestStoriesOnModal plays the stories of the local runtime in the cloud, as they are, and
// wants no sandbox to go on afterwards but those that were to.
func TestStoriesOnModal(t *testing.T) {
	cloud := modaltest.Shared(t)
	env := append(cloud.Environ(), "GLUE_RUNTIME=modal", "MODAL_PYTHON="+modaltest.Python(t))
	play := func(name, settings string, plays func(story string) bool, more ...string) {
		t.Run(name, func(t *testing.T) {
			serve := serverWith(t, slices.Concat(env, more)...)
			start := func(tb testing.TB, home string) lsptest.Server {
				if err := os.WriteFile(filepath.Join(home, "config.yaml"), []byte(settings), 0o600); err != nil {
					tb.Fatal(err)
				}
				return serve(tb, home)
			}
			lsptest.RunStories(t, "testdata/stories", start, lsptest.StoryOptions{
				Runtime: "modal", Plays: plays, After: untilUnused, Patience: 2 * time.Minute,
			})
		})
	}
	kept := func(story string) bool { return slices.Contains(keptOnModal, story) }
	play("agent", "", func(story string) bool { return !kept(story) })
	play("direct", "modal:\n  transport: direct\n", func(story string) bool { return slices.Contains(directOnModal, story) })
	for deadline := time.Now().Add(time.Minute); cloud.Stats(t).Alive > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("sandboxes go on: %+v", cloud.Stats(t).Sandboxes)
		}
	}
	play("kept", "", kept, "MODAL_DELETE_ON_CLOSE=false")
	for _, sandbox := range cloud.Stats(t).Sandboxes {
		if sandbox.Alive {
			cloud.End(t, sandbox.ID, "terminated")
		}
	}
}
