package modal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

const (
	// outputWindow is how far each stream of a command may be ahead of what was taken here.
	outputWindow = 1 << 20
	// maxEnded is how many commands that have ended can be found again, and maxEndedOutput
	// how many of them with what they printed.
	maxEnded       = 256
	maxEndedOutput = 16
)

// directExecs are a sandbox's commands by their ids.
type directExecs struct {
	mu    sync.Mutex
	byID  map[string]*directExec
	ended []*directExec // the oldest first
	feeds sync.WaitGroup
}

func (x *directExecs) init() { x.byID = map[string]*directExec{} }

// settle waits for the goroutines of commands that have all ended.
func (x *directExecs) settle() { x.feeds.Wait() }

// claim enters a command, and reports false where its id is taken.
func (x *directExecs) claim(e *directExec) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.byID[e.id] != nil {
		return false
	}
	x.byID[e.id] = e
	return true
}

func (x *directExecs) forget(e *directExec) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.byID, e.id)
}

// keep notes that a command has ended, and forgets the oldest ones.
func (x *directExecs) keep(e *directExec) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ended = append(x.ended, e)
	if over := len(x.ended) - maxEndedOutput; over > 0 {
		x.ended[over-1].out.Forget()
	}
	for len(x.ended) > maxEnded {
		delete(x.byID, x.ended[0].id)
		x.ended = x.ended[1:]
	}
}

func (x *directExecs) find(id string) *directExec {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.byID[id]
}

// directExec is a command.
type directExec struct {
	d       *direct
	own     bool
	id      string
	command string // for people
	began   time.Time
	p       *sidecarProcess // which holds it
	out     *agent.Output
	typing  chan struct{} // held while input is sent

	mu       sync.Mutex
	arrived  []arrival
	news     chan struct{} // has one when something arrived
	canceled bool

	over   chan struct{} // closed when result and err are set
	result sandbox.ExecResult
	err    error
}

// arrival is a piece of output, or with an end, that.
type arrival struct {
	stream sandbox.Stream
	data   []byte
	end    *execEnd
}

// execEnd is the sidecar's exec/exit.
type execEnd struct {
	ExitCode int
	Signal   string
	TimedOut bool
	Error    *struct {
		Kind    sandbox.Kind
		Message string
	}
}

// name is the command's among those of all sandboxes.
func (e *directExec) name() string { return e.d.info.ID + "/" + e.id }

