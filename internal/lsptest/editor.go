package lsptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.lsp.dev/uri"

	"glue-lsp/internal/wire"
)

// Options say how an editor is set up.
type Options struct {
	// Root is the workspace folder; relative paths in verbs are below it.
	Root string
	// Settings go out as initializationOptions.glue and answer workspace/configuration.
	Settings any
	// Patience bounds each waiting; default one minute.
	Patience time.Duration
}

// Editor is a client. Its verbs do what a person does in an editor, and fail the test when
// that goes wrong; files are named relative to the workspace folder, or absolutely.
//
// The test fails, too, when the server asks for something that the client does not know or
// did not declare, or reports progress that nobody began.
type Editor struct {
	tb      testing.TB
	o       Options
	conn    *wire.Conn
	server  *running
	profile Profile
	journal *journal
	ran     chan struct{} // closed when the connection has ended

	mu       sync.Mutex
	encoding string
	buffers  map[string]*buffer // by absolute path
	state    State
	moved    chan struct{} // closed and replaced whenever the state moves
	tokens   map[string]bool
	settings any

	answerEdits AnswerEdits
	released    chan struct{}
	saveClean   bool
	confirm     func(label, path string) bool
	choose      func(Message) string
	handlers    map[string]func(params json.RawMessage) (any, error)
	quitting    bool
}

