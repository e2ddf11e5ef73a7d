package modal

import (
	"context"
	"errors"
	"strings"
	"sync"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// direct is a sandbox in which nothing of ours runs but what one call needs: commands
// under the sidecar's wrapper, and small scripts for sh(1) (scripts/). It costs more round
// trips than an agent, and works where none can run. What an image lacks for an operation
// is named by that operation's error, of kind Unsupported.
type direct struct {
	*held
	alive context.Context // ends with the sandbox
	has   equipment
	login *loginDelta

	execs directExecs
	trees directTrees

	watching sync.WaitGroup
}

var _ sandbox.Sandbox = (*direct)(nil)

// newDirect looks at what the sandbox has. Its image need not have a shell.
func newDirect(ctx context.Context, h *held) (*direct, error) {
	d := &direct{held: h}
	var end context.CancelFunc
	d.alive, end = context.WithCancel(context.Background())
	h.whenDead(func(*sandbox.Error) { end() })
	d.execs.init()
	d.trees.init()
	has, err := d.look(ctx)
	if err != nil {
		end()
		return nil, err
	}
	d.has = has
	d.login = d.askLogin()
	h.mu.Lock()
	h.info.Transport, h.info.HasGit = Direct, has.git
	if !has.shell {
		h.info.Gaps = append(h.info.Gaps, "the image has no shell (sh): commands cannot be ended one by one, files are written in place, and the tree can be neither filled nor captured")
	}
	h.mu.Unlock()
	return d, nil
}

// Info implements [sandbox.Sandbox].
func (d *direct) Info() sandbox.Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.info
}

// Done implements [sandbox.Sandbox].
func (d *direct) Done() <-chan struct{} { return d.gone }

// Err implements [sandbox.Sandbox].
func (d *direct) Err() error {
	if why := d.death(); why != nil {
		return why
	}
	return nil
}

// State implements [sandbox.Sandbox].
func (d *direct) State() []byte { return d.encoded() }

// Detach implements [sandbox.Sandbox]. Commands run on, but nobody can read what they
// print then.
func (d *direct) Detach() {
	d.letGo()
	d.die(&sandbox.Error{Kind: sandbox.ExecutorDead, Op: "sandbox", Message: "this session let go of the sandbox"})
	d.settle()
}

// Close implements [sandbox.Sandbox].
func (d *direct) Close(ctx context.Context) error {
	if err := d.terminate(ctx); err != nil {
		return err
	}
	d.settle()
	return nil
}

// settle waits until nothing of a sandbox that has ended goes on here.
func (d *direct) settle() {
	d.execs.settle()
	d.watching.Wait()
	<-d.login.ready
}

// call asks the sidecar about this sandbox. An error names op and path; it is of kind
// ExecutorDead once the sandbox has ended.
func (d *direct) call(ctx context.Context, op, path, method string, params map[string]any, result any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if why := d.death(); why != nil {
		return ended(why, op, path)
	}
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.alive, cancel)()
	p, err := d.process(bounded)
	if err == nil {
		params["sandboxId"] = d.info.ID
		err = p.call(bounded, method, params, result)
	}
	return d.failed(ctx, op, path, err)
}

// failed makes an error of a call one of an operation.
func (d *direct) failed(ctx context.Context, op, path string, err error) error {
	if err == nil {
		return nil
	}
	if why := d.death(); why != nil {
		return ended(why, op, path)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var e *sandbox.Error
	if !errors.As(err, &e) {
		return &sandbox.Error{Kind: sandbox.Unavailable, Op: op, Path: path, Message: err.Error(), Err: err}
	}
	again := *e
	again.Op, again.Path = op, path
	if again.Kind == noSuchSession {
		again.Kind = sandbox.ExecutorDead
	}
	return &again
}

// noSuchSession is the sidecar's kind for a sandbox that it does not hold any more.
const noSuchSession sandbox.Kind = "noSuchSession"

// ended is a sandbox's death as the answer of one operation.
func ended(why *sandbox.Error, op, path string) error {
	e := *why
	e.Kind, e.Op, e.Path = sandbox.ExecutorDead, op, path
	return &e
}

func refuse(kind sandbox.Kind, op, path, message string) error {
	return &sandbox.Error{Kind: kind, Op: op, Path: path, Message: message}
}

// equipment is what an image has.
type equipment struct {
	shell   bool
	bash    bool
	git     bool
	gnuFind bool // find -printf
	fine    bool // stat tells fractions of a second
	hasher  string
	tar     bool
	environ []string // of a command
}

// look asks what there is, in one round trip where there is a shell.
func (d *direct) look(ctx context.Context) (equipment, error) {
	const op = "look at the sandbox"
	var has equipment
	r, err := d.sh(ctx, op, "", script{name: "look.sh", args: []string{d.info.Root, d.info.Cwd}})
	var e *sandbox.Error
	if errors.As(err, &e) && e.Kind == sandbox.Unsupported {
		return has, nil
	}
	if err != nil {
		return has, err
	}
	has.shell = true
	facts, environ, _ := strings.Cut(string(r.out), "\x00")
	for _, fact := range strings.Fields(facts) {
		switch name, value, _ := strings.Cut(fact, "="); name {
		case "bash":
			has.bash = true
		case "git":
			has.git = true
		case "find":
			has.gnuFind = true
		case "stat":
			has.fine = true
		case "hash":
			has.hasher = value
		case "tar":
			has.tar = true
		}
	}
	has.environ = strings.Split(strings.TrimSuffix(environ, "\x00"), "\x00")
	return has, nil
}

// needShell says what an image without a shell cannot do.
func (d *direct) needShell(op, path string) error {
	if d.has.shell {
		return nil
	}
	return &sandbox.Error{
		Kind: sandbox.Unsupported, Op: op, Path: path, Message: "the sandbox's image has no shell (sh), which this needs where there is no agent",
		Hint: "use an image with sh (modal.image), or set modal.transport to agent",
	}
}

// loginDelta is what a login shell's environment has other than a command's.
type loginDelta struct {
	ready chan struct{}
	env   map[string]string
}

// askLogin computes it beside everything else; the first command waits for it.
func (d *direct) askLogin() *loginDelta {
	l := &loginDelta{ready: make(chan struct{})}
	if !d.has.shell {
		close(l.ready)
		return l
	}
	go func() {
		defer close(l.ready)
		ctx, cancel := context.WithTimeout(d.alive, loginPatience)
		defer cancel()
		word := newNonce()
		r, err := d.sh(ctx, "ask the login shell", "", script{name: "login.sh", args: []string{word}})
		if err != nil {
			return // commands get the plain environment
		}
		_, after, ok := strings.Cut(string(r.out), word+"\x00")
		if !ok {
			return
		}
		l.env = differing(d.has.environ, agent.MergeLogin(d.has.environ, strings.Split(strings.TrimSuffix(after, "\x00"), "\x00")))
	}()
	return l
}

// differing gives the variables of env that plain does not have so.
func differing(plain, env []string) map[string]string {
	have := make(map[string]bool, len(plain))
	for _, kv := range plain {
		have[kv] = true
	}
	out := map[string]string{}
	for _, kv := range env {
		if name, value, ok := strings.Cut(kv, "="); ok && !have[kv] {
			out[name] = value
		}
	}
	return out
}
