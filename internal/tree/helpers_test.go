package tree_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"glue-lsp/internal/tree"
)

// put makes a file with its folders.
func put(tb testing.TB, root, path, content string) {
	tb.Helper()
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func putAll(tb testing.TB, root string, paths ...string) {
	tb.Helper()
	for _, path := range paths {
		put(tb, root, path, "content of "+path)
	}
}

func mkdir(tb testing.TB, root, path string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Join(root, path), 0o755); err != nil {
		tb.Fatal(err)
	}
}

func symlink(tb testing.TB, root, target, path string) {
	tb.Helper()
	if err := os.Symlink(target, filepath.Join(root, path)); err != nil {
		tb.Fatal(err)
	}
}

func read(tb testing.TB, root, path string) string {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func chmod(tb testing.TB, root, path string, mode os.FileMode) {
	tb.Helper()
	if err := os.Chmod(filepath.Join(root, path), mode); err != nil {
		tb.Fatal(err)
	}
}

func scan(tb testing.TB, root string, opts tree.ScanOptions, cache *tree.Cache) tree.ScanResult {
	tb.Helper()
	if opts.Format == "" {
		opts.Format = tree.SHA1
	}
	result, err := tree.Scan(context.Background(), root, opts, cache)
	if err != nil {
		tb.Fatal(err)
	}
	return result
}

func pathsOf(entries []tree.Entry) []string {
	paths := make([]string, 0, len(entries))
	for _, e := range entries {
		paths = append(paths, e.Path)
	}
	return paths
}

// reasons lists what was skipped as "path: reason".
func reasons(skipped []tree.Skipped) []string {
	var all []string
	for _, s := range skipped {
		all = append(all, s.Path+": "+string(s.Reason))
	}
	return all
}

// git runs git in dir with nobody's settings.
func git(tb testing.TB, dir, stdin string, args ...string) string {
	tb.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") }),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME="+dir, "LC_ALL=C")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		// check-ignore answers 1 when nothing is ignored.
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !slices.Contains(args, "check-ignore") {
			tb.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
		}
	}
	return string(out)
}
