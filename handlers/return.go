package handlers

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"glue-lsp/session"
	"glue-lsp/workspace"
)

// returnOptions are the members that return and close have in common.
type returnOptions struct {
	Apply           *bool        `json:"apply,omitzero" doc:"default true: apply the edit and write the rest; false only prepares"`
	Mode            string       `json:"mode,omitzero" doc:"edits, disk or branch; default the setting's"`
	Paths           []somePath   `json:"paths,omitzero" doc:"only these; default all"`
	Confirm         []somePath   `json:"confirm,omitzero" doc:"files that act by themselves and may come back"`
	Resolutions     []resolution `json:"resolutions,omitzero" doc:"how conflicts are settled"`
	AllowMassDelete bool         `json:"allowMassDelete,omitzero" doc:"go on although most files would be removed"`
	longRunning
}

// returnDefaults fills in what the settings say, as they are now: an ended session knows
// none, and an open one those of its beginning.
func (s *Server) returnDefaults(o session.ReturnOptions) session.ReturnOptions {
	if settings, err := s.usableSettings(); err == nil {
		o.Mode = cmp.Or(o.Mode, settings.ReturnMode)
		o.MaxBytes = int64(settings.ReturnMaxMB) << 20
	}
	return o
}

type resolution struct {
	Path      string `json:"path" or:"pathBytes"`
	PathBytes string `json:"pathBytes,omitzero"`
	Choice    string `json:"choice" doc:"mine (the host's), theirs (the sandbox's) or content"`
	Data      string `json:"data,omitzero" doc:"with content: the file's new bytes"`
	Encoding  string `json:"encoding,omitzero"`
}

// someNamed refuses a list without a name: taking it for all would be more than was meant.
func someNamed(paths []somePath) error {
	if paths != nil && len(paths) == 0 {
		return badParam("paths", "must name something; leave it out for all")
	}
	return nil
}

func (o *returnOptions) toSession() (session.ReturnOptions, error) {
	out := session.ReturnOptions{
		Apply: orTrue(o.Apply), Mode: o.Mode, Paths: rawPaths(o.Paths), Confirm: rawPaths(o.Confirm),
		AllowMassDelete: o.AllowMassDelete,
	}
	if !slices.Contains([]string{"", "edits", "disk", "branch"}, o.Mode) {
		return out, badParam("mode", "expected edits, disk or branch, found %q", clip(o.Mode, 40))
	}
	if err := someNamed(o.Paths); err != nil {
		return out, err
	}
	for i, r := range o.Resolutions {
		field := fmt.Sprintf("resolutions[%d]", i)
		path, err := rawPath(field+".path", r.Path, r.PathBytes)
		if err != nil {
			return out, err
		}
		res := workspace.Resolution{Path: path, Choice: r.Choice}
		switch r.Choice {
		case "mine", "theirs":
		case "content":
			if res.Content, err = (payload{Data: r.Data, Encoding: r.Encoding}).bytes(field); err != nil {
				return out, err
			}
		default:
			return out, badParam(field+".choice", "expected mine, theirs or content, found %q", clip(r.Choice, 40))
		}
		out.Resolutions = append(out.Resolutions, res)
	}
	return out, nil
}

type returnParams struct {
	sessionRef
	returnOptions
}

func (s *Server) sessionReturn(ctx context.Context, p *returnParams) (returnResult, error) {
	o, err := p.toSession()
	if err != nil {
		return returnResult{}, err
	}
	sess, err := s.find(ctx, p.Session)
	if err != nil {
		return returnResult{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Returning changes")
	defer report.end("")
	r, err := sess.Return(ctx, s.returnDefaults(o), report.report)
	if err != nil {
		return returnResult{}, err
	}
	return s.toReturn(r), nil
}

type undoParams struct {
	sessionRef
	longRunning
}

func (s *Server) sessionUndo(ctx context.Context, p *undoParams) (returnResult, error) {
	sess, err := s.find(ctx, p.Session)
	if err != nil {
		return returnResult{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Undoing the last return")
	defer report.end("")
	r, err := sess.Undo(ctx, report.report)
	if err != nil {
		return returnResult{}, err
	}
	return s.toReturn(r), nil
}

type closeParams struct {
	sessionRef
	Return *bool `json:"return,omitzero" doc:"default true: return the changes first"`
	returnOptions
}

type closeResult struct {
	returnResult
	Terminated bool `json:"terminated" doc:"the sandbox has ended"`
}

func (s *Server) sessionClose(ctx context.Context, p *closeParams) (closeResult, error) {
	o, err := p.toSession()
	if err != nil {
		return closeResult{}, err
	}
	sess, err := s.open(p.Session)
	if err != nil {
		return closeResult{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Closing the sandbox")
	defer report.end("")
	o = s.returnDefaults(o)
	opts := &o
	if !orTrue(p.Return) {
		opts = nil
	}
	r, err := sess.Close(ctx, opts, report.report)
	if err != nil {
		return closeResult{}, err
	}
	return closeResult{returnResult: s.toReturn(r), Terminated: r != nil && r.Terminated}, nil
}

// toReturn puts a return into the words of the contract. A nil one changed nothing.
func (s *Server) toReturn(r *session.Return) returnResult {
	if r == nil {
		r = &session.Return{}
	}
	out := returnResult{
		Files: toChanges(r.Files), Applied: r.Applied, Disk: toChanges(r.Disk), Declined: toChanges(r.Declined),
		Conflicts: toConflicts(r.Conflicts), Skipped: toSkipped(r.Skipped), Branch: r.Branch,
	}
	if r.Mbox != nil {
		path, _ := showPath(r.Mbox.Path)
		out.Mbox = &mboxInfo{Path: path, Bytes: r.Mbox.Bytes, Commits: r.Mbox.Commits, Truncated: r.Mbox.Truncated}
	}
	if r.Edit != nil {
		p := s.peer.Load()
		out.Edit = toWorkspaceEdit(r.Edit, p.client, p.uriOf)
	}
	if u := r.Unavailable; u != nil {
		out.Unavailable = &unavailable{Reason: u.Reason, Message: withoutCredentials(u.Message)}
		if u.Recovered != nil {
			out.Unavailable.Recovered = &recovered{Seq: u.Recovered.Seq, At: rfc3339(u.Recovered.At)}
		}
	}
	return out
}