// Start implements [sandbox.Sandbox].
func (d *direct) Start(ctx context.Context, req sandbox.ExecRequest) (sandbox.Process, error) {
	p, err := d.start(ctx, "exec", req, false)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// start starts a command, the caller's or one of our own, which is not listed.
func (d *direct) start(ctx context.Context, op string, req sandbox.ExecRequest, own bool) (*directProcess, error) {
	params, err := d.execParams(ctx, op, req)
	if err != nil {
		return nil, err
	}
	e := &directExec{
		d: d, own: own, id: req.ID, command: req.Command, out: agent.NewOutput(), typing: make(chan struct{}, 1),
		news: make(chan struct{}, 1), over: make(chan struct{}),
	}
	if e.id == "" {
		e.id = newNonce()
	}
	if e.command == "" {
		e.command = strings.Join(req.Argv, " ")
	}
	if !d.execs.claim(e) {
		return nil, refuse(sandbox.Conflict, op, "", "there is a command with the id "+e.id+" already")
	}
	if why := d.death(); why != nil {
		d.execs.forget(e)
		return nil, ended(why, op, "")
	}
	if e.p, err = d.process(ctx); err != nil {
		d.execs.forget(e)
		return nil, d.failed(ctx, op, "", err)
	}
	params["execId"] = e.name()
	unsubscribe := e.p.subscribe(e.name(), e.hear)
	e.began = time.Now()
	program := e.command
	if len(req.Argv) > 0 {
		program = req.Argv[0]
	}
	if err := d.call(ctx, op, clip(program, 200), "exec/start", params, nil); err != nil {
		unsubscribe()
		d.execs.forget(e)
		return nil, err
	}
	reader, _ := e.out.Attach(sandbox.Offsets{})
	d.execs.feeds.Go(func() {
		defer unsubscribe()
		e.feed()
	})
	return &directProcess{directExec: e, reader: reader}, nil
}

// execParams checks a request, and says it in the sidecar's words.
func (d *direct) execParams(ctx context.Context, op string, req sandbox.ExecRequest) (map[string]any, error) {
	bad := func(message string) (map[string]any, error) {
		return nil, refuse(sandbox.InvalidParams, op, "", message)
	}
	argv := req.Argv
	switch {
	case (req.Command == "") == (len(argv) == 0):
		return bad("either a command or its arguments have to be given")
	case strings.IndexByte(req.Command, 0) >= 0, slices.ContainsFunc(argv, func(a string) bool { return strings.IndexByte(a, 0) >= 0 }):
		return bad("a command cannot hold a NUL byte")
	case len(argv) > 0:
	case d.has.bash:
		argv = []string{"bash", "-c", req.Command}
	default:
		if err := d.needShell(op, ""); err != nil {
			return nil, err
		}
		argv = []string{"sh", "-c", req.Command}
	}
	cwd := req.Cwd
	if cwd == "" {
		cwd = d.info.Cwd
	}
	cwd, err := d.resolve(op, cwd)
	if err != nil {
		return nil, err
	}
	select {
	case <-d.login.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	env := map[string]string{}
	for _, over := range []map[string]string{d.login.env, d.spec.Env, req.Env} {
		for name, value := range over {
			if name == "" || strings.ContainsAny(name, "=\x00") || strings.IndexByte(value, 0) >= 0 {
				return bad(fmt.Sprintf("env: %q cannot be a variable", name))
			}
			env[name] = value
		}
	}
	params := map[string]any{
		"argvBytes": toBytes(argv), "envBytes": env64(env), "cwd": cwd, "keepStdin": req.Stdin, "windowBytes": outputWindow,
	}
	if req.Timeout > 0 {
		params["timeoutMs"] = float64(req.Timeout) / float64(time.Millisecond)
	}
	if req.PTY != nil {
		params["pty"] = map[string]any{"rows": req.PTY.Rows, "cols": req.PTY.Cols}
	}
	return params, nil
}

// toBytes makes of strings what JSON carries whatever they hold.
func toBytes(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return out
}

func env64(env map[string]string) map[string][]byte {
	out := make(map[string][]byte, len(env))
	for name, value := range env {
		out[name] = []byte(value)
	}
	return out
}

// hear takes what the sidecar tells of the command. It is called in order, by the one
// that reads from the sidecar, and only notes it: no more than the window can come.
func (e *directExec) hear(n note) {
	var a arrival
	switch n.Method {
	case "exec/output":
		var piece struct {
			Stream string
			Data   []byte
		}
		if n.decode(&piece) != nil {
			return
		}
		a = arrival{stream: sandbox.Stdout, data: piece.Data}
		if piece.Stream == "stderr" {
			a.stream = sandbox.Stderr
		}
	case "exec/exit":
		var end execEnd
		if n.decode(&end) != nil {
			return
		}
		a.end = &end
	default:
		return
	}
	e.mu.Lock()
	e.arrived = append(e.arrived, a)
	e.mu.Unlock()
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// feed moves what arrived to where it is kept until the command has ended, and says to
// the sidecar what was taken.
func (e *directExec) feed() {
	var taken, acked [2]int64
	for {
		e.mu.Lock()
		list := e.arrived
		e.arrived = nil
		e.mu.Unlock()
		for _, a := range list {
			if a.end != nil {
				e.finish(*a.end)
				return
			}
			e.out.Write(a.stream, a.data)
			i := int(a.stream - sandbox.Stdout)
			if taken[i] += int64(len(a.data)); taken[i]-acked[i] >= outputWindow/4 {
				acked = taken
				e.acknowledge(taken)
			}
		}
		if len(list) > 0 {
			continue
		}
		select {
		case <-e.news:
		case <-e.d.alive.Done():
			e.lost(e.d.death())
			return
		case <-e.p.done():
			e.lost(&sandbox.Error{Kind: sandbox.Unavailable, Message: "the sidecar that held the command has ended", Err: e.p.reason()})
			return
		}
	}
}

func (e *directExec) acknowledge(taken [2]int64) {
	params := map[string]any{"execId": e.name(), "stdout": taken[0], "stderr": taken[1]}
	// Where it fails the sidecar has ended, which feed sees.
	_ = e.p.call(e.d.alive, "exec/ack", params, nil)
}

func (e *directExec) finish(end execEnd) {
	e.mu.Lock()
	canceled := e.canceled
	e.mu.Unlock()
	e.result = sandbox.ExecResult{
		ExitCode: end.ExitCode, Signal: end.Signal, TimedOut: end.TimedOut, Canceled: canceled && !end.TimedOut, Duration: time.Since(e.began),
	}
	if end.TimedOut {
		e.result.Signal = ""
	}
	if end.Error != nil {
		e.err = &sandbox.Error{Kind: end.Error.Kind, Op: "exec", Message: end.Error.Message}
		if why := e.d.death(); why != nil {
			e.err = ended(why, "exec", "")
		}
	}
	e.out.Seal()
	close(e.over)
	e.d.execs.keep(e)
}

// lost ends a command whose end nobody will tell.
func (e *directExec) lost(why *sandbox.Error) {
	again := *why
	again.Op = "exec"
	e.err = &again
	e.out.Seal()
	close(e.over)
	e.d.execs.keep(e)
}

// Attach implements [sandbox.Sandbox].
func (d *direct) Attach(_ context.Context, execID string, from sandbox.Offsets) (sandbox.Process, error) {
	if why := d.death(); why != nil {
		return nil, ended(why, "attach", "")
	}
	e := d.execs.find(execID)
	if e == nil {
		return nil, refuse(sandbox.NoSuchExec, "attach", "", "there is no command "+execID)
	}
	return &directProcess{directExec: e, from: from}, nil
}

// Processes implements [sandbox.Sandbox]. What an image without a shell leaves running
// cannot be told.
func (d *direct) Processes(ctx context.Context) ([]sandbox.ProcessInfo, error) {
	var out []sandbox.ProcessInfo
	was := map[string]*directExec{}
	d.execs.mu.Lock()
	for _, e := range d.execs.byID {
		if e.own || e.began.IsZero() {
			continue // the latter starts
		}
		select {
		case <-e.over:
			was[e.name()] = e
		default:
			out = append(out, sandbox.ProcessInfo{ID: e.id, Command: e.command, StartedAt: e.began, State: "running"})
		}
	}
	d.execs.mu.Unlock()
	if len(was) > 0 && d.has.shell {
		names := make([]string, 0, len(was))
		for name := range was {
			names = append(names, name)
		}
		var left struct{ ExecIDs []string }
		if err := d.call(ctx, "list commands", "", "exec/background", map[string]any{"execIds": names}, &left); err != nil {
			return nil, err
		}
		for _, name := range left.ExecIDs {
			if e := was[name]; e != nil {
				out = append(out, sandbox.ProcessInfo{ID: e.id, Command: e.command, StartedAt: e.began, State: "background"})
			}
		}
	}
	slices.SortFunc(out, func(a, b sandbox.ProcessInfo) int { return a.StartedAt.Compare(b.StartedAt) })
	return out, ctx.Err()
}
