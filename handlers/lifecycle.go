package handlers

import (
	"context"
	"path"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"go.lsp.dev/protocol"
	"go.uber.org/zap"

	"glue-lsp/internal/wire"
)

type initializeParams struct {
	ProcessID             *int64             `json:"processId,omitzero"`
	ClientInfo            clientInfo         `json:"clientInfo,omitzero"`
	RootPath              string             `json:"rootPath,omitzero"`
	RootURI               string             `json:"rootUri,omitzero"`
	WorkspaceFolders      []workspaceFolder  `json:"workspaceFolders,omitzero"`
	Capabilities          clientCapabilities `json:"capabilities,omitzero"`
	InitializationOptions jsontext.Value     `json:"initializationOptions,omitzero"`
	Trace                 string             `json:"trace,omitzero"`
}

type workspaceFolder struct {
	URI string `json:"uri"`
}

// protocolVersion is the version of the glue/ methods; it moves only when a client that
// knows the old one would go wrong.
const protocolVersion = 1

// experimental is capabilities.experimental.
type experimental struct {
	Glue glueCapabilities `json:"glue"`
}

type glueCapabilities struct {
	Version  int      `json:"version"`
	Methods  []string `json:"methods"`
	Runtimes []string `json:"runtimes"`
}

func (s *Server) initialize(_ context.Context, p *initializeParams) (*protocol.InitializeResult, error) {
	if !s.phase.CompareAndSwap(uninitialized, initializing) {
		return nil, wire.Errorf(wire.InvalidRequest, "initialize was sent before; it may be sent once")
	}
	c := newClient(p.Capabilities, p.ClientInfo)
	peer := &peer{client: c, docs: newDocuments(c.encoding)}
	for _, dir := range s.rootFolders(p) {
		peer.addFolder(dir)
	}
	s.peer.Store(peer)
	s.trace.Store(p.Trace == "messages" || p.Trace == "verbose")
	s.readInitialSettings(p.InitializationOptions)
	if p.ProcessID != nil {
		s.watchClient(int(*p.ProcessID))
	}
	result, err := s.offer(c)
	if err != nil {
		return nil, err
	}
	s.phase.CompareAndSwap(initializing, running)
	return result, nil
}

// rootFolders are the workspace folders, or what older clients send instead.
func (s *Server) rootFolders(p *initializeParams) []string {
	uris := make([]string, 0, len(p.WorkspaceFolders))
	for _, f := range p.WorkspaceFolders {
		uris = append(uris, f.URI)
	}
	if len(uris) == 0 && p.RootURI != "" {
		uris = append(uris, p.RootURI)
	}
	var out []string
	for _, u := range uris {
		if dir, err := hostPath(u); err != nil {
			s.log.Info("a workspace folder is not used", zap.String("uri", clip(u, 200)), zap.Error(err))
		} else {
			out = append(out, dir)
		}
	}
	if len(uris) == 0 && path.IsAbs(p.RootPath) {
		out = append(out, path.Clean(p.RootPath))
	}
	return out
}

// offer says what this server does.
func (s *Server) offer(c client) (*protocol.InitializeResult, error) {
	exp, err := protocol.Marshal(experimental{Glue: glueCapabilities{
		Version: protocolVersion, Methods: Methods(), Runtimes: slices.Clone(s.o.Runtimes),
	}})
	if err != nil {
		return nil, err
	}
	incremental := protocol.TextDocumentSyncKindIncremental
	return &protocol.InitializeResult{
		ServerInfo: protocol.ServerInfo{Name: "glue-lsp", Version: protocol.NewOptional(s.o.Version)},
		Capabilities: protocol.ServerCapabilities{
			PositionEncoding: c.encoding.kind(),
			TextDocumentSync: &protocol.TextDocumentSyncOptions{
				OpenClose: ptr(true), Change: &incremental, Save: &protocol.SaveOptions{IncludeText: ptr(false)},
			},
			CodeActionProvider:     &protocol.CodeActionOptions{CodeActionKinds: []protocol.CodeActionKind{kindRun}},
			CodeLensProvider:       &protocol.CodeLensOptions{},
			ExecuteCommandProvider: protocol.ExecuteCommandOptions{Commands: commandNames()},
			Workspace: &protocol.WorkspaceOptions{
				WorkspaceFolders: &protocol.WorkspaceFoldersServerCapabilities{
					Supported: ptr(true), ChangeNotifications: protocol.Boolean(true),
				},
				TextDocumentContent: &protocol.TextDocumentContentOptions{Schemes: []string{schemeSandbox, schemeBase}},
			},
			Experimental: exp,
		},
	}, nil
}

func ptr[T any](v T) *T { return &v }

// initialized starts what need not delay the first answer.
func (s *Server) initialized(context.Context, *empty) error {
	s.background(func(ctx context.Context) {
		s.tellSettingsProblems()
		if _, err := s.manager(); err != nil {
			s.say(protocol.MessageTypeError, "glue cannot keep sessions: "+messageOf(err))
			return
		}
		s.recoverSessions(ctx)
	})
	return nil
}

func (s *Server) shutdown(context.Context, *empty) (any, error) {
	if s.phase.Swap(shutDown) != running {
		return nil, wire.Errorf(wire.InvalidRequest, "shutdown was sent before")
	}
	s.watches.stopAll()
	s.endSessions(shutdownGrace)
	return nil, nil
}

func (s *Server) exit(context.Context, *empty) error { return s.conn.Close() }

type setTraceParams struct {
	Value string `json:"value"`
}

func (s *Server) setTrace(_ context.Context, p *setTraceParams) error {
	s.trace.Store(p.Value == "messages" || p.Value == "verbose")
	return nil
}
