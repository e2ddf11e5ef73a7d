package agent

import (
	"errors"
	"os"
	"runtime"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Since Linux 6.12, a process in a landlock domain with this scope cannot signal one
// outside of it; see "IPC scoping" in https://docs.kernel.org/userspace-api/landlock.html.
const abiSignals = 6

// erratumThreads is fixed where threads of one process may signal each other across
// domains, as Go's do all the time; see "Landlock errata" there.
const erratumThreads = 1 << 1

// shield runs what starts commands on a thread that has entered a landlock domain below
// the agent's own. Commands inherit it, and can neither signal nor trace the agent, which
// still can do both to them. Without a PID namespace nothing else keeps them from it.
// Where the kernel cannot, commands are started as without.
func shield(done <-chan struct{}) (spawn func(func() error) error) {
	plain := func(start func() error) error { return start() }
	abi, err := ll.LandlockGetABIVersion()
	if err != nil || abi < abiSignals {
		return plain
	}
	if fixed, err := ll.LandlockGetErrata(); err != nil || fixed&erratumThreads == 0 {
		return plain
	}
	type job struct {
		start func() error
		err   chan error
	}
	jobs, ready := make(chan job), make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this function
		err := enterDomain()
		ready <- err
		if err != nil {
			return
		}
		for {
			select {
			case j := <-jobs:
				j.err <- j.start()
			case <-done:
				return
			}
		}
	}()
	if <-ready != nil {
		return plain
	}
	return func(start func() error) error {
		j := job{start, make(chan error, 1)}
		select {
		case jobs <- j:
			return <-j.err
		case <-done:
			return errors.New("the agent is ending")
		}
	}
}

// enterDomain restricts this thread alone. no_new_privs must be set.
func enterDomain() error {
	fd, err := ll.LandlockCreateRuleset(&ll.RulesetAttr{Scoped: ll.ScopeSignal}, 0)
	if err != nil {
		return os.NewSyscallError("landlock_create_ruleset", err)
	}
	defer unix.Close(fd)
	return os.NewSyscallError("landlock_restrict_self", ll.LandlockRestrictSelf(fd, 0))
}
