package handlers

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.lsp.dev/protocol"

	"glue-lsp/config"
	"glue-lsp/session"
)

// sessionRef names the session of a request.
type sessionRef struct {
	Session string `json:"session,omitzero" doc:"may be left out while exactly one session is open"`
}

// longRunning is what a request that may take over a second takes besides.
type longRunning struct {
	WorkDoneToken jsontext.Value `json:"workDoneToken,omitzero" doc:"LSP progress token"`
}

type openParams struct {
	WorkspaceFolder string `json:"workspaceFolder,omitzero" doc:"URI; default the client's first workspace folder"`
	Runtime         string `json:"runtime,omitzero" doc:"local or modal; default the setting's"`
	Attach          string `json:"attach,omitzero" doc:"id of a running sandbox to attach to"`
	Resume          string `json:"resume,omitzero" doc:"id of a session to go on with"`
	New             bool   `json:"new,omitzero" doc:"open another session even where one is open"`
	TimeoutSeconds  int64  `json:"timeoutSeconds,omitzero" doc:"cap on the sandbox's life"`
	Unconfined      string `json:"unconfined,omitzero" doc:"once or always: a person agreed that commands run without isolation on this machine, where nothing else works; always is remembered for the folder"`
	longRunning
}

func (p *openParams) check() error {
	if p.TimeoutSeconds < 0 || p.TimeoutSeconds > maxSeconds {
		return badParam("timeoutSeconds", "must be between 0 and %d", maxSeconds)
	}
	for _, f := range []struct{ name, value string }{{"runtime", p.Runtime}, {"attach", p.Attach}, {"resume", p.Resume}} {
		if err := checkNUL(f.value); err != nil {
			return badParam(f.name, "%v", err)
		}
	}
	if err := checkUnconfined(p.Unconfined); err != nil {
		return err
	}
	return checkRuntime(p.Runtime)
}

// checkRuntime refuses a word that names no runtime. One that is named but not here is
// for the session to say.
func checkRuntime(name string) error {
	if !slices.Contains([]string{"", "local", "modal"}, name) {
		return badParam("runtime", "expected local or modal, found %q", clip(name, 40))
	}
	return nil
}

// maxSeconds bounds durations from clients: a year, far from any overflow.
const maxSeconds = 366 * 24 * 3600

// maxCloudSeconds is the longest life of a sandbox that Modal allows.
const maxCloudSeconds = 24 * 3600

func (s *Server) sessionOpen(ctx context.Context, p *openParams) (sessionInfo, error) {
	report := s.withToken(p.WorkDoneToken, "Opening a sandbox")
	defer report.end("")
	return s.openSession(ctx, p, report)
}

func (s *Server) openSession(ctx context.Context, p *openParams, report *progress) (sessionInfo, error) {
	var folder string
	if p.WorkspaceFolder != "" {
		var err error
		if folder, err = hostPath(p.WorkspaceFolder); err != nil {
			return sessionInfo{}, badParam("workspaceFolder", "%v", err)
		}
	} else if f, ok := s.peer.Load().folderFor(""); ok {
		folder = f
	} else if p.Resume == "" {
		return sessionInfo{}, badParam("workspaceFolder", "is required, because the client has no workspace folder open")
	}
	o, err := s.openOptions(folder, p.Runtime)
	if err != nil {
		return sessionInfo{}, err
	}
	if o.Runtime == "modal" && p.TimeoutSeconds > maxCloudSeconds {
		return sessionInfo{}, badParam("timeoutSeconds", "must be from 1 to %d on Modal, not %d", maxCloudSeconds, p.TimeoutSeconds)
	}
	o.Attach, o.Resume, o.New = p.Attach, p.Resume, p.New
	o.Timeout = time.Duration(p.TimeoutSeconds) * time.Second
	m, err := s.manager()
	if err != nil {
		return sessionInfo{}, err
	}
	sess, err := s.openOn(ctx, m, o, p.Unconfined, report)
	if err != nil {
		return sessionInfo{}, err
	}
	return toSessionInfo(sess.Info(), s.peer.Load().uriOf), nil
}

// tellUnconfined says once to the person that commands run without a sandbox around them.
func (s *Server) tellUnconfined(sess *session.Session) {
	if i := sess.Info(); i.Isolation == "none" && len(i.Gaps) > 0 && !s.toldUnconfined.Swap(true) {
		s.say(protocol.MessageTypeWarning, "glue: commands are not confined on this machine: "+i.Gaps[0])
	}
}

// openOptions are what the settings say about a session on a folder.
func (s *Server) openOptions(folder, runtime string) (session.OpenOptions, error) {
	settings, err := s.usableSettings()
	if err != nil {
		return session.OpenOptions{}, err
	}
	o := OpenOptions(settings, folder, runtime, &editor{s: s})
	if s.peer.Load().client.kills {
		o.Grace = killedGrace
	}
	return o, nil
}

