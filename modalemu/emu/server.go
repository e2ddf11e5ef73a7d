package emu

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"modalemu/machine"
)

// Options for Start.
type Options struct {
	Listen      string // address of both planes; default 127.0.0.1:0
	Admin       string // address of the HTTP interface; default 127.0.0.1:0
	Dir         string // where sandboxes' files are kept; a new temporary folder by default
	TokenID     string // the token that is accepted; default ak-emulator and as-emulator
	TokenSecret string
	// FSTools is a program that becomes the file helper of sandboxes by its name,
	// modal-sandbox-fs-tools, and their first process by the word machine.Word.
	FSTools string
	// RoundTrip is waited before each call is answered, as if the network were that long.
	// It delays calls, not bytes: a stream that is open flows as before.
	RoundTrip time.Duration
	Log       func(format string, args ...any)
}

// Server is a running emulator.
type Server struct {
	pb.UnimplementedModalClientServer

	o      Options
	own    string // the temporary folder to remove, or ""
	host   *machine.Host
	grpc   *grpc.Server
	lis    net.Listener
	admin  *http.Server
	alis   net.Listener
	key    []byte // signs tokens
	faults faultState
	counts counter
	// life ends when the server does.
	life context.Context //nolint:containedctx // it is the server's own
	end  context.CancelFunc
	work sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	apps      map[string]*app
	images    map[string]*image
	secrets   map[string]*secret
	volumes   map[string]*volume
	sandboxes map[string]*sandbox
	tasks     map[string]*sandbox
	kept      map[string]string    // images of snapshots, by what repeated calls have in common
	creations map[string]*creation // of sandboxes, by the same
	order     []string             // of sandboxes, by creation
}

// Start begins to serve.
func Start(o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Admin == "" {
		o.Admin = "127.0.0.1:0"
	}
	if o.TokenID == "" {
		o.TokenID, o.TokenSecret = "ak-emulator", "as-emulator"
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	s := &Server{
		o: o, key: randomBytes(32),
		apps: map[string]*app{}, images: map[string]*image{}, secrets: map[string]*secret{}, volumes: map[string]*volume{},
		sandboxes: map[string]*sandbox{}, tasks: map[string]*sandbox{}, creations: map[string]*creation{}, kept: map[string]string{},
	}
	s.life, s.end = context.WithCancel(context.Background())
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "modalemu-")
		if err != nil {
			return nil, err
		}
		s.o.Dir, s.own = dir, dir
	}
	for _, d := range []string{"sandboxes", "images", "volumes", "shared"} {
		if err := os.MkdirAll(filepath.Join(s.o.Dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	host, err := machine.NewHost(o.FSTools, s.path("shared"), o.Log)
	if err != nil {
		return nil, err
	}
	s.host = host
	if s.lis, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, err
	}
	if s.alis, err = net.Listen("tcp", o.Admin); err != nil {
		s.lis.Close()
		return nil, err
	}
	s.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(64<<20), grpc.MaxSendMsgSize(64<<20),
		grpc.InitialWindowSize(1<<20), grpc.InitialConnWindowSize(4<<20),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.ChainUnaryInterceptor(s.unary), grpc.ChainStreamInterceptor(s.stream),
		grpc.UnknownServiceHandler(s.unknown),
	)
	pb.RegisterModalClientServer(s.grpc, s)
	pb.RegisterTaskCommandRouterServer(s.grpc, router{Server: s})
	s.admin = &http.Server{Handler: s.adminHandler(), ReadHeaderTimeout: 5 * time.Second}
	s.work.Go(func() {
		if err := host.Warm(); err != nil {
			s.o.Log("preparing machines: %v", err)
		}
	})
	go func() { _ = s.grpc.Serve(&cuttable{Listener: s.lis, faults: &s.faults}) }()
	go func() {
		if err := s.admin.Serve(s.alis); !errors.Is(err, http.ErrServerClosed) {
			s.o.Log("admin: %v", err)
		}
	}()
	return s, nil
}

// URL is what MODAL_SERVER_URL has to be.
func (s *Server) URL() string { return "http://" + s.lis.Addr().String() }

// AdminURL is the base of the HTTP interface.
func (s *Server) AdminURL() string { return "http://" + s.alis.Addr().String() }

// Close ends every sandbox and the server.
func (s *Server) Close() error {
	s.end()
	s.mu.Lock()
	s.closed = true
	creations := slices.Collect(maps.Values(s.creations))
	s.mu.Unlock()
	for _, c := range creations {
		<-c.done
	}
	s.mu.Lock()
	var all []*sandbox
	for _, sb := range s.sandboxes {
		all = append(all, sb)
	}
	s.mu.Unlock()
	for _, sb := range all {
		sb.finish(terminated())
	}
	s.grpc.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.admin.Shutdown(ctx)
	for _, sb := range all {
		<-sb.gone
		sb.forgetAll()
	}
	s.work.Wait()
	if s.own != "" {
		err = errors.Join(err, machine.RemoveAll(s.own))
	}
	return err
}

func (s *Server) path(parts ...string) string {
	return filepath.Join(append([]string{s.o.Dir}, parts...)...)
}

// routerURL is where a client finds the command router. Python's SDK takes it at its
// word, as long as it is on loopback; the Go and JavaScript ones refuse anything but
// https, and speak plain text to a server that they were given without TLS. Host and
// port are those that the client came by, which may be a proxy's.
func (s *Server) routerURL(ctx context.Context) string {
	scheme := "http"
	if t, _ := strconv.Atoi(header(ctx, "x-modal-client-type")); t == int(pb.ClientType_CLIENT_TYPE_LIBMODAL_GO) || t == int(pb.ClientType_CLIENT_TYPE_LIBMODAL_JS) {
		scheme = "https"
	}
	host := header(ctx, ":authority")
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = s.lis.Addr().String()
	}
	return scheme + "://" + host
}
