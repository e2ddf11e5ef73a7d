package git

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"glue-lsp/internal/tree"
)

// sourceHead is the HEAD of the user's repository.
type sourceHead struct {
	ref    string // full name, "" when detached
	branch string // short name, "" when detached
	id     string // set when detached
}

const (
	maxRefFile    = 64 << 10
	maxRefLine    = 1 << 20
	maxSymrefs    = 5 // as git's own limit
	refMarker     = "ref:"
	branchesBelow = "refs/heads/"
)

// readHead reads HEAD, which is a commit's id, "ref: <name>", or in old
// repositories a link to the file of a ref.
func readHead(f found) (sourceHead, error) {
	name := filepath.Join(f.gitDir, "HEAD")
	var content string
	if target, err := os.Readlink(name); err == nil {
		content = refMarker + target
	} else {
		b, err := readSmall(name, maxRefFile)
		if err != nil {
			return sourceHead{}, &CorruptError{Path: f.gitDir, Why: "HEAD cannot be read: " + err.Error()}
		}
		content = strings.TrimSpace(string(b))
	}
	if ref, ok := strings.CutPrefix(content, refMarker); ok {
		ref = strings.TrimSpace(ref)
		if err := checkRef(ref); err != nil {
			return sourceHead{}, &CorruptError{Path: f.gitDir, Why: "HEAD: " + err.Error()}
		}
		return sourceHead{ref: ref, branch: strings.TrimPrefix(ref, branchesBelow)}, nil
	}
	if !hexID.MatchString(content) {
		return sourceHead{}, &CorruptError{Path: f.gitDir, Why: "HEAD names neither a branch nor a commit"}
	}
	return sourceHead{id: content}, nil
}

// resolve gives the commit that HEAD stands for, "" when its branch is unborn.
func (h sourceHead) resolve(f found, format tree.Format) (string, error) {
	id, ref := h.id, h.ref
	for range maxSymrefs {
		if ref == "" {
			break
		}
		content, err := readRef(f, ref)
		if err != nil || content == "" {
			return "", err
		}
		if next, ok := strings.CutPrefix(content, refMarker); ok {
			ref = strings.TrimSpace(next)
			if err := checkRef(ref); err != nil {
				return "", &CorruptError{Path: f.gitDir, Why: err.Error()}
			}
			continue
		}
		id, ref = content, ""
	}
	if err := checkID(format, id); err != nil {
		return "", &CorruptError{Path: f.gitDir, Why: "HEAD: " + err.Error()}
	}
	return id, nil
}

// readRef gives the content of a ref, "" if there is none: its own file if it has
// one, else a line of packed-refs.
func readRef(f found, ref string) (string, error) {
	for _, dir := range []string{f.gitDir, f.commonDir} {
		content, err := readSmall(filepath.Join(dir, filepath.FromSlash(ref)), maxRefFile)
		if err == nil {
			return strings.TrimSpace(string(content)), nil
		}
		var pathError *os.PathError
		if !errors.As(err, &pathError) {
			continue // a folder: "a" is asked for and "a/b" exists
		}
		if !errors.Is(err, os.ErrNotExist) && !isNotDir(err) {
			return "", err
		}
	}
	return packedRef(f, ref)
}

// packedRef looks a ref up in packed-refs.
func packedRef(f found, ref string) (string, error) {
	found := ""
	err := eachPackedRef(f, func(id, name string) bool {
		if name == ref {
			found = id
		}
		return found == ""
	})
	return found, err
}

// eachPackedRef reads packed-refs, lines of "<id> <name>", until more says no.
func eachPackedRef(f found, more func(id, name string) bool) error {
	file, err := os.Open(filepath.Join(f.commonDir, "packed-refs"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxRefLine)
	for lines.Scan() {
		if id, name, ok := bytes.Cut(lines.Bytes(), []byte{' '}); ok && !more(string(id), string(name)) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return &CorruptError{Path: f.commonDir, Why: fmt.Sprintf("packed-refs cannot be read: %v", err)}
	}
	return nil
}

// countStashes counts the entries of the stash: the lines of its log, which is
// where all but the newest live.
func countStashes(f found) (int, error) {
	ref, err := readRef(f, "refs/stash")
	if err != nil || ref == "" {
		return 0, err
	}
	log, err := os.ReadFile(filepath.Join(f.commonDir, "logs", "refs", "stash"))
	if errors.Is(err, os.ErrNotExist) {
		return 1, nil
	}
	return max(1, bytes.Count(log, []byte{'\n'})), err
}

const (
	tagsBelow = "refs/tags/"
	maxTags   = 100_000
)

// readTags gives the repository's tags, full name → id.
func readTags(src *Source) (map[string]string, error) { return readRefsBelow(src, tagsBelow, maxTags) }

// readRefsBelow gives at most max of the repository's shared refs whose names begin with
// prefix, full name → id; the files of loose ones go before the lines of packed-refs.
// What is no plain ref is passed over.
func readRefsBelow(src *Source, prefix string, max int) (map[string]string, error) {
	refs := map[string]string{}
	add := func(name, id string) {
		if strings.HasPrefix(name, prefix) && checkRef(name) == nil && checkID(src.Format, id) == nil && len(refs) < max {
			refs[name] = id
		}
	}
	err := eachPackedRef(found{commonDir: src.CommonDir}, func(id, name string) bool {
		add(name, id)
		return true
	})
	if err != nil {
		return nil, err
	}
	top := filepath.Join(src.CommonDir, filepath.FromSlash(prefix))
	err = filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !d.Type().IsRegular():
			return nil
		}
		rel, err := filepath.Rel(top, file)
		if err != nil {
			return err
		}
		if content, err := readSmall(file, maxRefFile); err == nil {
			add(prefix+filepath.ToSlash(rel), strings.TrimSpace(string(content)))
		}
		return nil
	})
	return refs, err
}
