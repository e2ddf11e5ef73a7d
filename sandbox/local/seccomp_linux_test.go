package local

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// verdict runs a filter on a system call, without a kernel.
func verdict(t *testing.T, m machine, c *confinement, arch, nr uint32, args ...uint64) unix.Errno {
	t.Helper()
	vm, err := bpf.NewVM(m.program(c.refusals()))
	if err != nil {
		t.Fatal(err)
	}
	// The machine's words are little endian, this virtual machine's big endian: the words
	// are put where the filter looks for them.
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offsetNumber:], nr)
	binary.BigEndian.PutUint32(data[offsetArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offsetArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offsetArgs+8*i+4:], uint32(a>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	switch got & 0xffff0000 {
	case unix.SECCOMP_RET_ALLOW:
		return 0
	case unix.SECCOMP_RET_ERRNO:
		return unix.Errno(got & 0xffff)
	}
	t.Fatalf("a verdict of %#x", got)
	return 0
}

func TestTheFilterRefusesWhatItsTableSaysAndNothingElse(t *testing.T) {
	const high = 1 << 32 // the kernel ignores it in an int
	on, none := &confinement{ABI: abiScopes, Network: "on"}, &confinement{ABI: abiScopes, Network: "none"}
	old, future := &confinement{ABI: minABI, Network: "on"}, &confinement{ABI: abiUnix, Network: "none"}
	for arch, m := range machines {
		for _, tt := range []struct {
			what string
			c    *confinement
			nr   uint32
			args []uint64
			want unix.Errno
		}{
			{"reading", on, unix.SYS_READ, nil, 0},
			{"opening", on, unix.SYS_OPENAT, nil, 0},
			{"an ordinary clone", on, unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD)}, 0},
			{"a thread", on, unix.SYS_CLONE, []uint64{unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_THREAD}, 0},
			{"a user namespace", on, unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER | unix.CLONE_NEWNS}, unix.EPERM},
			{"a user namespace by unshare", on, unix.SYS_UNSHARE, []uint64{high | unix.CLONE_NEWUSER}, unix.EPERM},
			{"unsharing descriptors", on, unix.SYS_UNSHARE, []uint64{unix.CLONE_FILES}, 0},
			{"clone3", on, unix.SYS_CLONE3, nil, unix.ENOSYS},
			{"TCP", on, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM}, 0},
			{"netlink", on, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW}, 0},
			{"a packet socket", on, unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_RAW}, unix.EPERM},
			{"a unix socket", on, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, unix.EPERM},
			{"a unix socket with high bits", on, unix.SYS_SOCKET, []uint64{high | unix.AF_UNIX, unix.SOCK_STREAM}, unix.EPERM},
			{"a unix socket where landlock holds them", future, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, 0},
			{"TCP without a network", none, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM}, unix.EPERM},
			{"IPv6 without a network", future, unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_DGRAM}, unix.EPERM},
			{"netlink without a network", none, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW}, unix.EPERM},
			{"a pair of sockets", none, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, 0},
			{"a pair of datagram sockets", on, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_DGRAM | unix.SOCK_NONBLOCK}, unix.EPERM},
			{"a pair of raw sockets", on, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_RAW}, unix.EPERM},
			{"a pair of datagram sockets where landlock holds them", future, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_DGRAM}, 0},
			{"typing into a terminal", on, unix.SYS_IOCTL, []uint64{0, high | unix.TIOCSTI}, unix.EPERM},
			{"pasting into a console", on, unix.SYS_IOCTL, []uint64{0, unix.TIOCLINUX}, unix.EPERM},
			{"a terminal's size", on, unix.SYS_IOCTL, []uint64{0, unix.TIOCGWINSZ}, 0},
			{"everybody's end on old kernels", old, unix.SYS_KILL, []uint64{^uint64(0), 9}, unix.EPERM},
			{"one process's end on old kernels", old, unix.SYS_KILL, []uint64{1234, 9}, 0},
			{"everybody's end where landlock holds it", on, unix.SYS_KILL, []uint64{^uint64(0), 9}, 0},
			{"a ring", on, unix.SYS_IO_URING_SETUP, nil, unix.ENOSYS},
			{"mounting", on, unix.SYS_MOUNT, nil, unix.EPERM},
			{"keys", on, unix.SYS_KEYCTL, nil, unix.EPERM},
			{"bpf", on, unix.SYS_BPF, nil, unix.EPERM},
			{"perf", on, unix.SYS_PERF_EVENT_OPEN, nil, unix.EPERM},
			{"kexec", on, unix.SYS_KEXEC_LOAD, nil, unix.EPERM},
			{"the last of a list", on, unix.SYS_OPEN_BY_HANDLE_AT, nil, unix.EPERM},
			{"tracing, which landlock holds", on, unix.SYS_PTRACE, nil, 0},
		} {
			if got := verdict(t, m, tt.c, m.arch, tt.nr, tt.args...); got != tt.want {
				t.Errorf("%s: %s: %v, want %v", arch, tt.what, got, tt.want)
			}
		}
		if got := verdict(t, m, on, unix.AUDIT_ARCH_I386, unix.SYS_READ); got != unix.EPERM {
			t.Errorf("%s: 32-bit calls: %v", arch, got)
		}
	}
	x32 := machines["amd64"]
	if got := verdict(t, x32, on, x32.arch, x32.foreign|unix.SYS_READ); got != unix.EPERM {
		t.Errorf("x32: %v", got)
	}
}

func TestEachRefusalSaysWhy(t *testing.T) {
	for _, r := range (&confinement{ABI: minABI, Network: "none"}).refusals() {
		if r.why == "" || len(r.calls) == 0 {
			t.Errorf("%+v", r)
		}
	}
	if _, err := (&confinement{ABI: minABI, Network: "none"}).filter(); err != nil {
		t.Error(err)
	}
}
