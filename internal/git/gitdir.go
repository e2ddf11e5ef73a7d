package git

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"

	"glue-lsp/internal/tree"
)

// noAttributes keeps every attribute that a tree's .gitattributes could set from
// counting: info/attributes has the last word (gitattributes(5)).
const noAttributes = "* -text !eol -crlf -ident -filter !working-tree-encoding !merge !diff !whitespace !delta !export-ignore !export-subst !conflict-marker-size\n"

// gitDirFile is a file of a git folder that this package makes.
type gitDirFile struct {
	name    string // slash-separated
	content []byte
}

// gitDirFiles are the files of a minimal git folder.
func gitDirFiles(format tree.Format, config []setting) []gitDirFile {
	version := "0"
	if format == tree.SHA256 {
		version = "1"
		config = append([]setting{{"extensions.objectFormat", string(format)}}, config...)
	}
	config = append([]setting{{"core.repositoryFormatVersion", version}}, config...)
	return []gitDirFile{
		{"config", []byte(formatConfig(config))},
		{"info/attributes", []byte(noAttributes)},
		{"info/exclude", nil},
		// HEAD comes last: with it the folder counts as a repository. It names a
		// branch that never exists, so that no command takes attributes from a tree.
		{"HEAD", []byte("ref: refs/heads/none\n")},
	}
}

// makeGitDir writes a git folder by hand: `git init` would read templates and
// would need a configuration before there is one. A file that holds what it
// should is left alone.
func makeGitDir(dir string, files []gitDirFile) error {
	for _, sub := range []string{"objects/pack", "objects/info", "refs/heads", "info"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(sub)), 0o700); err != nil {
			return err
		}
	}
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.name))
		if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, f.content) {
			continue
		}
		if err := os.WriteFile(name, f.content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// syncGitDir makes a new git folder durable.
func syncGitDir(dir string) error {
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncPath(name)
	})
	if err != nil {
		return err
	}
	return syncPath(filepath.Dir(dir))
}