// OpenOptions are what settings say about a session on a folder; runtime "" is the
// setting's, e is nil for a command line.
func OpenOptions(c *config.Settings, folder, runtime string, e session.Editor) session.OpenOptions {
	o := session.OpenOptions{
		Folder: folder, Runtime: cmp.Or(runtime, c.Runtime), Editor: e, Include: c.Include, Exclude: c.Exclude, Setup: c.Setup, Share: c.Share, ReturnMode: c.ReturnMode,
		BundleMaxBytes: int64(c.BundleMaxMB) << 20, UploadMaxBytes: int64(c.UploadMaxMB) << 20, ReturnMaxBytes: int64(c.ReturnMaxMB) << 20,
		History: c.History, CaptureMaxBytes: int64(c.CaptureMaxMB) << 20, QuotaBytes: int64(c.QuotaMB) << 20,
	}
	if o.Runtime == "local" {
		o.Network = c.LocalNetwork
		o.PrivateCache = c.LocalCache == "session"
	}
	return o
}

type listResult struct {
	Sessions []sessionInfo `json:"sessions"`
}

func (s *Server) sessionList(ctx context.Context, _ *empty) (listResult, error) {
	m, err := s.manager()
	if err != nil {
		return listResult{}, err
	}
	infos, err := m.List(ctx)
	if err != nil {
		return listResult{}, err
	}
	out := listResult{Sessions: make([]sessionInfo, len(infos))}
	for i, info := range infos {
		out.Sessions[i] = toSessionInfo(info, s.peer.Load().uriOf)
	}
	return out, nil
}

// open finds an open session; "" is the only one.
func (s *Server) open(id string) (*session.Session, error) {
	m, err := s.manager()
	if err != nil {
		return nil, err
	}
	return m.Get(id)
}

// find is open, and ended sessions too.
func (s *Server) find(ctx context.Context, id string) (*session.Session, error) {
	m, err := s.manager()
	if err != nil {
		return nil, err
	}
	return m.Find(ctx, id)
}

type statusParams struct{ sessionRef }

func (s *Server) sessionStatus(ctx context.Context, p *statusParams) (sessionInfo, error) {
	sess, err := s.find(ctx, p.Session)
	if err != nil {
		return sessionInfo{}, err
	}
	return toSessionInfo(sess.Info(), s.peer.Load().uriOf), nil
}

type syncParams struct {
	sessionRef
	AllowMassDelete bool `json:"allowMassDelete,omitzero" doc:"go on although most files would be removed"`
	longRunning
}

type syncResult struct {
	Sent      int        `json:"sent" doc:"files written or removed in the sandbox"`
	Bytes     int64      `json:"bytes"`
	Conflicts []conflict `json:"conflicts" doc:"changed on both sides; left as they are"`
}

func (s *Server) sessionSync(ctx context.Context, p *syncParams) (syncResult, error) {
	sess, err := s.open(p.Session)
	if err != nil {
		return syncResult{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Sending changes to the sandbox")
	defer report.end("")
	r, err := sess.Sync(ctx, p.AllowMassDelete, report.report)
	if err != nil {
		return syncResult{}, err
	}
	return syncResult{Sent: r.Sent, Bytes: r.Bytes, Conflicts: toConflicts(r.Conflicts)}, nil
}

type checkpointParams struct {
	sessionRef
	longRunning
}

type checkpointResult struct {
	Seq          int    `json:"seq"`
	Commit       string `json:"commit"`
	ChangedFiles int    `json:"changedFiles"`
}

func (s *Server) sessionCheckpoint(ctx context.Context, p *checkpointParams) (checkpointResult, error) {
	sess, err := s.open(p.Session)
	if err != nil {
		return checkpointResult{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Saving the sandbox's changes")
	defer report.end("")
	c, err := sess.Checkpoint(ctx)
	if err != nil {
		return checkpointResult{}, err
	}
	return checkpointResult{Seq: c.Seq, Commit: c.Commit, ChangedFiles: c.ChangedFiles}, nil
}

type diffParams struct {
	sessionRef
	Path      string `json:"path,omitzero" doc:"only this file or folder, relative to the tree's root"`
	PathBytes string `json:"pathBytes,omitzero"`
	longRunning
}

type diffResult struct {
	Files []fileChange `json:"files"`
	Patch string       `json:"patch" doc:"unified diff of the text files"`
}

func (s *Server) sessionDiff(ctx context.Context, p *diffParams) (diffResult, error) {
	only, err := rawPath("path", p.Path, p.PathBytes)
	if err != nil {
		return diffResult{}, err
	}
	sess, err := s.find(ctx, p.Session)
	if err != nil {
		return diffResult{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Comparing with the sandbox")
	defer report.end("")
	d, err := sess.Diff(ctx, only)
	if err != nil {
		return diffResult{}, err
	}
	patch, _ := showPath(d.Patch) // file names and Latin-1 text need not be UTF-8
	return diffResult{Files: toChanges(d.Files), Patch: patch}, nil
}

type discardParams struct {
	sessionRef
	Paths []somePath `json:"paths,omitzero" doc:"default all"`
	longRunning
}

type discardResult struct {
	Files []fileChange `json:"files" doc:"what was thrown away"`
}

func (p *discardParams) check() error { return someNamed(p.Paths) }

func (s *Server) sessionDiscard(ctx context.Context, p *discardParams) (discardResult, error) {
	sess, err := s.find(ctx, p.Session)
	if err != nil {
		return discardResult{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Discarding the sandbox's changes")
	defer report.end("")
	files, err := sess.Discard(ctx, rawPaths(p.Paths))
	if err != nil {
		return discardResult{}, err
	}
	return discardResult{Files: toChanges(files)}, nil
}
