package workspace

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"glue-lsp/internal/git"
)

// Patch is a unified difference of two trees in the store. It holds text files only:
// of a binary one it says that it differs. A path that is not "" limits it to that
// file or folder. After max bytes (max <= 0: no limit) it stops at the end of a line
// and says so in a last line, so that it can be shown whole.
func (s *Store) Patch(ctx context.Context, from, to, path string, max int64) (string, error) {
	args := append(diffTree("-p"), from, to)
	if path != "" {
		args = append(args, "--", path)
	}
	text, cut, err := s.outputUpTo(ctx, max, args...)
	if err != nil {
		return "", storeError("make a patch of", path, err)
	}
	if !cut {
		return string(text), nil
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	return fmt.Sprintf("%s# cut here: the patch is longer than %d bytes\n", text, max), nil
}

// outputUpTo gives the first max bytes of a command's output (max <= 0: all), and
// whether there was more: then the command was ended.
func (s *Store) outputUpTo(ctx context.Context, max int64, args ...string) (text []byte, cut bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &boundedBuffer{max: max, full: cancel}
	if err := s.Repo.Run(ctx, git.Cmd{Args: args, Stdout: out}); err != nil && !out.cut {
		return nil, false, err
	}
	return out.kept.Bytes(), out.cut, nil
}

var errFull = errors.New("the limit is reached")

// boundedBuffer keeps the first max bytes and then ends whoever writes.
type boundedBuffer struct {
	kept bytes.Buffer
	max  int64
	full func()
	cut  bool
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if room := b.max - int64(b.kept.Len()); b.max > 0 && int64(len(p)) > room {
		b.kept.Write(p[:max(room, 0)])
		b.cut = true
		b.full()
		return 0, errFull
	}
	return b.kept.Write(p)
}
