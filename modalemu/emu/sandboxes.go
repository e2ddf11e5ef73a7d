package emu

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"modalemu/machine"
)

// sandbox is one, running or ended.
type sandbox struct {
	s       *Server
	id      string
	task    string
	name    string
	app     *app
	image   *image
	def     *pb.Sandbox
	env     []string
	created time.Time
	dir     string
	m       *machine.Machine
	main    *running // the entry point

	gone chan struct{} // closed when it has ended and its machine too

	mu       sync.Mutex
	tags     map[string]string
	execs    map[string]*running
	result   *pb.GenericResult // nil while it runs
	ended    time.Time
	lastUsed time.Time
	timers   []*time.Timer
}

func terminated() *pb.GenericResult {
	return pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_TERMINATED, Exitcode: 137}.Build()
}

func timedOut() *pb.GenericResult {
	return pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_TIMEOUT, Exitcode: 124}.Build()
}

// maxLife is the longest time-out that Modal takes.
const maxLife = 24 * time.Hour

// SandboxCreateV2 starts a sandbox.
func (s *Server) SandboxCreateV2(ctx context.Context, r *pb.SandboxCreateV2Request) (*pb.SandboxCreateV2Response, error) {
	if err := s.verify(header(ctx, "x-modal-auth-token"), "auth"); err != nil {
		return nil, err
	}
	f := s.faults.now()
	if f.CreateDelayMs > 0 {
		if err := wait(ctx, time.Duration(f.CreateDelayMs)*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if f.CreateFails != "" {
		return nil, status.Error(codes.Internal, f.CreateFails)
	}
	def := r.GetDefinition()
	if err := checkDefinition(def); err != nil {
		return nil, err
	}
	env, err := s.variables(def.GetSecretIds(), r.GetSecretSources())
	if err != nil {
		return nil, err
	}
	for k, v := range r.GetEphemeralSecrets().GetContents() {
		env[k] = v
	}
	s.mu.Lock()
	a, img := s.apps[r.GetAppId()], s.images[def.GetImageId()]
	alive := 0
	for _, sb := range s.sandboxes {
		if sb.alive() {
			alive++
			if def.GetName() != "" && sb.name == def.GetName() && sb.app == a {
				s.mu.Unlock()
				return nil, status.Errorf(codes.AlreadyExists, "Sandbox with name '%s' already exists", def.GetName())
			}
		}
	}
	s.mu.Unlock()
	switch {
	case a == nil:
		return nil, status.Errorf(codes.NotFound, "App '%s' not found", r.GetAppId())
	case img == nil:
		return nil, status.Errorf(codes.NotFound, "Image '%s' not found", def.GetImageId())
	case img.failed != "":
		return nil, status.Errorf(codes.FailedPrecondition, "Image '%s' was not built", img.id)
	case f.MaxSandboxes > 0 && alive >= f.MaxSandboxes:
		return nil, status.Errorf(codes.ResourceExhausted, "Workspace has reached its limit of %d concurrent sandboxes", f.MaxSandboxes)
	}
	sb := &sandbox{
		s: s, id: randomID("sb-", 16), task: randomID("ta-", 11) + "V", name: def.GetName(), app: a, image: img, def: def,
		created: time.Now(), lastUsed: time.Now(), tags: map[string]string{}, execs: map[string]*running{}, gone: make(chan struct{}),
	}
	for _, t := range r.GetTags() {
		sb.tags[t.GetTagName()] = t.GetTagValue()
	}
	sb.env = environment(env, sb)
	if err := sb.boot(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		sb.finish(terminated())
		return nil, status.Error(codes.Unavailable, "the emulator ends")
	}
	s.sandboxes[sb.id], s.tasks[sb.task] = sb, sb
	s.order = append(s.order, sb.id)
	s.mu.Unlock()
	return pb.SandboxCreateV2Response_builder{
		SandboxId: sb.id, TaskId: sb.task, Metadata: pb.SandboxHandleMetadata_builder{AppId: a.id}.Build(),
		CommandRouterAccess: pb.CommandRouterAccess_builder{Jwt: s.sign(sb.task, 30*time.Minute), Url: s.routerURL(ctx)}.Build(),
		SandboxToken:        s.sign(sb.id, maxLife),
	}.Build(), nil
}

// checkDefinition refuses what Modal refuses.
func checkDefinition(def *pb.Sandbox) error {
	bad := func(format string, args ...any) error { return status.Errorf(codes.InvalidArgument, format, args...) }
	if d := time.Duration(def.GetTimeoutSecs()) * time.Second; d <= 0 || d > maxLife {
		return bad("Sandbox timeout must be between 1 second and 24 hours, not %v", d)
	}
	if c := def.GetCloudProviderStr(); c != "" && !slices.Contains([]string{"aws", "gcp", "oci", "azure", "auto"}, strings.ToLower(c)) {
		return bad("Invalid cloud provider: %s", c)
	}
	for _, r := range def.GetSchedulerPlacement().GetRegions() {
		if !region.MatchString(r) {
			return bad("Invalid region: %s", r)
		}
	}
	for _, c := range def.GetNetworkAccess().GetAllowedCidrs() {
		if _, err := netip.ParsePrefix(c); err != nil {
			return bad("Invalid CIDR (outbound IPv4): %s", c)
		}
	}
	for _, d := range def.GetNetworkAccess().GetAllowedDomains() {
		if !domain.MatchString(d) {
			return bad("Invalid domain: %s", d)
		}
	}
	return nil
}

var (
	region = regexp.MustCompile(`^(us|eu|ap|uk|ca|me|sa|af|mx|jp|au)(-[a-z]+)?(-[0-9])?$`)
	domain = regexp.MustCompile(`^(\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+$`)
)

// environment is what every process of a sandbox begins with.
func environment(secrets map[string]string, sb *sandbox) []string {
	base := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
		"MODAL_SANDBOX_ID": sb.id, "MODAL_TASK_ID": sb.task, "MODAL_CLOUD_PROVIDER": "CLOUD_PROVIDER_EMULATED", "MODAL_REGION": "emulated",
	}
	for k, v := range sb.def.GetEnvironmentVariables().GetContents() {
		base[k] = v
	}
	for k, v := range secrets {
		base[k] = v
	}
	return list(base)
}

func list(m map[string]string) []string {
	var out []string
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return out
}

// boot starts the machine, the entry point and the clocks.
func (sb *sandbox) boot() error {
	sb.dir = sb.s.path("sandboxes", sb.id)
	if err := os.MkdirAll(sb.dir, 0o700); err != nil {
		return err
	}
	if sb.image.root != "" {
		if err := copyTree(sb.image.root, filepath.Join(sb.dir, "root")); err != nil {
			return err
		}
	}
	mounts, err := sb.s.mounts(sb.def.GetVolumeMounts())
	if err != nil {
		return err
	}
	network := !sb.def.GetBlockNetwork() && sb.def.GetNetworkAccess().GetNetworkAccessType() != pb.NetworkAccess_BLOCKED
	sb.m, err = sb.s.host.Start(machine.Spec{Dir: sb.dir, Hide: sb.image.hidden(), Network: network, Mounts: mounts})
	if err != nil {
		return status.Errorf(codes.Internal, "starting the sandbox: %v", err)
	}
	argv := sb.def.GetEntrypointArgs()
	if len(argv) == 0 {
		argv = []string{"sleep", "48h"}
	}
	sb.main, err = sb.start(spawn{id: "main", argv: argv, dir: sb.workdir(""), env: sb.env, pipeOut: true, pipeErr: true, tty: sb.def.GetPtyInfo()})
	if err != nil {
		sb.finish(pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_INIT_FAILURE, Exception: err.Error(), Exitcode: 128}.Build())
		return nil //nolint:nilerr // as in the cloud: it exists, and has ended
	}
	life := time.Duration(sb.def.GetTimeoutSecs()) * time.Second
	sb.mu.Lock()
	sb.timers = append(sb.timers, time.AfterFunc(life, func() { sb.finish(timedOut()) }))
	sb.mu.Unlock()
	if idle := time.Duration(sb.def.GetIdleTimeoutSecs()) * time.Second; idle > 0 {
		sb.watchIdle(idle)
	}
	go func() {
		select {
		case <-sb.main.done:
			st, code := pb.GenericResult_GENERIC_STATUS_SUCCESS, sb.main.code
			if code != 0 || sb.main.signal != 0 {
				st = pb.GenericResult_GENERIC_STATUS_FAILURE
			}
			if sb.main.signal != 0 {
				code = 128 + sb.main.signal
			}
			sb.finish(pb.GenericResult_builder{Status: st, Exitcode: int32(code)}.Build())
		case <-sb.m.Gone():
			sb.finish(terminated())
		}
	}()
	return nil
}

