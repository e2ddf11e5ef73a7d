package handlers

import (
	"context"
	"encoding/json"
	"reflect"

	"go.lsp.dev/protocol"
)

// route is one method: what it takes, what it gives, and who answers. A route has
// either call or notify. The reference in docs/lsp-extensions.md is made from these.
type route struct {
	method         string
	params, result reflect.Type
	doc            string
	call           func(*Server, context.Context, json.RawMessage) (any, error)
	notify         func(*Server, context.Context, json.RawMessage) error
}

func request[P, R any](method, doc string, h func(*Server, context.Context, *P) (R, error)) route {
	return route{
		method: method, params: reflect.TypeFor[P](), result: reflect.TypeFor[R](), doc: doc,
		call: func(s *Server, ctx context.Context, raw json.RawMessage) (any, error) {
			p := new(P)
			if err := decodeParams(raw, p); err != nil {
				return nil, err
			}
			return h(s, ctx, p)
		},
	}
}

func notification[P any](method, doc string, h func(*Server, context.Context, *P) error) route {
	return route{
		method: method, params: reflect.TypeFor[P](), doc: doc,
		notify: func(s *Server, ctx context.Context, raw json.RawMessage) error {
			p := new(P)
			if err := decodeParams(raw, p); err != nil {
				return err
			}
			return h(s, ctx, p)
		},
	}
}

// routes is everything that a client can call.
func routes() []route { return append(standardRoutes(), glueRoutes()...) }

// standardRoutes are LSP's own methods. A text document's changes are decoded by hand:
// one that cannot be read must make the server forget the text, see documents_sync.go.
func standardRoutes() []route {
	return []route{
		request(protocol.MethodInitialize, "", (*Server).initialize),
		notification(protocol.MethodInitialized, "", (*Server).initialized),
		request(protocol.MethodShutdown, "", (*Server).shutdown),
		notification(protocol.MethodExit, "", (*Server).exit),
		notification(protocol.MethodSetTrace, "", (*Server).setTrace),
		notification(protocol.MethodWindowWorkDoneProgressCancel, "", (*Server).cancelProgress),

		notification(protocol.MethodTextDocumentDidOpen, "", (*Server).didOpen),
		{method: protocol.MethodTextDocumentDidChange, params: reflect.TypeFor[didChangeParams](), notify: (*Server).didChangeRaw},
		notification(protocol.MethodTextDocumentDidSave, "", (*Server).didSave),
		notification(protocol.MethodTextDocumentDidClose, "", (*Server).didClose),
		request(protocol.MethodTextDocumentCodeAction, "", (*Server).codeAction),
		request(protocol.MethodTextDocumentCodeLens, "", (*Server).codeLens),

		notification(protocol.MethodWorkspaceDidChangeConfiguration, "", (*Server).didChangeConfiguration),
		notification(protocol.MethodWorkspaceDidChangeWorkspaceFolders, "", (*Server).didChangeFolders),
		request(protocol.MethodWorkspaceExecuteCommand, "", (*Server).executeCommand),
		request(protocol.MethodWorkspaceTextDocumentContent, "", (*Server).textDocumentContent),
	}
}

