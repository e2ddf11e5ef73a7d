package handlers

import (
	"time"

	"go.lsp.dev/protocol"

	"glue-lsp/session"
	"glue-lsp/workspace"
)

// The shapes that travel in results and notifications. Their tags are the
// documentation too: see docs_test.go.

type empty struct{}

type sessionInfo struct {
	ID              string         `json:"id"`
	Runtime         string         `json:"runtime" doc:"local or modal"`
	State           string         `json:"state" doc:"opening, ready, returning, closed or lost"`
	WorkspaceFolder string         `json:"workspaceFolder" doc:"URI of the folder on the host"`
	Root            string         `json:"root" doc:"the tree's root in the sandbox"`
	Cwd             string         `json:"cwd" doc:"where commands start, and what relative paths are relative to"`
	SandboxID       string         `json:"sandboxId,omitzero" doc:"the runtime's own name of the sandbox"`
	Isolation       string         `json:"isolation" doc:"modal, bubblewrap, landlock or none"`
	Gaps            []string       `json:"gaps" doc:"what the isolation cannot hold"`
	Transport       string         `json:"transport" doc:"agent or direct"`
	Base            baseInfo       `json:"base" doc:"what went up when the session was opened"`
	Bootstrap       bootstrapInfo  `json:"bootstrap" doc:"how it went up"`
	Checkpoint      checkpointInfo `json:"checkpoint" doc:"the newest state of the sandbox that is safe on the host"`
	Execs           []execInfo     `json:"execs" doc:"commands that run, and those that left processes behind"`
	CreatedAt       string         `json:"createdAt" doc:"RFC 3339"`
	ExpiresAt       string         `json:"expiresAt,omitzero" doc:"RFC 3339; when the runtime ends the sandbox by itself"`
	Warnings        []string       `json:"warnings"`
	Lost            *lostInfo      `json:"lost,omitzero" doc:"why the sandbox is gone"`
}

type baseInfo struct {
	Commit  string    `json:"commit"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"`
	Unsaved int       `json:"unsaved" doc:"files that went up as their unsaved buffer"`
	Skipped []skipped `json:"skipped" doc:"what did not go up"`
}

type skipped struct {
	Path      string `json:"path"`
	PathBytes string `json:"pathBytes,omitzero"`
	Reason    string `json:"reason"`
}

type bootstrapInfo struct {
	Strategy string `json:"strategy" doc:"bundle, clone or attach"`
	Bytes    int64  `json:"bytes"`
	Ms       int64  `json:"ms"`
}

type checkpointInfo struct {
	Seq          int    `json:"seq"`
	Commit       string `json:"commit"`
	At           string `json:"at" doc:"RFC 3339; empty before the first one"`
	ChangedFiles int    `json:"changedFiles" doc:"files that differ from what host and sandbox agreed on"`
}

type execInfo struct {
	ExecID    string `json:"execId"`
	Command   string `json:"command"`
	StartedAt string `json:"startedAt" doc:"RFC 3339"`
	State     string `json:"state" doc:"running or background"`
}

type lostInfo struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

type fileChange struct {
	Path             string    `json:"path" doc:"relative to the tree's root"`
	PathBytes        string    `json:"pathBytes,omitzero"`
	OldPath          string    `json:"oldPath,omitzero"`
	OldPathBytes     string    `json:"oldPathBytes,omitzero"`
	Status           string    `json:"status" doc:"added, modified, deleted, renamed, mode or type"`
	Kind             string    `json:"kind" doc:"text, binary or symlink"`
	Additions        *int      `json:"additions,omitzero" doc:"lines; text only"`
	Deletions        *int      `json:"deletions,omitzero" doc:"lines; text only"`
	OldMode          uint32    `json:"oldMode,omitzero" doc:"permission bits"`
	NewMode          uint32    `json:"newMode,omitzero" doc:"permission bits"`
	Acts             *actsInfo `json:"acts,omitzero" doc:"the file acts by itself"`
	OutsideWorkspace bool      `json:"outsideWorkspace,omitzero" doc:"in the repository, but not below the workspace folder"`
}

type actsInfo struct {
	When string `json:"when" doc:"open: when the folder is opened in an editor or a shell; build: when the project is built or tested"`
	Why  string `json:"why"`
}

type conflict struct {
	Path      string `json:"path" doc:"relative to the tree's root"`
	PathBytes string `json:"pathBytes,omitzero"`
	Kind      string `json:"kind" doc:"content, addAdd, modifyDelete, rename, binary or type"`
	Detail    string `json:"detail"`
	Held      bool   `json:"held,omitzero" doc:"nothing conflicts, but something is in the way, such as unsaved text: detail says what to do"`
}