func (sb *sandbox) workdir(asked string) string {
	switch {
	case asked != "":
		return asked
	case sb.def.GetWorkdir() != "":
		return sb.def.GetWorkdir()
	}
	return "/root"
}

// watchIdle ends the sandbox when no command ran for so long.
func (sb *sandbox) watchIdle(idle time.Duration) {
	var t *time.Timer
	t = time.AfterFunc(idle, func() {
		sb.mu.Lock()
		left := idle - time.Since(sb.lastUsed)
		for _, e := range sb.execs {
			if !e.over() {
				left = idle
			}
		}
		ended := sb.result != nil
		sb.mu.Unlock()
		switch {
		case ended:
		case left <= 0:
			sb.finish(pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_IDLE_TIMEOUT, Exitcode: 137}.Build())
		default:
			t.Reset(left)
		}
	})
}

func (sb *sandbox) alive() bool {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.result == nil
}

// finish ends the sandbox, once, and its processes.
func (sb *sandbox) finish(why *pb.GenericResult) {
	sb.mu.Lock()
	if sb.result != nil {
		sb.mu.Unlock()
		return
	}
	sb.result, sb.ended = why, time.Now()
	for _, t := range sb.timers {
		t.Stop()
	}
	sb.mu.Unlock()
	go func() {
		defer close(sb.gone)
		sb.m.Kill()
		<-sb.m.Gone()
		sb.mu.Lock()
		all := []*running{}
		for _, e := range sb.execs {
			all = append(all, e)
		}
		sb.mu.Unlock()
		for _, e := range all {
			<-e.done
		}
		// Output stays readable; files do not.
		if err := machine.RemoveAll(filepath.Join(sb.dir, "root")); err != nil {
			sb.s.o.Log("removing files of %s: %v", sb.id, err)
		}
	}()
}

