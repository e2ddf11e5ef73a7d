package agent

import (
	"syscall"
	"time"
)

// killDeadline bounds the killing itself: what is still there then does not die.
const killDeadline = 10 * time.Second

// process is one line of the process table.
type process struct {
	pid, ppid, session int
	zombie             bool
	mark               uint64 // of the command that it descends from, or 0
	descends           bool   // from the agent
}

// scan lists the living processes that descend from the agent or carry one of its
// marks. A process is the command's if it carries its mark, belongs to its session
// or descends from one that does.
func (t *execTable) scan() []process {
	commands := t.all()
	roots := make(map[int]uint64, len(commands))
	byID := make(map[string]uint64, len(commands))
	for _, c := range commands {
		byID[c.id] = c.mark
		c.mu.Lock()
		if !c.exited {
			roots[c.proc.Pid] = c.mark
		}
		c.mu.Unlock()
	}
	table := t.marks.table(byID)
	family(table, roots)
	out := make([]process, 0, len(table))
	for _, p := range table {
		if p.zombie || (!p.descends && p.mark == 0) {
			continue
		}
		out = append(out, *p)
	}
	return out
}

// family gives each process the mark that it has by descent, and says which descend
// from the agent.
func family(table map[int]*process, roots map[int]uint64) {
	for pid, mark := range roots {
		if p := table[pid]; p != nil {
			p.mark = mark
		}
	}
	for again := true; again; {
		again = false
		for _, p := range table {
			if parent := table[p.ppid]; parent != nil {
				if p.mark == 0 && parent.mark != 0 {
					p.mark, again = parent.mark, true
				}
				if !p.descends && parent.descends {
					p.descends, again = true, true
				}
			}
			if mark := roots[p.session]; p.mark == 0 && mark != 0 {
				p.mark, again = mark, true
			}
		}
	}
}

// killAll ends the processes that match: TERM, a grace, then KILL until none is left.
// What it killed is then no process any more, not even a zombie.
func (t *execTable) killAll(match func(process) bool) {
	defer t.reapKilled()
	asked := t.matching(match)
	signalEach(asked, syscall.SIGTERM)
	signalEach(asked, syscall.SIGCONT) // a stopped process does not see TERM before it goes on
	if t.gone(match, time.Now().Add(endGrace), func([]process) {}) {
		return
	}
	deadline := time.Now().Add(killDeadline)
	if !t.gone(match, deadline, func(left []process) { signalEach(left, syscall.SIGKILL) }) {
		t.d.cfg.log("some processes could not be killed")
	}
}

func (t *execTable) matching(match func(process) bool) []process {
	var out []process
	for _, p := range t.scan() {
		if match(p) {
			out = append(out, p)
		}
	}
	return out
}

func signalEach(ps []process, sig syscall.Signal) {
	for _, p := range ps {
		_ = syscall.Kill(p.pid, sig)
	}
}

// gone polls until no process matches; each round may do something about the rest.
func (t *execTable) gone(match func(process) bool, deadline time.Time, round func([]process)) bool {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		left := t.matching(match)
		if len(left) == 0 {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		round(left)
		time.Sleep(pause)
	}
}
