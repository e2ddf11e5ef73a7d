package local

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"glue-lsp/sandbox"
)

// maxLinks bounds the links that are looked at, and maxLooked the names among which they
// are searched.
const (
	maxLinks  = 5000
	maxLooked = 50_000
)

// checkLent says what a sandbox is lent, and which links in it lead nowhere inside.
func checkLent(ctx context.Context, box sandbox.Sandbox, spec sandbox.Spec) []sandbox.Check {
	var checks []sandbox.Check
	var links []string
	for _, l := range box.Info().Lent {
		c := sandbox.Check{Name: "shared folder", Status: "ok", Detail: l.Path + ": " + howLent(l.How)}
		switch l.How {
		case "":
			c.Status, c.Detail, c.Hint = "warn", l.Path+" is not in the sandbox", l.Problem
		case sandbox.LentOverlay:
			links = append(links, linksOf(ctx, spec.HostRoot, l.Path)...)
		}
		checks = append(checks, c)
	}
	if len(links) == 0 {
		return checks
	}
	if c, broken := checkLinks(ctx, box, spec, links[:min(len(links), maxLinks)]); broken {
		checks = append(checks, c)
	}
	return checks
}

func howLent(how string) string {
	switch how {
	case sandbox.LentOverlay:
		return "lent; what commands write there stays in the sandbox"
	}
	return "copied when a session opens"
}

// linksOf lists links below a folder that lead somewhere on the host.
func linksOf(ctx context.Context, root, dir string) []string {
	var out []string
	looked := 0
	_ = filepath.WalkDir(filepath.Join(root, filepath.FromSlash(dir)), func(name string, d fs.DirEntry, err error) error {
		if looked++; err != nil || ctx.Err() != nil || looked > maxLooked || len(out) >= maxLinks {
			return fs.SkipAll
		}
		if d.Type()&fs.ModeSymlink == 0 {
			return nil
		}
		if _, err := os.Stat(name); err != nil {
			return nil //nolint:nilerr // broken here too
		}
		if rel, err := filepath.Rel(root, name); err == nil {
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	return out
}

// checkLinks finds the links that lead nowhere in the sandbox. Its tree is empty but for
// what is lent, so that a link into the tree is not one of them.
func checkLinks(ctx context.Context, box sandbox.Sandbox, spec sandbox.Spec, links []string) (sandbox.Check, bool) {
	root := box.Info().Root
	paths := make([]string, len(links))
	for i, l := range links {
		paths[i] = path.Join(root, l)
	}
	stats, err := box.StatMany(ctx, paths)
	if err != nil {
		return sandbox.Check{}, false
	}
	var broken []string
	for i, s := range stats {
		if s.Err == nil && (!s.Info.IsSymlink || s.Info.Type != "other") {
			continue
		}
		real, err := filepath.EvalSymlinks(filepath.Join(spec.HostRoot, filepath.FromSlash(links[i])))
		if err != nil || within(spec.HostRoot, real) {
			continue
		}
		broken = append(broken, links[i]+" → "+real)
	}
	if len(broken) == 0 {
		return sandbox.Check{}, false
	}
	shown := strings.Join(broken[:min(3, len(broken))], ", ")
	return sandbox.Check{
		Name: "links out of shared folders", Status: "warn", Detail: fmt.Sprintf("%d lead to what a sandbox does not have: %s", len(broken), shown),
		Hint: "install there what they lead to instead of linking it, or name commands in the setting setup that install it inside",
	}, true
}