// Initialized is what the server answered to initialize.
type Initialized struct {
	Capabilities json.RawMessage `json:"capabilities"`
	ServerInfo   struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"serverInfo"`
}

// Start starts a server and connects an editor to it. Both end with the test.
func Start(tb testing.TB, s Server, o Options) *Editor {
	tb.Helper()
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, err := s.start(tb, ctx)
	if err != nil {
		cancel()
		tb.Fatal(err)
	}
	e := &Editor{
		tb: tb, o: o, server: r, journal: &journal{}, ran: make(chan struct{}),
		encoding: "utf-16", buffers: map[string]*buffer{}, moved: make(chan struct{}),
		tokens: map[string]bool{}, settings: o.Settings, released: make(chan struct{}),
		handlers: map[string]func(json.RawMessage) (any, error){},
	}
	e.conn = wire.New(r.out, r.in, peer{e}, wire.Options{Trace: e.journal.add, Log: e.journal.note})
	go func() {
		defer close(e.ran)
		_ = e.conn.Run(ctx)
		e.change(func(s *State) { s.Ended = true })
	}()
	tb.Cleanup(func() { e.tearDown(cancel) })
	return e
}

// tearDown ends what the test left running, and shows what was said if the test failed.
func (e *Editor) tearDown(cancel context.CancelFunc) {
	e.tb.Helper()
	e.mu.Lock()
	early := e.state.Ended && !e.quitting
	e.mu.Unlock()
	_ = e.conn.Close()
	<-e.ran
	select {
	case <-e.server.done: // a server ends when its input does
	case <-time.After(e.o.Patience):
		e.tb.Errorf("the server goes on after its input has ended")
	}
	cancel()
	<-e.server.done
	if early {
		e.tb.Errorf("the server ended by itself: %v", e.server.err)
	}
	if !e.tb.Failed() {
		return
	}
	e.tb.Logf("what was said (newest last):\n%s", e.journal)
	if said := e.server.stderr(); said != "" {
		e.tb.Logf("the server's standard error:\n%s", said)
	}
}

// Initialize says hello as the given kind of client.
func (e *Editor) Initialize(p Profile) Initialized {
	e.tb.Helper()
	e.mu.Lock()
	e.profile = p
	e.mu.Unlock()
	params := object{
		"processId":        os.Getpid(),
		"rootUri":          string(uri.File(e.o.Root)),
		"workspaceFolders": e.folders(),
		"capabilities":     p.capabilities(),
		"initializationOptions": object{
			"glue": e.o.Settings,
		},
	}
	if p.Name != "" {
		params["clientInfo"] = object{"name": p.Name, "version": p.Version}
	}
	var result Initialized
	e.Call("initialize", params, &result)
	var c struct {
		PositionEncoding string `json:"positionEncoding"`
	}
	if err := json.Unmarshal(result.Capabilities, &c); err != nil {
		e.tb.Fatalf("capabilities: %v", err)
	}
	if c.PositionEncoding == "" {
		c.PositionEncoding = "utf-16"
	}
	if c.PositionEncoding != "utf-16" && !slices.Contains(p.Encodings, c.PositionEncoding) {
		e.tb.Fatalf("the server chose %s; offered were %q", c.PositionEncoding, p.Encodings)
	}
	e.mu.Lock()
	e.encoding = c.PositionEncoding
	e.mu.Unlock()
	e.Notify("initialized", object{})
	return result
}

func (e *Editor) folders() []object {
	return []object{{"uri": string(uri.File(e.o.Root)), "name": filepath.Base(e.o.Root)}}
}

// Shutdown says goodbye properly and waits for the server's end.
func (e *Editor) Shutdown() {
	e.tb.Helper()
	e.Call("shutdown", nil, nil)
	e.change(func(*State) { e.quitting = true })
	e.Notify("exit", nil)
	select {
	case <-e.server.done:
	case <-time.After(e.o.Patience):
		e.tb.Fatal("the server goes on after exit")
	}
	if err := e.server.err; err != nil {
		e.tb.Fatalf("the server ended with: %v", err)
	}
}

// Kill ends the server as a crash would; in process, it can only cut the connection.
func (e *Editor) Kill() {
	e.tb.Helper()
	e.change(func(*State) { e.quitting = true })
	if e.server.pid != 0 {
		p, err := os.FindProcess(e.server.pid)
		if err == nil {
			err = p.Kill()
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			e.tb.Fatalf("kill the server: %v", err)
		}
	}
	_ = e.conn.Close()
	<-e.ran
	<-e.server.done
}

// Restart is what an editor does when its server has crashed: it kills what is left of it,
// starts the given one, and shows it the open buffers with their unsaved text. The editor
// goes on as the one returned, with the same person in front of it and an empty State.
func (e *Editor) Restart(s Server) *Editor {
	e.tb.Helper()
	e.Kill()
	next := Start(e.tb, s, e.o)
	next.mu.Lock()
	next.answerEdits, next.saveClean = e.answerEdits, e.saveClean
	next.confirm, next.choose, next.handlers = e.confirm, e.choose, e.handlers
	next.mu.Unlock()
	next.Initialize(e.profile)
	next.mu.Lock()
	defer next.mu.Unlock()
	for path, b := range e.buffers {
		next.buffers[path] = b
		next.didOpen(path, b)
	}
	return next
}

// Call asks the server and fails the test when it answers with an error.
func (e *Editor) Call(method string, params, result any) {
	e.tb.Helper()
	if err := e.TryCall(method, params, result); err != nil {
		e.tb.Fatalf("%s: %s (code %d, data %s)", method, err.Message, err.Code, err.Data)
	}
}

// TryCall asks the server and returns its error, nil when there is none. Everything else
// that can go wrong fails the test.
func (e *Editor) TryCall(method string, params, result any) *wire.Error {
	e.tb.Helper()
	return e.Begin(method, params).Wait(result)
}

// Pending is a request that was sent.
type Pending struct {
	e      *Editor
	method string
	cancel context.CancelFunc
	done   chan struct{}
	result json.RawMessage
	err    error
}

// Begin sends a request and goes on without its answer.
func (e *Editor) Begin(method string, params any) *Pending {
	ctx, cancel := context.WithTimeout(context.Background(), e.o.Patience)
	p := &Pending{e: e, method: method, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = e.conn.Call(ctx, method, params, &p.result)
	}()
	return p
}

// Cancel takes the request back, as $/cancelRequest does, without looking at the answer.
func (p *Pending) Cancel() { p.cancel() }

// Done is closed when the answer has come.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Wait waits for the answer and decodes it into result, unless that is nil. An answer with
// fields that result does not have is fine.
func (p *Pending) Wait(result any) *wire.Error {
	p.e.tb.Helper()
	defer p.cancel()
	<-p.done
	if answer, ok := errors.AsType[*wire.Error](p.err); ok {
		return answer
	}
	if p.err != nil {
		p.e.tb.Fatalf("%s: %v", p.method, p.err)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(p.result, result); err != nil {
		p.e.tb.Fatalf("%s: decode %s: %v", p.method, p.result, err)
	}
	return nil
}

// TryWait is Wait for a server that may die meanwhile: whatever went wrong is returned.
func (p *Pending) TryWait(result any) error {
	defer p.cancel()
	<-p.done
	if p.err != nil || result == nil {
		return p.err
	}
	return json.Unmarshal(p.result, result)
}

// Pid is the server's process, 0 for one in this process.
func (e *Editor) Pid() int { return e.server.pid }

// Notify sends a notification.
func (e *Editor) Notify(method string, params any) {
	e.tb.Helper()
	if err := e.conn.Notify(context.Background(), method, params); err != nil {
		e.tb.Fatalf("%s: %v", method, err)
	}
}

// Execute runs one of the server's commands.
func (e *Editor) Execute(command string, argument, result any) {
	e.tb.Helper()
	e.Call("workspace/executeCommand", object{"command": command, "arguments": []any{argument}}, result)
}

// Configure changes the settings and says so.
func (e *Editor) Configure(settings any) {
	e.tb.Helper()
	e.mu.Lock()
	e.settings = settings
	e.mu.Unlock()
	e.Notify("workspace/didChangeConfiguration", object{"settings": object{"glue": settings}})
}

// Token makes a progress token for a request's workDoneToken.
func (e *Editor) Token() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	token := fmt.Sprintf("editor-%d", len(e.tokens)+1)
	e.tokens[token] = true
	return token
}

// URI is a file's URI.
func (e *Editor) URI(file string) string { return string(uri.File(e.path(file))) }

func (e *Editor) path(file string) string {
	if filepath.IsAbs(file) {
		return filepath.Clean(file)
	}
	return filepath.Join(e.o.Root, file)
}

// name is a path as a person would say it.
func (e *Editor) name(path string) string {
	if rel, err := filepath.Rel(e.o.Root, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}
