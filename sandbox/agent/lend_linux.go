package agent

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// lend mounts the overlays and becomes another program. It runs in a mount namespace of
// its own, so that nobody else sees the mounts, and they end with it.
func lend(args []string) error {
	overlays, argv, ok := readLendArgs(args)
	if !ok {
		return errors.New("want folders and a program")
	}
	unix.CloseOnExec(ReportFD)
	report := os.NewFile(ReportFD, "report")
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts private: %w", err)
	}
	ownUsers := inUserNamespace()
	failed := 0
	for i, o := range overlays {
		if err := o.mount(ownUsers); err != nil {
			failed++
			fmt.Fprintf(report, "%d %s\n", i, strings.ReplaceAll(err.Error(), "\n", " "))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d folders could not be lent", failed, len(overlays))
	}
	// The capabilities were for mounting; bubblewrap refuses to start with any.
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up capabilities: %w", err)
	}
	return fmt.Errorf("%s: %w", argv[0], syscall.Exec(argv[0], argv, os.Environ()))
}

// inUserNamespace reports whether this process is root only over itself: it then marks
// what it deletes in an overlay by attributes that need no privilege.
func inUserNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	return err != nil || strings.Join(strings.Fields(string(b)), " ") != "0 0 4294967295"
}

// mount puts the overlay up, see "Overlay Filesystem" in the kernel's documentation.
// Folders are named by descriptor: no character of a path is special, and what is lent
// is what was looked at.
func (o Overlay) mount(ownUsers bool) error {
	lower, err := openLent(o.Root, o.Path)
	if err != nil {
		return fmt.Errorf("%s%s: %w", FolderTrouble, o.Path, err)
	}
	defer unix.Close(lower)
	var fds [2]int
	for i, dir := range []string{o.Upper, o.Work} {
		if fds[i], err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		defer unix.Close(fds[i])
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", byDescriptor(lower), byDescriptor(fds[0]), byDescriptor(fds[1]))
	if ownUsers {
		options += ",userxattr"
	} else {
		// Without this, renaming a lent folder fails as between file systems.
		options += ",redirect_dir=on"
	}
	// What is written need not outlive a power cut: the sandbox does not either.
	err = unix.Mount("overlay", o.At, "overlay", unix.MS_NOSUID|unix.MS_NODEV, options+",volatile")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("overlay", o.At, "overlay", unix.MS_NOSUID|unix.MS_NODEV, options)
	}
	if err != nil {
		return fmt.Errorf("overlay: %w", err)
	}
	return nil
}

func byDescriptor(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// openLent opens a folder below root, through no link.
func openLent(root, path string) (int, error) {
	top, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(top)
	return unix.Openat2(top, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
}
