package local

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Landlock holds files; this filter of system calls holds what landlock, at the
// kernel's version, does not. It refuses and never kills: a program that asks for what
// it may not have gets EPERM, as if the machine's owner had said so.

// refusal is a system call that is refused, always or with some arguments.
type refusal struct {
	calls []uint32
	when  condition
	errno unix.Errno // EPERM if zero
	why   string
}

// condition looks at the low 32 bits of an argument; all that is looked at here are
// C's ints, of which the kernel ignores the rest, or flags in those bits.
type condition struct {
	arg  int
	kind conditionKind
	mask uint32   // is laid over the argument first; zero is all bits
	of   []uint32 // what it is compared with
}

type conditionKind int

const (
	always conditionKind = iota
	isOneOf
	isNoneOf
	hasAnyBit
)

// typeMask takes SOCK_CLOEXEC and SOCK_NONBLOCK out of a socket's type (socket(2)).
const typeMask = 0xf

// refusals are the filter as a table.
func (c *confinement) refusals() []refusal {
	families := []uint32{}
	if c.Network != "none" {
		families = append(families, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK)
	}
	if c.ABI >= abiUnix {
		families = append(families, unix.AF_UNIX)
	}
	out := []refusal{
		{
			calls: []uint32{unix.SYS_SOCKET}, when: condition{arg: 0, kind: isNoneOf, of: families},
			why: "landlock knows TCP at most; rare families reach the hypervisor or seldom used parts of the kernel, and unix sockets lead to whatever listens on this machine",
		},
		{
			calls: []uint32{unix.SYS_CLONE}, when: condition{arg: 0, kind: hasAnyBit, of: []uint32{unix.CLONE_NEWUSER}},
			why: "in a user namespace of its own a program has all capabilities, and much more of the kernel to attack",
		},
		{calls: []uint32{unix.SYS_UNSHARE}, when: condition{arg: 0, kind: hasAnyBit, of: []uint32{unix.CLONE_NEWUSER}}, why: "the same"},
		{
			calls: []uint32{unix.SYS_CLONE3}, errno: unix.ENOSYS,
			why: "its flags lie in memory, where no filter sees them; C libraries then use clone",
		},
		{
			calls: []uint32{unix.SYS_IOCTL}, when: condition{arg: 1, kind: isOneOf, of: []uint32{unix.TIOCSTI, unix.TIOCLINUX}},
			why: "they type into terminals",
		},
		{
			calls: []uint32{unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER}, errno: unix.ENOSYS,
			why: "what is done through a ring does not pass this filter",
		},
		{
			calls: []uint32{
				unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_FSCONFIG,
				unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_SETNS, unix.SYS_CHROOT,
			},
			why: "what landlock allows is said of the tree of mounts as it is",
		},
		{
			calls: []uint32{unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY},
			why:   "the person's keyrings hold keys and tickets",
		},
		{
			calls: []uint32{unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD},
			why:   "they watch or hold up the kernel, and attacks on it need them",
		},
		{
			calls: []uint32{
				unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT,
				unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_SYSLOG, unix.SYS_OPEN_BY_HANDLE_AT,
			},
			why: "they are for the machine's administrator",
		},
	}
	if c.ABI < abiUnix {
		out = append(out, refusal{
			calls: []uint32{unix.SYS_SOCKETPAIR}, when: condition{arg: 1, kind: isNoneOf, mask: typeMask, of: []uint32{unix.SOCK_STREAM, unix.SOCK_SEQPACKET}},
			why: "a datagram socket, though one of a pair, can send to any other by its path",
		})
	}
	if c.ABI < abiScopes {
		out = append(out, refusal{
			calls: []uint32{unix.SYS_KILL}, when: condition{arg: 0, kind: isOneOf, of: []uint32{^uint32(0)}},
			why: "pid -1 is every process of the person",
		})
	}
	return out
}

// machine is what a filter has to know of a processor.
type machine struct {
	arch uint32 // AUDIT_ARCH_*, in <linux/audit.h>
	// foreign is the bit of system calls' numbers that marks those of another ABI; zero
	// is none.
	foreign uint32
}

// machines are the processors for which the table's numbers hold.
var machines = map[string]machine{
	"amd64": {arch: unix.AUDIT_ARCH_X86_64, foreign: 0x40000000}, // x32
	"arm64": {arch: unix.AUDIT_ARCH_AARCH64},
}

// Offsets in struct seccomp_data, see seccomp(2).
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// filter assembles the table for this processor.
func (c *confinement) filter() ([]bpf.RawInstruction, error) {
	m, ok := machines[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("there is no filter of system calls for %s", runtime.GOARCH)
	}
	return bpf.Assemble(m.program(c.refusals()))
}

// program lays the table out. A call made by another processor mode's numbers is
// refused: the table would be read for another call.
func (m machine) program(table []refusal) []bpf.Instruction {
	refuse := func(e unix.Errno) bpf.Instruction {
		if e == 0 {
			e = unix.EPERM
		}
		return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(e)}
	}
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: m.arch, SkipTrue: 1},
		refuse(unix.EPERM),
		bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
	}
	if m.foreign != 0 {
		out = append(out, bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: m.foreign, SkipTrue: 1}, refuse(unix.EPERM))
	}
	for _, r := range table {
		block := append(r.when.instructions(), refuse(r.errno))
		// The accumulator holds the number again after each block, which is left by its end
		// or by a return.
		if r.when.kind != always {
			block = append(block, bpf.LoadAbsolute{Off: offsetNumber, Size: 4})
		}
		for i, nr := range r.calls {
			// To the block, or past it.
			if i < len(r.calls)-1 {
				out = append(out, bpf.JumpIf{Cond: bpf.JumpEqual, Val: nr, SkipTrue: uint8(len(r.calls) - 1 - i)})
				continue
			}
			out = append(out, bpf.JumpIf{Cond: bpf.JumpEqual, Val: nr, SkipFalse: uint8(len(block))})
		}
		out = append(out, block...)
	}
	return append(out, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
}

// instructions go on to the refusal, which follows them, if the condition is met, and
// else past it.
func (w condition) instructions() []bpf.Instruction {
	if w.kind == always {
		return nil
	}
	out := []bpf.Instruction{bpf.LoadAbsolute{Off: offsetArgs + 8*uint32(w.arg), Size: 4}} // little endian: the low half is first
	if w.mask != 0 {
		out = append(out, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: w.mask})
	}
	switch w.kind {
	case hasAnyBit:
		var bits uint32
		for _, b := range w.of {
			bits |= b
		}
		return append(out, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: bits, SkipFalse: 1})
	case isNoneOf:
		for i, v := range w.of {
			out = append(out, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(w.of) - i)})
		}
	default:
		for i, v := range w.of {
			last := i == len(w.of)-1
			j := bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(len(w.of) - 1 - i)}
			if last {
				j.SkipFalse = 1
			}
			out = append(out, j)
		}
	}
	return out
}

// install puts the filter on this thread, see PR_SET_SECCOMP in prctl(2). no_new_privs
// must be set.
func install(filter []bpf.RawInstruction) error {
	program := make([]unix.SockFilter, len(filter))
	for i, in := range filter {
		program[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	p := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&p)), 0, 0)
	runtime.KeepAlive(program)
	if errors.Is(err, unix.EINVAL) {
		return errors.New("this kernel has no filters of system calls (CONFIG_SECCOMP_FILTER)")
	}
	return os.NewSyscallError("seccomp", err)
}
