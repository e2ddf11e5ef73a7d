package handlers

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"glue-lsp/internal/wire"
)

func TestX14_WrongParamsNameTheirField(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	for _, x := range []struct{ method, params, message string }{
		{"glue/exec", `{}`, "command: is required"},
		{"glue/exec", `null`, "command: is required"},
		{"glue/exec", `[]`, "params must be an object, found an array"},
		{"glue/exec", `{"command":null}`, "command: is required"},
		{"glue/exec", `{"command":7}`, "command: expected a string, found a number"},
		{"glue/exec", `{"command":["a"]}`, "command: expected a string, found an array"},
		{"glue/exec", `{"command":"x","argv":["x"]}`, "argv: must not be given together with command"},
		{"glue/exec", `{"argv":[]}`, "argv: must name a program"},
		{"glue/exec", `{"argv":["a",7]}`, "argv[1]: expected a string, found a number"},
		{"glue/exec", `{"argv":["a","b\u0000"]}`, "argv[1]: must not hold a NUL byte"},
		{"glue/exec", `{"command":"a\u0000b"}`, "command: must not hold a NUL byte"},
		{"glue/exec", `{"command":"x","cwd":"\u0000"}`, "cwd: must not hold a NUL byte"},
		{"glue/exec", `{"command":"x","timeoutMs":1.5}`, "timeoutMs: expected a whole number, found 1.5"},
		{"glue/exec", `{"command":"x","timeoutMs":"5"}`, "timeoutMs: expected a whole number, found a string"},
		{"glue/exec", `{"command":"x","timeoutMs":-1}`, "timeoutMs: must be between 0 and"},
		{"glue/exec", `{"command":"x","timeoutMs":1e300}`, "timeoutMs: expected a whole number"},
		{"glue/exec", `{"command":"x","stream":"yes"}`, "stream: expected a boolean, found a string"},
		{"glue/exec", `{"command":"x","windowBytes":-1}`, "windowBytes: must not be negative"},
		{"glue/exec", `{"command":"x","maxOutputBytes":0}`, "maxOutputBytes: must be between 1 and"},
		{"glue/exec", `{"command":"x","env":{"A":1}}`, "env.A: expected a string, found a number"},
		{"glue/exec", `{"command":"x","env":{"A=B":"1"}}`, `env: "A=B" cannot be the name of a variable`},
		{"glue/exec", `{"command":"x","env":[]}`, "env: expected an object, found an array"},
		{"glue/exec", `{"command":"x","pty":{"rows":70000,"cols":1}}`, "pty.rows: expected a whole number that is not negative, found 70000"},
		{"glue/exec", `{"command":"x","pty":{"rows":1}}`, "pty.cols: is required"},
		{"glue/exec", `{"command":"x","stdin":{"data":"x"}}`, "stdin.encoding: is required"},
		{"glue/exec/stdin", `{"execId":"x","data":"x","encoding":"latin-1"}`, `encoding: expected "utf-8" or "base64", found "latin-1"`},
		{"glue/exec/stdin", `{"execId":"x","data":"*","encoding":"base64"}`, "data: is not base64"},
		{"glue/exec/stdin", `{"data":"x","encoding":"utf-8"}`, "execId: is required"},
		{"glue/exec/signal", `{"execId":"x","signal":"9"}`, "signal: expected a name like SIGINT"},
		{"glue/exec/attach", `{"execId":"x","fromByte":-1}`, "fromByte: must not be negative"},
		{"glue/exec/resize", `{"execId":"x","rows":1}`, "cols: is required"},
		{"glue/fs/stat", `{}`, "path: is required"},
		{"glue/fs/stat", `{"path":"a\u0000b"}`, "path: must not hold a NUL byte"},
		{"glue/fs/stat", `{"pathBytes":"*"}`, "pathBytes: is not base64"},
		{"glue/fs/stat", `{"pathBytes":"AA=="}`, "pathBytes: must not hold a NUL byte"},
		{"glue/fs/exists", `{"path":["x"]}`, "path: expected a string, found an array"},
		{"glue/fs/statMany", `{}`, "paths: is required"},
		{"glue/fs/statMany", `{"paths":["a",{"pathBytes":7}]}`, "pathBytes: expected a string, found a number"},
		{"glue/fs/statMany", `{"paths":["a\u0000"]}`, "paths[0]: must not hold a NUL byte"},
		{"glue/fs/writeFile", `{"path":"x"}`, "data: is required"},
		{"glue/fs/writeFile", `{"path":"x","data":"","encoding":"utf-8","mode":65536}`, "mode: must be between 0 and 4095"},
		{"glue/fs/readFile", `{"path":"x","offset":-1}`, "offset: must not be negative"},
		{"glue/fs/readFile", `{"path":"x","encoding":"latin-1"}`, "encoding: expected"},
		{"glue/fs/rename", `{"path":"x"}`, "to: is required"},
		{"glue/fs/unwatch", `{"watchId":"w99"}`, `watchId: there is no watch "w99"`},
		{"glue/session/open", `{"workspaceFolder":"https://x"}`, "workspaceFolder: not a file: URI"},
		{"glue/session/open", `{}`, "workspaceFolder: is required, because the client has no workspace folder open"},
		{"glue/session/open", `{"timeoutSeconds":-4}`, "timeoutSeconds: must be between 0 and"},
		{"glue/session/status", `{"session":7}`, "session: expected a string, found a number"},
		{"glue/session/return", `{"mode":"patch"}`, `mode: expected edits, disk or branch, found "patch"`},
		{"glue/session/return", `{"resolutions":[{"choice":"mine"}]}`, "resolutions[0].path: is required"},
		{"glue/session/return", `{"resolutions":[{"path":"x","choice":"ours"}]}`, "resolutions[0].choice: expected mine, theirs or content"},
		{"glue/session/return", `{"resolutions":[{"path":"x","choice":"content","data":"y"}]}`, "resolutions[0].encoding: expected"},
		{"workspace/executeCommand", `{"command":"rm"}`, `command: there is no command "rm"`},
		{"workspace/executeCommand", `{"command":"glue.run","arguments":[{}]}`, "arguments[0].command: is required"},
		{"workspace/executeCommand", `{"command":"glue.run","arguments":{}}`, "arguments: expected an array, found an object"},
		{"workspace/executeCommand", `{"command":"glue.runFile","arguments":[{"uri":"untitled:x"}]}`, "arguments[0].uri: not a file: URI"},
		{"workspace/executeCommand", `{"command":"glue.runTest","arguments":[{"uri":"file:///x.go","name":""}]}`, "arguments[0].name: must not be empty"},
		{"workspace/executeCommand", `{"command":"glue.runSelection","arguments":[{"uri":"file:///x.go","range":{}}]}`, "arguments[0].range.start: is required"},
		{"workspace/textDocumentContent", `{"uri":"file:///x"}`, "uri: the scheme is neither"},
		{"textDocument/codeLens", `{"textDocument":{}}`, "textDocument.uri: is required"},
		{"textDocument/codeAction", `{"textDocument":{"uri":"file:///x"},"range":{"start":{"line":-1,"character":0},"end":{"line":0,"character":0}},"context":{}}`, "range.start.line: expected a whole number that is not negative, found -1"},
	} {
		c.refused(x.method, x.params, wire.InvalidParams, x.message)
	}
}

