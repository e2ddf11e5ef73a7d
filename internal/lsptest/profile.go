package lsptest

// Profile is one kind of client: what it declares, and what it does, which is not always
// the same. The profiles below hold what the real editors were seen to do.
type Profile struct {
	Name, Version string
	// Encodings are the position encodings offered, best first; nil declares none, which
	// means UTF-16.
	Encodings []string

	ApplyEdit       bool
	DocumentChanges bool
	// Operations are the resource operations declared: create, rename, delete.
	Operations []string
	// Unable says what happens when an edit holds an operation that was not declared.
	Unable Unable
	// Annotations says what becomes of changes that need confirmation.
	Annotations Annotations

	Progress, ShowDocument, Configuration, CodeLens, CodeActions, DocumentContent bool
	// Questions: window/showMessageRequest is declared; see Editor.OnMessage.
	Questions bool
	// OneLineEnd: a buffer has one kind of line end, which text put into it takes on.
	OneLineEnd bool
}

// Annotations is how a client treats change annotations.
type Annotations int

// What clients do with a change that needs confirmation.
const (
	Undeclared Annotations = iota // applied, and annotations are not declared
	Silent                        // declared, and applied without a word
	Prompt                        // a person is asked: see Editor.OnConfirm
)

// Unable is how a client fails.
type Unable int

// What clients do with an edit that is beyond them.
const (
	AnswersError Unable = iota // -32603
	NeverAnswers
)

func allOperations() []string { return []string{"create", "rename", "delete"} }

// VSCode is VS Code with vscode-languageclient.
func VSCode() Profile {
	return Profile{
		Name: "Visual Studio Code", Version: "1.139.1", Encodings: []string{"utf-16"},
		ApplyEdit: true, DocumentChanges: true, Operations: allOperations(), Annotations: Prompt,
		Progress: true, ShowDocument: true, Configuration: true, CodeLens: true, CodeActions: true, DocumentContent: true, Questions: true,
		OneLineEnd: true,
	}
}

// Theia is Eclipse Theia, VS Code's client without its preview.
func Theia() Profile {
	p := VSCode()
	p.Name, p.Version, p.Annotations, p.DocumentContent = "Eclipse Theia", "1.74.0", Silent, false
	return p
}

// Neovim is Neovim 0.12.
func Neovim() Profile {
	return Profile{
		Name: "Neovim", Version: "0.12.4", Encodings: []string{"utf-8", "utf-16", "utf-32"},
		ApplyEdit: true, DocumentChanges: true, Operations: allOperations(), Annotations: Prompt,
		Progress: true, ShowDocument: true, Configuration: true, CodeLens: true, CodeActions: true, Questions: true,
	}
}

// Neovim010 is Neovim 0.10, which asks nothing and counts in UTF-16 only.
func Neovim010() Profile {
	p := Neovim()
	p.Version, p.Encodings, p.Annotations = "0.10.4", []string{"utf-16"}, Silent
	return p
}

// Helix is Helix 25.07.
func Helix() Profile {
	return Profile{
		Name: "helix", Version: "25.07.1", Encodings: []string{"utf-8", "utf-32", "utf-16"},
		ApplyEdit: true, DocumentChanges: true, Operations: allOperations(), Annotations: Silent,
		Progress: true, ShowDocument: true, Configuration: true, CodeActions: true,
	}
}

// Eglot is Emacs 30 with eglot: no resource operations, and an error for them.
func Eglot() Profile {
	return Profile{
		Name: "Eglot", Version: "1.17.30", Encodings: []string{"utf-32", "utf-8", "utf-16"},
		ApplyEdit: true, DocumentChanges: true, Unable: AnswersError,
		Progress: true, ShowDocument: true, Configuration: true, CodeActions: true,
	}
}

// LSPMode is Emacs with lsp-mode.
func LSPMode() Profile {
	return Profile{
		Name: "emacs", Version: "10.0.0", Encodings: []string{"utf-32", "utf-8", "utf-16"},
		ApplyEdit: true, DocumentChanges: true, Operations: allOperations(), Annotations: Silent,
		Progress: true, ShowDocument: true, Configuration: true, CodeActions: true,
	}
}

// ALE is Vim 9 with ALE: it applies edits, but throws on file operations, without an answer.
func ALE() Profile {
	return Profile{Name: "ALE", Version: "4.0.0", ApplyEdit: true, Unable: NeverAnswers}
}

// Plain declares nothing at all: the least a client can be.
func Plain() Profile { return Profile{} }

// Profiles are all of them by the name that stories use.
func Profiles() map[string]Profile {
	return map[string]Profile{
		"vscode": VSCode(), "theia": Theia(), "neovim": Neovim(), "neovim-0.10": Neovim010(), "helix": Helix(),
		"eglot": Eglot(), "lsp-mode": LSPMode(), "ale": ALE(), "plain": Plain(),
	}
}

type object = map[string]any

// capabilities is LSP's ClientCapabilities for the profile.
func (p Profile) capabilities() object {
	general, workspace, document, window := object{}, object{}, object{"synchronization": object{"didSave": true}}, object{}
	if p.Encodings != nil {
		general["positionEncodings"] = p.Encodings
	}
	if p.ApplyEdit {
		workspace["applyEdit"] = true
		workspace["workspaceEdit"] = p.editCapabilities()
	}
	if p.Configuration {
		workspace["configuration"] = true
		workspace["didChangeConfiguration"] = object{"dynamicRegistration": true}
	}
	workspace["workspaceFolders"] = true
	workspace["executeCommand"] = object{}
	if p.DocumentContent {
		workspace["textDocumentContent"] = object{"dynamicRegistration": true}
	}
	if p.CodeLens {
		workspace["codeLens"] = object{"refreshSupport": true}
		document["codeLens"] = object{}
	}
	if p.CodeActions {
		document["codeAction"] = object{
			"codeActionLiteralSupport": object{"codeActionKind": object{"valueSet": []string{"", "quickfix", "refactor", "source"}}},
			"isPreferredSupport":       true, "dataSupport": true,
			"resolveSupport":          object{"properties": []string{"edit"}},
			"honorsChangeAnnotations": p.Annotations == Prompt,
		}
	}
	if p.Progress {
		window["workDoneProgress"] = true
	}
	if p.ShowDocument {
		window["showDocument"] = object{"support": true}
	}
	if p.Questions {
		window["showMessage"] = object{"messageActionItem": object{"additionalPropertiesSupport": true}}
	}
	return object{"general": general, "workspace": workspace, "textDocument": document, "window": window}
}

func (p Profile) editCapabilities() object {
	edit := object{"documentChanges": p.DocumentChanges, "failureHandling": "abort"}
	if p.OneLineEnd {
		edit["failureHandling"], edit["normalizesLineEndings"] = "textOnlyTransactional", true
	}
	if p.Operations != nil {
		edit["resourceOperations"] = p.Operations
	}
	if p.Annotations != Undeclared {
		edit["changeAnnotationSupport"] = object{"groupsOnLabel": true}
	}
	return edit
}
