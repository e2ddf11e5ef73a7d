package modal

import (
	"context"
	"io"
	"sync"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// remains is a sandbox that has ended, whose last changes were written down. They can be
// captured; everything else says that it is gone.
type remains struct {
	*agent.Export
	rt    *Runtime
	spec  sandbox.Spec
	state state
	left  leftBehind

	once sync.Once
	done chan struct{}
}

var _ sandbox.Remains = (*remains)(nil)

func (r *remains) gone(op string) error {
	return &sandbox.Error{Kind: sandbox.ExecutorDead, Op: op, Message: "the sandbox has ended; what it had changed was captured", Hint: hintKept}
}

// Info says what the sandbox was.
func (r *remains) Info() sandbox.Info {
	return sandbox.Info{
		ID: r.state.SandboxID, Root: r.state.Root, Cwd: r.state.Cwd, Isolation: "modal", Transport: r.state.Transport, ExpiresAt: r.state.ExpiresAt,
		Image: r.state.Image, HasGit: true, // what commits it had is in the file
	}
}

// State is that of the sandbox: the next Reopen finds the same file.
func (r *remains) State() []byte { return r.state.encode() }

// Taken ends the sandbox if that is still to be done, and deletes the file.
func (r *remains) Taken(ctx context.Context) error {
	if !r.left.Ended && !r.state.Kept {
		if err := r.rt.end(ctx, r.state.SandboxID); err != nil {
			return err
		}
	}
	return forgetEnding(r.spec.Dir)
}

// Done is closed by Close.
func (r *remains) Done() <-chan struct{} { return r.done }

// Err is nil: there is nothing left that could end.
func (r *remains) Err() error { return nil }

// Detach lets go of the file.
func (r *remains) Detach() { _ = r.Close(context.Background()) }

// Close lets go of the file, which stays until Taken.
func (r *remains) Close(context.Context) error {
	r.once.Do(func() {
		close(r.done)
		_ = r.Export.Close() // it was only read
	})
	return nil
}

// Populate cannot be done any more; neither can what follows.
func (r *remains) Populate(context.Context, sandbox.PopulateRequest) error { return r.gone("populate") }

func (r *remains) WriteTree(context.Context, []sandbox.TreeWrite) ([]sandbox.TreeResult, error) {
	return nil, r.gone("write files")
}

func (r *remains) Start(context.Context, sandbox.ExecRequest) (sandbox.Process, error) {
	return nil, r.gone("run the command")
}

// Attach finds no command: all have ended with the sandbox.
func (r *remains) Attach(context.Context, string, sandbox.Offsets) (sandbox.Process, error) {
	return nil, &sandbox.Error{Kind: sandbox.NoSuchExec, Op: "attach to the command", Message: "it ended with the sandbox"}
}

func (r *remains) Processes(context.Context) ([]sandbox.ProcessInfo, error) { return nil, nil }

func (r *remains) Stat(context.Context, string) (sandbox.FileInfo, error) {
	return sandbox.FileInfo{}, r.gone("stat")
}

func (r *remains) StatMany(context.Context, []string) ([]sandbox.StatResult, error) {
	return nil, r.gone("stat")
}

func (r *remains) ReadDir(context.Context, string) ([]sandbox.DirEntry, error) {
	return nil, r.gone("readDirectory")
}

func (r *remains) ReadFile(context.Context, string, int64, int64) (io.ReadCloser, int64, error) {
	return nil, 0, r.gone("readFile")
}

func (r *remains) WriteFile(context.Context, string, io.Reader, sandbox.WriteOptions) (int64, error) {
	return 0, r.gone("writeFile")
}

func (r *remains) Mkdir(context.Context, string, bool) error { return r.gone("createDirectory") }

func (r *remains) Remove(context.Context, string, bool, bool) error { return r.gone("delete") }

func (r *remains) Rename(context.Context, string, string, bool) error { return r.gone("rename") }

func (r *remains) Copy(context.Context, string, string, bool) error { return r.gone("copy") }

func (r *remains) Watch(context.Context, string, bool, func([]sandbox.FileEvent)) (func(), error) {
	return nil, r.gone("watch")
}
