package handlers

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.lsp.dev/protocol"

	"glue-lsp/workspace"
)

// clientCapabilities are the parts of LSP's ClientCapabilities that matter here. What is
// not listed is not read, so that a client's odd value elsewhere does no harm.
type clientCapabilities struct {
	General struct {
		PositionEncodings []protocol.PositionEncodingKind `json:"positionEncodings,omitzero"`
	} `json:"general,omitzero"`
	Workspace struct {
		ApplyEdit     bool `json:"applyEdit,omitzero"`
		WorkspaceEdit struct {
			DocumentChanges         bool                             `json:"documentChanges,omitzero"`
			ResourceOperations      []protocol.ResourceOperationKind `json:"resourceOperations,omitzero"`
			ChangeAnnotationSupport *struct{}                        `json:"changeAnnotationSupport,omitzero"`
		} `json:"workspaceEdit,omitzero"`
		TextDocumentContent *struct{} `json:"textDocumentContent,omitzero"`
		CodeLens            struct {
			RefreshSupport bool `json:"refreshSupport,omitzero"`
		} `json:"codeLens,omitzero"`
	} `json:"workspace,omitzero"`
	TextDocument struct {
		CodeAction struct {
			CodeActionLiteralSupport *struct{} `json:"codeActionLiteralSupport,omitzero"`
			HonorsChangeAnnotations  bool      `json:"honorsChangeAnnotations,omitzero"`
		} `json:"codeAction,omitzero"`
	} `json:"textDocument,omitzero"`
	Experimental experimentalCapabilities `json:"experimental,omitzero"`
	Window       struct {
		WorkDoneProgress bool `json:"workDoneProgress,omitzero"`
		ShowDocument     struct {
			Support bool `json:"support,omitzero"`
		} `json:"showDocument,omitzero"`
		ShowMessage *struct{} `json:"showMessage,omitzero"`
	} `json:"window,omitzero"`
}

// killedGrace is how long the sandboxes of a client that kills its server outlive it: each
// time that the person quits.
const killedGrace = 3 * time.Second

// experimentalCapabilities are what a client says beside LSP, which leaves their form to
// it: what is no object says nothing to this server.
type experimentalCapabilities struct {
	Glue struct {
		EditUnsavedOnly bool `json:"editUnsavedOnly,omitzero"`
		Review          bool `json:"review,omitzero"`
	} `json:"glue,omitzero"`
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (c *experimentalCapabilities) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return dec.SkipValue()
	}
	type plain experimentalCapabilities
	return json.UnmarshalDecode(dec, (*plain)(c))
}

type clientInfo struct {
	Name    string `json:"name,omitzero"`
	Version string `json:"version,omitzero"`
}

// client is what the client can do.
type client struct {
	encoding       encoding
	applyEdit      bool
	edit           workspace.ClientCaps
	progress       bool // window/workDoneProgress/create
	showDocument   bool
	actionLiterals bool // code actions, not only commands
	falseIsTrue    bool // takeFocus: false is taken for true
	interrupts     bool // a question is put in the middle of typing, or to nobody
	contents       bool // workspace/textDocumentContent
	questions      bool // window/showMessageRequest is shown to a person, who answers it
	reviews        bool // asks and tells about changes by itself
	kills          bool // it sends shutdown and exit, and SIGKILL right after them
	preselects     bool // Enter chooses a question's first button, also of one that came while a person types
}

func newClient(c clientCapabilities, info clientInfo) client {
	we := c.Workspace.WorkspaceEdit
	can := func(kind protocol.ResourceOperationKind) bool {
		return c.Workspace.ApplyEdit && we.DocumentChanges && slices.Contains(we.ResourceOperations, kind)
	}
	helix := strings.EqualFold(info.Name, "helix")
	eglot := strings.EqualFold(info.Name, "eglot")
	return client{
		encoding:  negotiate(c.General.PositionEncodings),
		applyEdit: c.Workspace.ApplyEdit,
		edit: workspace.ClientCaps{
			Create:          can(protocol.ResourceOperationKindCreate),
			Rename:          can(protocol.ResourceOperationKindRename),
			Delete:          can(protocol.ResourceOperationKindDelete),
			DocumentChanges: we.DocumentChanges,
			OpenOnly:        hidesClosedFiles(info),
			TellsLate:       eglot, // eglot-send-changes-idle-time
			UnsavedOnly:     c.Experimental.Glue.EditUnsavedOnly,
			Annotations:     we.ChangeAnnotationSupport != nil && asksBeforeApplying(c, info),
		},
		progress:       c.Window.WorkDoneProgress,
		showDocument:   c.Window.ShowDocument.Support,
		actionLiterals: c.TextDocument.CodeAction.CodeActionLiteralSupport != nil,
		contents:       c.Workspace.TextDocumentContent != nil,
		falseIsTrue:    eglot,
		interrupts:     eglot || !c.Workspace.ApplyEdit && reflect.ValueOf(c.Window).IsZero(), // ALE
		questions:      c.Window.ShowMessage != nil,
		reviews:        c.Experimental.Glue.Review,
		kills:          helix,
		preselects:     helix,
	}
}

// asksBeforeApplying reports whether needsConfirmation makes the client ask a person.
// Many clients declare annotations and apply them silently, so the declaration alone is
// not believed where it is known to be wrong.
func asksBeforeApplying(c clientCapabilities, info clientInfo) bool {
	name := strings.ToLower(info.Name)
	for _, silent := range []string{"theia", "helix", "emacs", "eglot", "lsp-mode"} {
		if strings.Contains(name, silent) {
			return false
		}
	}
	if strings.Contains(name, "neovim") {
		return atLeast(info.Version, 0, 12) // 0.10 applies without a question
	}
	return c.TextDocument.CodeAction.HonorsChangeAnnotations || strings.Contains(name, "visual studio code")
}

// hidesClosedFiles reports whether an edit of a closed file ends in an unsaved buffer that
// the server is not told of, and the person may never see. Neovim's (vim.lsp.util) also
// ends a new file with one line end too many.
func hidesClosedFiles(info clientInfo) bool {
	name := strings.ToLower(info.Name)
	return slices.ContainsFunc([]string{"neovim", "helix", "eglot", "emacs", "lsp-mode", "vim-lsp"}, func(known string) bool {
		return strings.Contains(name, known)
	})
}

// atLeast compares the first two numbers of a version such as "v0.12.4" or "0.11.0-dev".
func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	x, err1 := strconv.Atoi(parts[0])
	y, err2 := strconv.Atoi(parts[1])
	if err1 != nil || err2 != nil {
		return false
	}
	return x > major || x == major && y >= minor
}
