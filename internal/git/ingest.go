package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// IngestLimits are for a pack that comes from a sandbox, where nothing else is
// asked for.
var IngestLimits = Limits{
	// The lists of a million objects fit; of objects that are built from deltas, and so
	// from a few bytes, there are two in memory at once.
	Memory: 768 << 20,
	Piece:  96 << 20,
	CPU:    DefaultLimits.CPU,
	Wall:   DefaultLimits.Wall,
	File:   4 << 30,
}

// strictness is what index-pack checks in each object. What a tree says is checked
// in full. How a commit spells names and dates, and what a .gitmodules says, harms
// nobody here: it is text, and refusing it would lose somebody's work.
const strictness = "--strict=" +
	"zeroPaddedFilemode=ignore," +
	"missingNameBeforeEmail=ignore,missingSpaceBeforeEmail=ignore,missingSpaceBeforeDate=ignore," +
	"missingEmail=ignore,badName=ignore,badEmail=ignore,badDate=ignore,badDateOverflow=ignore,badTimezone=ignore," +
	"zeroPaddedDate=ignore,multipleAuthors=ignore,nulInCommit=ignore,badTagName=ignore,missingTaggerEntry=ignore," +
	"gitmodulesBlob=ignore,gitmodulesLarge=ignore,gitmodulesMissing=ignore,gitmodulesName=ignore," +
	"gitmodulesParse=ignore,gitmodulesPath=ignore,gitmodulesSymlink=ignore,gitmodulesUpdate=ignore,gitmodulesUrl=ignore"

// Ingest takes in a pack or bundle from a sandbox: limits on, objects checked,
// quarantined until they are found good. On failure nothing is left of it; an
// error that wraps a *LimitError says that it was too much, any other that it was
// wrong.
func (r *Repo) Ingest(ctx context.Context, in io.Reader, l Limits) error {
	_, err := r.IngestBundle(ctx, in, l)
	return err
}

// IngestBundle is Ingest, and gives what the bundle names: ref → id, each of which
// the store then has. A bare pack names nothing. No ref of the store is changed.
func (r *Repo) IngestBundle(ctx context.Context, in io.Reader, l Limits) (map[string]string, error) {
	if l == (Limits{}) {
		l = IngestLimits
	}
	refs, err := r.ingest(ctx, in, l)
	if err != nil {
		return nil, fmt.Errorf("take in objects: %w", err)
	}
	return refs, nil
}

func (r *Repo) ingest(ctx context.Context, in io.Reader, l Limits) (map[string]string, error) {
	pack := bufio.NewReaderSize(in, 64<<10)
	header, err := readBundleHeader(pack)
	if err != nil {
		return nil, err
	}
	if header.format != "" && header.format != r.Format {
		return nil, fmt.Errorf("the bundle's objects are in the format %q, the store's in %q", header.format, r.Format)
	}
	dir, err := r.makeQuarantine()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := r.mustHave(ctx, header.needs, nil); err != nil {
		return nil, fmt.Errorf("the bundle builds on what is not here: %w", err)
	}
	env := quarantine(dir, r.Dir)
	args := []string{"-c", "core.deltaBaseCacheLimit=32m", "-c", "core.packedGitLimit=128m", "-c", "core.packedGitWindowSize=16m", "index-pack", "--stdin", "--fix-thin", "--threads=1", strictness}
	if l.File > 0 {
		args = append(args, "--max-input-size="+strconv.FormatInt(l.File, 10))
	}
	err = r.Run(ctx, Cmd{Args: args, Stdin: pack, Stdout: io.Discard, Env: env, Limits: &l})
	if err != nil {
		return nil, inputTooLarge(err, l)
	}
	if err := r.mustHave(ctx, slices.Sorted(maps.Values(header.refs)), env); err != nil {
		return nil, fmt.Errorf("the bundle lacks what it names: %w", err)
	}
	return header.refs, r.release(dir)
}

// inputTooLarge tells git's own refusal of a large input from other failures.
func inputTooLarge(err error, l Limits) error {
	var failed *Error
	if errors.As(err, &failed) && failed.Err == nil && strings.Contains(failed.Stderr, "pack exceeds maximum allowed size") {
		failed.Err = &LimitError{What: LimitFile, Max: byteCount(l.File)}
	}
	return err
}

// mustHave checks that objects are there; the error is a *NoObjectError.
func (r *Repo) mustHave(ctx context.Context, ids []string, env []string) error {
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		if err := r.checkID(id); err != nil {
			return err
		}
	}
	out, err := r.outputFrom(ctx, []byte(strings.Join(ids, "\n")+"\n"), env, "cat-file", "--buffer", "--batch-check=%(objectname)")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		if id, ok := strings.CutSuffix(strings.TrimSuffix(line, "\n"), " missing"); ok {
			return &NoObjectError{Hash: id}
		}
	}
	return nil
}
