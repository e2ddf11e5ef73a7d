package session

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"

	"glue-lsp/sandbox"
)

// installMarks are files that package managers write into a folder of dependencies
// whenever they changed it, relative to that folder.
var installMarks = []string{
	".package-lock.json", ".yarn-integrity", ".yarn-state.yml", ".modules.yaml", // npm, yarn, pnpm
	"modules.txt", "composer/installed.json", // Go, PHP
}

// lentView is what was last seen of a lent folder.
type lentView struct {
	host      os.FileInfo // the folder on the host
	installed string      // stands for what is installed in the sandbox's
	told      bool
}

// noticeLent tells once of each lent folder that a command installed something in it,
// since that does not come back, and that the host's was replaced, which a sandbox that
// reads it does not follow. It is called by one goroutine at a time.
func (s *Session) noticeLent(ctx context.Context, sb sandbox.Sandbox) {
	if s.ws == nil {
		return
	}
	root := s.ws.Root()
	for _, dir := range s.snapshotState().Lent {
		installed, ok := installedIn(ctx, sb, path.Join(sb.Info().Root, dir))
		host, err := os.Lstat(filepath.Join(root, filepath.FromSlash(dir)))
		if !ok || err != nil {
			continue
		}
		was, known := s.lent[dir]
		if !known {
			if s.lent == nil {
				s.lent = map[string]*lentView{}
			}
			s.lent[dir] = &lentView{host: host, installed: installed}
			continue
		}
		switch {
		case was.told:
		case installed != was.installed:
			was.told = true
			s.warn("%s was changed in the sandbox and does not come back, since git ignores it; run the same command here to have it here", dir)
		case !os.SameFile(host, was.host):
			was.told = true
			s.warn("%s was replaced here since the session was opened; open a new session to have it in the sandbox", dir)
		}
	}
}

// installedIn gives a text that changes when something is installed in a folder of the
// sandbox; ok is false where that cannot be told.
func installedIn(ctx context.Context, sb sandbox.Sandbox, dir string) (text string, ok bool) {
	paths := []string{path.Join(dir, "pyvenv.cfg")}
	for _, mark := range installMarks {
		paths = append(paths, path.Join(dir, mark))
	}
	stats, err := sb.StatMany(ctx, paths)
	if err != nil || len(stats) != len(paths) {
		return "", false
	}
	var b strings.Builder
	for i, st := range stats {
		if i > 0 && st.Err == nil {
			b.WriteString(paths[i] + " " + st.Info.ModTime.UTC().String() + "\n")
		}
	}
	if stats[0].Err == nil {
		b.WriteString(distributions(ctx, sb, path.Join(dir, "lib")))
	}
	return b.String(), true
}

// distributions names what is installed in a virtual environment: each distribution has a
// folder named for its version there, see "Recording installed projects" in the Python
// packaging specifications.
func distributions(ctx context.Context, sb sandbox.Sandbox, lib string) string {
	versions, err := sb.ReadDir(ctx, lib)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, v := range versions {
		packages, err := sb.ReadDir(ctx, path.Join(lib, v.Name, "site-packages"))
		if err != nil {
			continue
		}
		for _, p := range packages {
			if strings.HasSuffix(p.Name, ".dist-info") {
				b.WriteString(p.Name + "\n")
			}
		}
	}
	return b.String()
}