type returnResult struct {
	Mbox        *mboxInfo               `json:"mbox" null:"true" doc:"the changes as a file of patches on the host; null when nothing changed"`
	Files       []fileChange            `json:"files" doc:"everything that comes back"`
	Edit        *protocol.WorkspaceEdit `json:"edit" null:"true" doc:"the LSP WorkspaceEdit; null when there is nothing for the editor"`
	Applied     bool                    `json:"applied" doc:"the changes are in the user's tree"`
	Disk        []fileChange            `json:"disk" doc:"what the server writes itself, because an edit would not keep its bytes"`
	Declined    []fileChange            `json:"declined" doc:"refused by a person, now or before; not offered again"`
	Conflicts   []conflict              `json:"conflicts" doc:"changed on both sides; in neither edit nor disk"`
	Skipped     []skipped               `json:"skipped" doc:"left out: acts on open and was not confirmed, leaves the root, …"`
	Branch      string                  `json:"branch,omitzero" doc:"mode branch: the ref that was made"`
	Unavailable *unavailable            `json:"unavailable,omitzero" doc:"why the newest state could not be had"`
}

type mboxInfo struct {
	Path      string `json:"path" doc:"on the host"`
	Bytes     int64  `json:"bytes"`
	Commits   int    `json:"commits"`
	Truncated bool   `json:"truncated"`
}

type unavailable struct {
	Reason    string     `json:"reason" doc:"noBootstrapSha, gitFailed, executorDead, notSupported or runtimeNotGit"`
	Message   string     `json:"message"`
	Recovered *recovered `json:"recovered,omitzero" doc:"the checkpoint that is returned instead"`
}

type recovered struct {
	Seq int    `json:"seq"`
	At  string `json:"at" doc:"RFC 3339"`
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// toSessionInfo puts a session into the words of the contract; uriOf names its folder.
func toSessionInfo(i session.Info, uriOf func(path string) string) sessionInfo {
	out := sessionInfo{
		ID: i.ID, Runtime: i.Runtime, State: i.State, WorkspaceFolder: uriOf(i.Folder),
		Root: i.Root, Cwd: i.Cwd, SandboxID: i.SandboxID, Isolation: i.Isolation,
		Gaps: i.Gaps, Transport: i.Transport,
		Base: baseInfo{
			Commit: i.Base.Commit, Files: i.Base.Files, Bytes: i.Base.Bytes, Unsaved: i.Base.Unsaved,
			Skipped: toSkipped(i.Base.Skipped),
		},
		Bootstrap:  bootstrapInfo{Strategy: i.Bootstrap.Strategy, Bytes: i.Bootstrap.Bytes, Ms: i.Bootstrap.Took.Milliseconds()},
		Checkpoint: toCheckpoint(i.Checkpoint), Execs: toExecs(i.Execs),
		CreatedAt: rfc3339(i.CreatedAt), Warnings: i.Warnings,
	}
	if i.ExpiresAt != nil {
		out.ExpiresAt = rfc3339(*i.ExpiresAt)
	}
	if i.Lost != nil {
		out.Lost = &lostInfo{Kind: i.Lost.Kind, Message: i.Lost.Message}
	}
	return out
}

func toSkipped(in []session.Skipped) []skipped {
	out := make([]skipped, len(in))
	for i, s := range in {
		text, b64 := showPath(s.Path)
		out[i] = skipped{Path: text, PathBytes: b64, Reason: s.Reason}
	}
	return out
}

func toCheckpoint(c session.CheckpointInfo) checkpointInfo {
	return checkpointInfo{Seq: c.Seq, Commit: c.Commit, At: rfc3339(c.At), ChangedFiles: c.ChangedFiles}
}

func toExecs(in []session.ExecInfo) []execInfo {
	out := make([]execInfo, len(in))
	for i, e := range in {
		command, _ := showPath(e.Command)
		out[i] = execInfo{ExecID: e.ExecID, Command: command, StartedAt: rfc3339(e.StartedAt), State: e.State}
	}
	return out
}

func toChanges(in []workspace.Change) []fileChange {
	out := make([]fileChange, len(in))
	for i, c := range in {
		f := fileChange{
			Status: c.Status, Kind: c.Kind, OutsideWorkspace: c.Outside,
			OldMode: uint32(c.OldMode) & 0o7777, NewMode: uint32(c.NewMode) & 0o7777,
		}
		f.Path, f.PathBytes = showPath(c.Path)
		f.OldPath, f.OldPathBytes = showPath(c.OldPath)
		if c.Kind == "text" {
			f.Additions, f.Deletions = &c.Additions, &c.Deletions
		}
		if c.Acts != nil {
			f.Acts = &actsInfo{When: c.Acts.When, Why: c.Acts.Why}
		}
		out[i] = f
	}
	return out
}

func toConflicts(in []workspace.Conflict) []conflict {
	out := make([]conflict, len(in))
	for i, c := range in {
		text, b64 := showPath(c.Path)
		out[i] = conflict{Path: text, PathBytes: b64, Kind: c.Kind, Detail: c.Detail, Held: c.Held}
	}
	return out
}
