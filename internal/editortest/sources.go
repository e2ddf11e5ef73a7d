// Package editortest holds what tests of all editors need.
package editortest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// server are the folders with the server's sources.
var server = []string{"cmd", "config", "handlers", "internal", "sandbox", "session", "sidecar", "workspace"}

// DependOnSources looks at all sources of the server, and at more files and folders, so
// that the go command runs these tests again when one of them has changed: it knows nothing
// of what a test builds or runs. root is the module's folder; all names are relative to it.
func DependOnSources(t *testing.T, root string, more ...string) {
	t.Helper()
	for _, name := range slices.Concat(server, more) {
		err := filepath.WalkDir(filepath.Join(root, name), func(file string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				_, err = os.Stat(file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
