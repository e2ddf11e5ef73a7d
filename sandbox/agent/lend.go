package agent

// Overlay is one folder that is lent to a sandbox: the sandbox sees it at At and may
// write to it, and what it writes goes to Upper.
type Overlay struct {
	Root  string // absolute; no link is followed below it
	Path  string // of the lent folder, relative to Root
	At    string // an empty folder, on which it is mounted
	Upper string // an empty folder for what changes
	Work  string // an empty folder on the same file system, the kernel's own
}

// ReportFD is the descriptor on which [LendArgs] tells the overlays that could not be
// mounted, each as "<index> <why>\n". It is closed when all are.
const ReportFD = 4

// FolderTrouble begins the report of an overlay whose folder could not be opened. All
// others are about mounting.
const FolderTrouble = "folder "

// LendArgs are the arguments with which a program that asks IsAgent mounts overlays and
// then becomes argv, in the mount namespace that it was started in. With a failure it ends
// with a status other than 0, and argv is not run.
func LendArgs(overlays []Overlay, argv []string) []string {
	list := []string{Word, "lend"}
	for _, o := range overlays {
		list = append(list, o.Root, o.Path, o.At, o.Upper, o.Work)
	}
	return append(append(list, "--"), argv...)
}

// readLendArgs is the other end of LendArgs. No path is "--": all begin with a slash,
// but Path, which is never the first of its five.
func readLendArgs(args []string) (overlays []Overlay, argv []string, ok bool) {
	for len(args) > 5 && args[0] != "--" {
		overlays = append(overlays, Overlay{Root: args[0], Path: args[1], At: args[2], Upper: args[3], Work: args[4]})
		args = args[5:]
	}
	if len(args) < 2 || args[0] != "--" {
		return nil, nil, false
	}
	return overlays, args[1:], true
}