func TestUnknownMembersAndNullsAreIgnored(t *testing.T) {
	var p execParams
	err := decodeParams([]byte(`{"command":"x","later":{"a":[1]},"timeoutMs":null,"stdin":null,"pty":null,"env":null,"command":"y"}`), &p)
	if err != nil || p.Command != "y" || p.Stdin != nil || p.PTY != nil {
		t.Errorf("%v %+v", err, p)
	}
	// Names are exact: another spelling is another member.
	if err := decodeParams([]byte(`{"Command":"x"}`), &p); err == nil || err.Error() != "command: is required" {
		t.Errorf("Command was taken for command: %v", err)
	}
}

func TestPathsInListsAreTextOrBytes(t *testing.T) {
	var p statManyParams
	if err := decodeParams([]byte(`{"paths":["a",{"pathBytes":"5A=="},{"path":"shown","pathBytes":"5A"},{"path":"b"}]}`), &p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "\xE4", "\xE4", "b"}, rawPaths(p.Paths)); diff != "" {
		t.Error(diff)
	}
}

func TestFieldNamesAreShortened(t *testing.T) {
	err := decodeParams([]byte(`{"command":"x","env":{"`+strings.Repeat("k", 500)+`":1}}`), &execParams{})
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("the message is %v", err)
	}
}

func FuzzParams(f *testing.F) {
	for _, s := range []string{`{"command":"x"}`, `{"argv":["a"]}`, `{"resolutions":[{"path":"x","choice":"mine"}]}`, `{"paths":[{"pathBytes":"AA"}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, into := range []any{&execParams{}, &returnParams{}, &statManyParams{}, &writeFileParams{}, &didChangeParams{}, &initializeParams{}} {
			if err := decodeParams(raw, into); err != nil && err.Error() == "" {
				t.Errorf("%q: an error without words", raw)
			}
		}
	})
}
