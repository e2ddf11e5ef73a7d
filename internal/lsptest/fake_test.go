package lsptest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"go.lsp.dev/uri"
	"go.uber.org/goleak"

	"glue-lsp/internal/wire"
)

// asServer makes the test binary a server on its standard input and output.
const asServer = "LSPTEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	fmt.Fprintln(os.Stderr, "the fake is serving")
	f := &fake{texts: map[string]string{}, versions: map[string]int32{}}
	if err := f.serve(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(0)
}

// fake is a server that does what the test tells it to, by requests under test/. It keeps
// the documents, so that tests can compare both sides' idea of a text.
type fake struct {
	conn *wire.Conn

	mu       sync.Mutex
	prefer   string
	root     string
	encoding string
	texts    map[string]string
	versions map[string]int32
	saved    []string
}

// fakeServer starts a fake that likes the given position encoding best.
func fakeServer(prefer string) Server {
	return InProcess(func(ctx context.Context, in io.Reader, out io.Writer) error {
		f := &fake{prefer: prefer, texts: map[string]string{}, versions: map[string]int32{}}
		return f.serve(ctx, in, out)
	})
}

func (f *fake) serve(ctx context.Context, in io.Reader, out io.Writer) error {
	f.conn = wire.New(in, out, f, wire.Options{})
	return f.conn.Run(ctx)
}

type send struct {
	Method string `json:"method"`
	Params any    `json:"params"`
}

func (f *fake) Call(ctx context.Context, method string, params json.RawMessage) (any, error) {
	switch method {
	case "initialize":
		return f.initialize(params)
	case "shutdown":
		return nil, nil
	case "test/ask":
		var s send
		if err := json.Unmarshal(params, &s); err != nil {
			return nil, err
		}
		var result json.RawMessage
		err := f.conn.Call(ctx, s.Method, s.Params, &result)
		return result, err
	case "test/tell":
		var s send
		if err := json.Unmarshal(params, &s); err != nil {
			return nil, err
		}
		return nil, f.conn.Notify(ctx, s.Method, s.Params)
	case "test/texts":
		f.mu.Lock()
		defer f.mu.Unlock()
		return maps.Clone(f.texts), nil
	case "test/saved":
		f.mu.Lock()
		defer f.mu.Unlock()
		return slices.Clone(f.saved), nil
	case "test/wait":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, wire.NotFound(method)
}

func (f *fake) initialize(params json.RawMessage) (any, error) {
	var p struct {
		RootURI      uri.URI `json:"rootUri"`
		Capabilities struct {
			General struct {
				PositionEncodings []string `json:"positionEncodings"`
			} `json:"general"`
		} `json:"capabilities"`
	}
	if err := json.Unmarshal(params, &p); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.root, f.encoding = p.RootURI.FsPath(), "utf-16"
	if slices.Contains(p.Capabilities.General.PositionEncodings, f.prefer) {
		f.encoding = f.prefer
	}
	return object{
		"capabilities": object{"positionEncoding": f.encoding},
		"serverInfo":   object{"name": "fake", "version": "1"},
	}, nil
}

func (f *fake) Notify(_ context.Context, method string, params json.RawMessage) {
	var p struct {
		TextDocument struct {
			URI     string `json:"uri"`
			Version int32  `json:"version"`
			Text    string `json:"text"`
		} `json:"textDocument"`
		ContentChanges []struct {
			Range *Range `json:"range"`
			Text  string `json:"text"`
		} `json:"contentChanges"`
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := json.Unmarshal(params, &p); err != nil && params != nil {
		panic(err)
	}
	u := p.TextDocument.URI
	switch method {
	case "textDocument/didOpen":
		f.texts[u], f.versions[u] = p.TextDocument.Text, p.TextDocument.Version
	case "textDocument/didChange":
		for _, c := range p.ContentChanges {
			text := f.texts[u]
			if c.Range == nil {
				f.texts[u] = c.Text
				continue
			}
			f.texts[u] = text[:offsetAt(text, c.Range.Start, f.encoding)] + c.Text + text[offsetAt(text, c.Range.End, f.encoding):]
		}
		f.versions[u] = p.TextDocument.Version
	case "textDocument/didSave":
		f.saved = append(f.saved, u)
	case "textDocument/didClose":
		delete(f.texts, u)
	case "exit":
		_ = f.conn.Close()
	}
}

// tell makes the server send a notification.
func tell(e *Editor, method string, params any) {
	e.tb.Helper()
	e.Call("test/tell", send{method, params}, nil)
}

// ask makes the server ask the editor, and returns the answer or the editor's error.
func ask(e *Editor, method string, params, result any) *wire.Error {
	e.tb.Helper()
	return e.TryCall("test/ask", send{method, params}, result)
}

// inStep checks that the server's idea of every document is the editor's.
func inStep(e *Editor) {
	e.tb.Helper()
	var texts map[string]string
	e.Call("test/texts", nil, &texts)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(texts) != len(e.buffers) {
		e.tb.Errorf("the server knows %d documents, the editor %d", len(texts), len(e.buffers))
	}
	for path, b := range e.buffers {
		if have := texts[e.URI(path)]; have != b.text {
			e.tb.Errorf("%s: the server has %q, the editor %q", e.name(path), have, b.text)
		}
	}
}

// failures is a testing.TB that takes failures down instead of failing.
type failures struct {
	testing.TB
	mu    sync.Mutex
	said  []string
	clean []func()
}
