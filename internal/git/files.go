package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// syncPath makes a file, or the names in a folder, durable.
func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// syncDirsUp syncs the folder that holds name and its parents up to top.
func syncDirsUp(top, name string) error {
	for dir := filepath.Dir(name); ; dir = filepath.Dir(dir) {
		if err := syncPath(dir); err != nil {
			return err
		}
		if dir == top || len(dir) <= len(top) {
			return nil
		}
	}
}

// formatConfig writes configuration that git reads back as the same values.
func formatConfig(values []setting) string {
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	for _, s := range values {
		section, key, _ := strings.Cut(s.key, ".")
		b.WriteString("[" + section + "]\n\t" + key + " = \"" + escape.Replace(s.value) + "\"\n")
	}
	return b.String()
}