// glueRoutes are the methods that this server adds.
func glueRoutes() []route {
	return []route{
		request("glue/session/open", "Opens a session on a workspace folder, or answers with the one that the folder has already in that runtime. `new` opens another in any case.", (*Server).sessionOpen),
		request("glue/session/list", "Lists what is open, and what has ended with changes that nobody took back yet.", (*Server).sessionList),
		request("glue/session/status", "Describes one session.", (*Server).sessionStatus),
		request("glue/session/sync", "Brings the sandbox up to the editor's state: saved files and unsaved buffers.", (*Server).sessionSync),
		request("glue/session/checkpoint", "Stores what the sandbox has changed on the host, durably.", (*Server).sessionCheckpoint),
		request("glue/session/diff", "Shows what a return would bring. Works on ended sessions too.", (*Server).sessionDiff),
		request("glue/session/version", "Gives the bytes of either side of a change. Works on ended sessions too.", (*Server).sessionVersion),
		request("glue/session/return", "Brings the sandbox's changes back. The session goes on. Works on ended sessions too.", (*Server).sessionReturn),
		request("glue/session/undo", "Takes the last return back as a whole, also on an ended session: see [Returning](#returning).", (*Server).sessionUndo),
		request("glue/session/discard", "Forgets changes of the sandbox for good: those at the given paths, or all. Works on ended sessions too.", (*Server).sessionDiscard),
		request("glue/session/close", "Ends the session. What still runs is terminated, the changes are stored and then, unless `return` is false, returned.", (*Server).sessionClose),

		request("glue/exec", "Runs a command in the sandbox and answers when it has ended.", (*Server).exec),
		notification("glue/exec/ack", "Reports progress in showing a command's output, see [Streaming](#streaming).", (*Server).execAck),
		request("glue/exec/attach", "Streams a command's output, from `fromByte` of what is still kept, and answers like `glue/exec` when it has ended. Cancelling it leaves the command alone.", (*Server).execAttach),
		request("glue/exec/stdin", "Writes to a command's standard input.", (*Server).execStdin),
		request("glue/exec/resize", "Tells a command's terminal its size.", (*Server).execResize),
		request("glue/exec/signal", "Sends a signal to a command's whole process group.", (*Server).execSignal),
		request("glue/exec/list", "Lists a session's commands that run or left processes behind.", (*Server).execList),

		request("glue/fs/stat", "Describes a file. A link is followed for type, size and mtime.", (*Server).fsStat),
		request("glue/fs/statMany", "Describes many files in one round trip.", (*Server).fsStatMany),
		request("glue/fs/exists", "Says whether there is anything at a path.", (*Server).fsExists),
		request("glue/fs/readDirectory", "Lists a folder, sorted by the bytes of the names.", (*Server).fsReadDirectory),
		request("glue/fs/readFile", "Reads a file, or a part of it.", (*Server).fsReadFile),
		request("glue/fs/writeFile", "Writes a file under a temporary name and renames it. Missing parents are made.", (*Server).fsWriteFile),
		request("glue/fs/createDirectory", "Makes a folder.", (*Server).fsCreateDirectory),
		request("glue/fs/delete", "Removes a file or folder by rm's rules: a folder needs `recursive`, and `force` forgives a missing path.", (*Server).fsDelete),
		request("glue/fs/rename", "Renames a file or folder.", (*Server).fsRename),
		request("glue/fs/copy", "Copies a file or folder.", (*Server).fsCopy),
		request("glue/fs/watch", "Reports changes by `glue/fs/changed` until `glue/fs/unwatch` or the session's end.", (*Server).fsWatch),
		request("glue/fs/unwatch", "Ends a watch.", (*Server).fsUnwatch),

		request("glue/doctor", "Checks whether everything that a runtime needs is there.", (*Server).doctor),
	}
}

// sent is a notification from the server.
type sent struct {
	method string
	params reflect.Type
	doc    string
}

const (
	methodOutput         = "glue/exec/output"
	methodFilesChanged   = "glue/fs/changed"
	methodSessionChanged = "glue/session/changed"
)

// sentNotifications are what the server says by itself.
func sentNotifications() []sent {
	return []sent{
		{methodOutput, reflect.TypeFor[outputParams](), "A piece of a command's output, at most 64 KiB, never ending inside a character."},
		{methodFilesChanged, reflect.TypeFor[filesChangedParams](), "Changes that a watch saw."},
		{methodSessionChanged, reflect.TypeFor[sessionChangedParams](), "A session's state, its commands or its checkpoint changed."},
	}
}

// Methods names every glue/ method of this server, as initialize announces them.
func Methods() []string {
	var out []string
	for _, r := range glueRoutes() {
		out = append(out, r.method)
	}
	return out
}
