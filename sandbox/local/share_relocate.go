package local

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// maxScript bounds the files of a virtual environment that are looked through.
const maxScript = 1 << 20

// maxNested is how deep below a lent folder an environment is searched: tox has them in
// .tox/<name>, pixi in .pixi/envs/<name>.
const maxNested = 3

// environments gives the folders in and below dir that hold a file or folder of that name.
func environments(dir *os.Root, marker string) []string {
	var out []string
	_ = fs.WalkDir(dir.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // unreadable inside as outside
		case d.Name() == marker:
			out = append(out, path.Dir(name))
		}
		if d.IsDir() && name != "." && strings.Count(name, "/") >= maxNested {
			return fs.SkipDir
		}
		return nil
	})
	return out
}

// fixedInPlace reports whether a folder holds conda's environments, whose programs have
// their path compiled in, see "Making packages relocatable" in
// https://docs.conda.io/projects/conda-build.
func fixedInPlace(dir *os.Root) bool { return len(environments(dir, "conda-meta")) > 0 }

// relocate leads the virtual environments in a folder that was copied to their new place.
// Their scripts name their interpreter, and installs of the project itself their sources,
// by the place where they were made; see "How venvs work" in
// https://docs.python.org/3/library/venv.html.
func relocate(dir *os.Root, from, to string) error {
	for _, at := range environments(dir, "pyvenv.cfg") {
		venv, err := dir.OpenRoot(filepath.FromSlash(at))
		if err != nil {
			return err
		}
		err = fs.WalkDir(venv.FS(), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || !namesItsPlace(name) {
				return nil //nolint:nilerr // unreadable inside as outside
			}
			return replaceIn(venv, filepath.FromSlash(name), from, to)
		})
		if err := errors.Join(err, venv.Close()); err != nil {
			return err
		}
	}
	return nil
}

// namesItsPlace reports whether a file of a virtual environment may hold its path.
func namesItsPlace(name string) bool {
	base := path.Base(name)
	switch {
	case path.Dir(name) == "bin", name == "pyvenv.cfg", base == "direct_url.json", base == "RECORD":
		return true
	case strings.HasSuffix(base, ".pth"), strings.HasSuffix(base, ".egg-link"):
		return true
	}
	return strings.HasPrefix(base, "__editable__") && strings.HasSuffix(base, ".py")
}

// replaceIn replaces a path in a small text file; the file keeps its mode.
func replaceIn(dir *os.Root, name, from, to string) error {
	f, err := dir.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil //nolint:nilerr // read-only: nothing that a tool made to be moved
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxScript+1))
	if err != nil || len(b) > maxScript || bytes.IndexByte(b, 0) >= 0 {
		return err
	}
	out := replacePath(b, from, to)
	if bytes.Equal(out, b) {
		return nil
	}
	_, err = f.WriteAt(out, 0)
	return errors.Join(err, f.Truncate(int64(len(out))))
}

// replacePath replaces a path where it stands as a whole or before a slash: not /a/bc for
// /a/b.
func replacePath(b []byte, from, to string) []byte {
	var out []byte
	for {
		i := bytes.Index(b, []byte(from))
		if i < 0 {
			return append(out, b...)
		}
		end := i + len(from)
		out = append(out, b[:i]...)
		if end < len(b) && !strings.ContainsRune("/\"' \t\r\n:;,)]}", rune(b[end])) {
			out = append(out, b[i:end]...)
		} else {
			out = append(out, to...)
		}
		b = b[end:]
	}
}
