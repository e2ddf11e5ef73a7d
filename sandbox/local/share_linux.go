package local

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"glue-lsp/sandbox/agent"
)

// ownFolder reports whether an overlay can stand for a folder below root: it is one, no
// link leads to it, and its owner is one that this user can be in a user namespace, where a
// file of anybody else cannot be changed.
func ownFolder(root, path string) bool {
	dir, err := openFolder(root, path)
	if err != nil {
		return false
	}
	defer dir.Close()
	info, err := dir.Stat(".")
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (os.Geteuid() == 0 || int(st.Uid) == os.Geteuid() && int(st.Gid) == os.Getegid())
}

// mayOwnUsers reports whether mounting in a user namespace is another way than the one
// that was tried.
func (p *plan) mayOwnUsers() bool { return os.Geteuid() == 0 }

// stage is the program that mounts the overlays before the launcher runs.
type stage struct {
	read, write *os.File
	loans       []int
}

// stageFor makes a command begin with the mounting of the plan's overlays; nil where
// there are none.
func (p *plan) stageFor(cmd *exec.Cmd) (*stage, error) {
	loans := p.byOverlay()
	if len(loans) == 0 {
		return nil, nil
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	overlays := make([]agent.Overlay, len(loans))
	for i, n := range loans {
		overlays[i] = p.overlay(n)
	}
	cmd.Path, cmd.Args = p.agentPath, append([]string{p.agentPath}, agent.LendArgs(overlays, cmd.Args)...)
	for len(cmd.ExtraFiles) < agent.ReportFD-3 {
		cmd.ExtraFiles = append(cmd.ExtraFiles, nil)
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, w)
	attr := cmd.SysProcAttr
	attr.Cloneflags = syscall.CLONE_NEWNS
	if p.ownUsers || os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_DAC_OVERRIDE, unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_CHOWN}
	}
	return &stage{read: r, write: w, loans: loans}, nil
}

// report waits until everything is mounted, or nothing more will be, and gives what was
// refused and why.
func (s *stage) report() map[int]string {
	s.write.Close()
	out := map[int]string{}
	lines := bufio.NewScanner(s.read)
	for lines.Scan() {
		index, why, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.Atoi(index); err == nil && n >= 0 && n < len(s.loans) {
			out[s.loans[n]] = why
		}
	}
	return out
}

func (s *stage) close() {
	if s != nil {
		s.read.Close()
		s.write.Close()
	}
}

// cloneFile makes dst a copy of src that shares its blocks, see ioctl_ficlone(2).
func cloneFile(dst, src *os.File) error { return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) }

// leadsToHostRoot reports whether the host's path of the root can lead to the workspace:
// not where that would hide something else that a sandbox needs.
func (p *plan) leadsToHostRoot(home string) bool {
	root := p.spec.HostRoot
	if !filepath.IsAbs(root) || root == "/" || filepath.Clean(root) != root || within(root, workspaceRoot) || within(workspaceRoot, root) {
		return false
	}
	needed := append([]string{home, realHome(p.environ), "/tmp", "/var/tmp", insideRun, "/etc"}, shownRoots...)
	for _, at := range append(needed, emptyRoots...) {
		if at != "" && within(root, at) {
			return false
		}
	}
	// Nor in the caches, in which commands' links lead anywhere.
	for _, at := range []string{"/proc", "/sys", "/dev/pts", insideRun, filepath.Join(home, cacheName)} {
		if within(at, root) {
			return false
		}
	}
	return true
}

// hostRootArgs make the host's path of the root lead to the workspace. It is a link, so
// that a file has one real path, unless the folder itself can be seen there.
func (p *plan) hostRootArgs(v *view, home string) ([]string, error) {
	root := p.spec.HostRoot
	if v.visible(root) {
		return []string{"--bind", p.dirs.tree, root}, nil
	}
	for at, dir := range map[string]string{home: p.dirs.home, "/tmp": p.dirs.tmp, "/var/tmp": p.dirs.varTmp} {
		if rel, err := filepath.Rel(at, root); err == nil && filepath.IsLocal(rel) {
			// A second attempt meets it, which bubblewrap would take for a mistake.
			return nil, linkIn(dir, rel, workspaceRoot)
		}
	}
	return []string{"--symlink", workspaceRoot, root}, nil
}

// withoutBelow takes out what would be shown of a folder: PATH may name programs of the
// workspace, which its own tree has.
func (v *view) withoutBelow(dir string) {
	v.binds = slices.DeleteFunc(v.binds, func(b bind) bool { return within(dir, b.at) })
	below := func(p string) bool { return within(dir, p) }
	v.maskDir, v.maskFile = slices.DeleteFunc(v.maskDir, below), slices.DeleteFunc(v.maskFile, below)
}