// billed is how long the sandbox has cost money.
func (sb *sandbox) billed() time.Duration {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if sb.result == nil {
		return time.Since(sb.created)
	}
	return sb.ended.Sub(sb.created)
}

// of finds a sandbox by id.
func (s *Server) of(id string) (*sandbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sb := s.sandboxes[id]; sb != nil {
		return sb, nil
	}
	return nil, status.Errorf(codes.NotFound, "Sandbox with ID %s not found", id)
}

// SandboxGetTaskIdV2 gives the task of a sandbox.
func (s *Server) SandboxGetTaskIdV2(_ context.Context, r *pb.SandboxGetTaskIdRequest) (*pb.SandboxGetTaskIdResponse, error) {
	sb, err := s.of(r.GetSandboxId())
	if err != nil {
		return nil, err
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return pb.SandboxGetTaskIdResponse_builder{TaskId: &sb.task, TaskResult: sb.result}.Build(), nil
}

// SandboxGetCommandRouterAccess gives what a router call needs.
func (s *Server) SandboxGetCommandRouterAccess(ctx context.Context, r *pb.SandboxGetCommandRouterAccessRequest) (*pb.SandboxGetCommandRouterAccessResponse, error) {
	s.mu.Lock()
	sb := s.tasks[r.GetTaskId()]
	s.mu.Unlock()
	if r.GetSandboxId() != "" {
		var err error
		if sb, err = s.of(r.GetSandboxId()); err != nil {
			return nil, err
		}
	}
	if sb == nil {
		return nil, status.Error(codes.NotFound, "task not found")
	}
	return pb.SandboxGetCommandRouterAccessResponse_builder{Jwt: s.sign(sb.task, 30*time.Minute), Url: s.routerURL(ctx)}.Build(), nil
}

// SandboxWaitV2 waits for the end, as long as it was told.
func (s *Server) SandboxWaitV2(ctx context.Context, r *pb.SandboxWaitRequest) (*pb.SandboxWaitResponse, error) {
	sb, err := s.of(r.GetSandboxId())
	if err != nil {
		return nil, err
	}
	if sb.alive() && r.GetTimeout() > 0 {
		t := time.NewTimer(time.Duration(r.GetTimeout() * float32(time.Second)))
		defer t.Stop()
		select {
		case <-sb.gone:
		case <-t.C:
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return pb.SandboxWaitResponse_builder{Result: sb.result, Metadata: pb.SandboxHandleMetadata_builder{AppId: sb.app.id, Result: sb.result}.Build()}.Build(), nil
}

// SandboxTerminateV2 ends a sandbox.
func (s *Server) SandboxTerminateV2(_ context.Context, r *pb.SandboxTerminateRequest) (*pb.SandboxTerminateResponse, error) {
	if s.faults.take(func(f *Faults) *int { return &f.TerminateFails }) {
		return nil, status.Error(codes.Internal, "terminating failed")
	}
	sb, err := s.of(r.GetSandboxId())
	if err != nil {
		return nil, err
	}
	sb.mu.Lock()
	existing := sb.result
	sb.mu.Unlock()
	sb.finish(terminated())
	return pb.SandboxTerminateResponse_builder{ExistingResult: existing}.Build(), nil
}

// SandboxTagsSetV2 replaces the tags.
func (s *Server) SandboxTagsSetV2(_ context.Context, r *pb.SandboxTagsSetRequest) (*emptypb.Empty, error) {
	sb, err := s.of(r.GetSandboxId())
	if err != nil {
		return nil, err
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.tags = map[string]string{}
	for _, t := range r.GetTags() {
		sb.tags[t.GetTagName()] = t.GetTagValue()
	}
	return &emptypb.Empty{}, nil
}

// tagList is the tags as messages; the caller holds the sandbox's lock.
func (sb *sandbox) tagList() []*pb.SandboxTag {
	var out []*pb.SandboxTag
	for k, v := range sb.tags {
		out = append(out, pb.SandboxTag_builder{TagName: k, TagValue: v}.Build())
	}
	return out
}

// SandboxTagsGetV2 gives the tags.
func (s *Server) SandboxTagsGetV2(_ context.Context, r *pb.SandboxTagsGetRequest) (*pb.SandboxTagsGetResponse, error) {
	sb, err := s.of(r.GetSandboxId())
	if err != nil {
		return nil, err
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return pb.SandboxTagsGetResponse_builder{Tags: sb.tagList()}.Build(), nil
}

// listPage is how many sandboxes one answer holds.
const listPage = 50

// SandboxListV2 lists sandboxes, the newest first, a page at a time.
func (s *Server) SandboxListV2(_ context.Context, r *pb.SandboxListRequest) (*pb.SandboxListResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*pb.SandboxInfo
	for _, id := range slices.Backward(s.order) {
		sb := s.sandboxes[id]
		if info := sb.listed(r); info != nil && len(out) < listPage {
			out = append(out, info)
		}
	}
	return pb.SandboxListResponse_builder{Sandboxes: out}.Build(), nil
}

// listed is the sandbox's line, or nil if it was not asked for.
func (sb *sandbox) listed(r *pb.SandboxListRequest) *pb.SandboxInfo {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	at := float64(sb.created.UnixNano()) / 1e9
	switch {
	case sb.result != nil && !r.GetIncludeFinished(),
		r.GetAppId() != "" && sb.app.id != r.GetAppId(),
		r.GetAppId() == "" && r.GetEnvironmentName() != "" && sb.app.environment != r.GetEnvironmentName(),
		r.GetBeforeTimestamp() > 0 && at >= r.GetBeforeTimestamp():
		return nil
	}
	for _, t := range r.GetTags() {
		if v, ok := sb.tags[t.GetTagName()]; !ok || v != t.GetTagValue() {
			return nil
		}
	}
	return pb.SandboxInfo_builder{
		Id: sb.id, CreatedAt: at, AppId: sb.app.id, Tags: sb.tagList(), Name: sb.name, ImageId: sb.image.id, TimeoutSecs: sb.def.GetTimeoutSecs(),
		TaskInfo: pb.TaskInfo_builder{Id: sb.task, StartedAt: at, Result: sb.result, SandboxId: sb.id}.Build(),
		Metadata: pb.SandboxHandleMetadata_builder{AppId: sb.app.id, Result: sb.result}.Build(),
	}.Build()
}

// SandboxGetFromNameV2 finds a running sandbox by its name.
func (s *Server) SandboxGetFromNameV2(_ context.Context, r *pb.SandboxGetFromNameRequest) (*pb.SandboxGetFromNameResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range slices.Backward(s.order) {
		sb := s.sandboxes[id]
		if sb.name == r.GetSandboxName() && sb.app.name == r.GetAppName() && (r.GetIncludeTerminated() || sb.alive()) {
			return pb.SandboxGetFromNameResponse_builder{SandboxId: sb.id, Metadata: pb.SandboxHandleMetadata_builder{AppId: sb.app.id}.Build()}.Build(), nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "Sandbox with name '%s' not found in App '%s'", r.GetSandboxName(), r.GetAppName())
}

// SandboxGetFromName is the same for clients that ask for either kind.
func (s *Server) SandboxGetFromName(ctx context.Context, r *pb.SandboxGetFromNameRequest) (*pb.SandboxGetFromNameResponse, error) {
	return s.SandboxGetFromNameV2(ctx, r)
}

// SandboxGetTunnelsV2 says that there are none: nothing listens on the outside.
func (s *Server) SandboxGetTunnelsV2(_ context.Context, r *pb.SandboxGetTunnelsRequest) (*pb.SandboxGetTunnelsResponse, error) {
	if _, err := s.of(r.GetSandboxId()); err != nil {
		return nil, err
	}
	return &pb.SandboxGetTunnelsResponse{}, nil
}
