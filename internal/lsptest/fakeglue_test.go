package lsptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.lsp.dev/uri"

	"glue-lsp/internal/wire"
)

// fakeGlue is just enough of a glue server to play stories against: one session, whose
// sandbox is a folder below home, and a return that knows neither git nor merging.
type fakeGlue struct {
	*fake
	home string
}

func glueServer(tb testing.TB, home string) Server {
	tb.Helper()
	return InProcess(func(ctx context.Context, in io.Reader, out io.Writer) error {
		g := &fakeGlue{fake: &fake{texts: map[string]string{}, versions: map[string]int32{}}, home: home}
		g.conn = wire.New(in, out, g, wire.Options{})
		return g.conn.Run(ctx)
	})
}

func (g *fakeGlue) sandbox(elem ...string) string {
	return filepath.Join(append([]string{g.home, "sandbox"}, elem...)...)
}

func (g *fakeGlue) base(elem ...string) string {
	return filepath.Join(append([]string{g.home, "base"}, elem...)...)
}

func refusal(kind, message string) error {
	return &wire.Error{Code: wire.RequestFailed, Message: message, Data: object{"kind": kind}}
}

func (g *fakeGlue) Call(ctx context.Context, method string, params json.RawMessage) (any, error) {
	_, err := os.Stat(g.sandbox())
	opened := err == nil
	if strings.HasPrefix(method, "glue/") && !opened && method != "glue/session/open" && method != "glue/session/list" {
		return nil, refusal("noSuchSession", "no session is open")
	}
	var p struct {
		Command string   `json:"command"`
		Path    string   `json:"path"`
		Paths   []string `json:"paths"`
	}
	if params != nil {
		if err := json.Unmarshal(params, &p); err != nil {
			return nil, err
		}
	}
	switch method {
	case "glue/session/open":
		return object{}, g.up()
	case "glue/session/list":
		list := []object{}
		if opened {
			list = append(list, object{"id": "s1", "state": "ready"})
		}
		return object{"sessions": list}, nil
	case "glue/session/sync":
		return object{"conflicts": []object{{"path": "both.txt", "kind": "content"}}}, g.up()
	case "glue/session/checkpoint", "glue/session/discard":
		return object{}, nil
	case "glue/exec":
		return g.exec(ctx, p.Command)
	case "glue/fs/exists":
		_, err := os.Stat(g.sandbox(p.Path))
		return object{"exists": err == nil}, nil
	case "glue/fs/readFile":
		data, err := os.ReadFile(g.sandbox(p.Path))
		return object{"data": data, "encoding": "base64"}, err
	case "glue/session/return", "glue/session/undo":
		return g.bringBack(ctx, p.Paths)
	case "glue/session/close":
		result, err := g.bringBack(ctx, nil)
		return result, errors.Join(err, os.RemoveAll(g.sandbox()))
	}
	return g.fake.Call(ctx, method, params)
}

// up copies the editor's tree, unsaved buffers over their files.
func (g *fakeGlue) up() error {
	g.mu.Lock()
	texts := maps.Clone(g.texts)
	g.mu.Unlock()
	for _, to := range []string{g.base(), g.sandbox()} {
		if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(g.root)), os.RemoveAll(filepath.Join(to, ".git"))); err != nil {
			return err
		}
		for u, text := range texts {
			rel, err := filepath.Rel(g.root, uri.URI(u).FsPath())
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(to, rel), []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *fakeGlue) exec(ctx context.Context, command string) (any, error) {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir = g.sandbox()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return nil, err
	}
	return object{
		"exitCode": cmd.ProcessState.ExitCode(),
		"stdout":   payload{stdout.String(), "utf-8"}, "stderr": payload{stderr.String(), "utf-8"},
	}, nil
}

// bringBack sends each file that differs from the base as an edit of its whole text.
func (g *fakeGlue) bringBack(ctx context.Context, only []string) (any, error) {
	names, err := walk(os.DirFS(g.sandbox()))
	if err != nil {
		return nil, err
	}
	var files []object
	var changes []object
	left := []object{}
	for _, name := range names {
		data, err := os.ReadFile(g.sandbox(name))
		if err != nil {
			return nil, err
		}
		before, err := os.ReadFile(g.base(name))
		isNew := err != nil
		if bytes.Equal(data, before) && !isNew || only != nil && !slices.Contains(only, name) {
			continue
		}
		if name == ".envrc" {
			left = append(left, object{"path": name, "reason": "acts on open"})
			continue
		}
		u := string(uri.File(filepath.Join(g.root, name)))
		if isNew {
			changes = append(changes, object{"kind": "create", "uri": u})
		}
		end := Range{End: Position{Line: strings.Count(string(before), "\n") + 1}}
		changes = append(changes, object{
			"textDocument": object{"uri": u, "version": nil},
			"edits":        []object{{"range": end, "newText": string(data)}},
		})
		files = append(files, object{"path": name, "status": "modified"})
	}
	var answer applyEditResult
	if changes != nil {
		if err := g.conn.Call(ctx, "workspace/applyEdit", object{"edit": object{"documentChanges": changes}}, &answer); err != nil {
			return nil, err
		}
	}
	_ = g.conn.Notify(ctx, "window/showMessage", object{"type": 3, "message": "Changes were returned."})
	return object{"files": files, "applied": answer.Applied, "skipped": left, "conflicts": []object{}}, nil
}
