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
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"modalemu/machine"
)

// maxLife is the longest time-out that Modal takes.
const maxLife = 24 * time.Hour

// asked is a sandbox that a call asked for.
type asked struct {
	v1      bool
	app     string
	def     *pb.Sandbox
	tags    []*pb.SandboxTag
	sources []*pb.SecretSource
	env     map[string]string
}

// SandboxCreateV2 starts a sandbox.
func (s *Server) SandboxCreateV2(ctx context.Context, r *pb.SandboxCreateV2Request) (*pb.SandboxCreateV2Response, error) {
	if err := s.verify(header(ctx, "x-modal-auth-token"), "auth"); err != nil {
		return nil, err
	}
	if r.GetDefinition().GetResources().GetGpuConfig().GetGpuType() != "" {
		return nil, status.Error(codes.InvalidArgument, "GPUs are not supported by V2 Sandboxes")
	}
	sb, err := s.createOnce(ctx, asked{
		app: r.GetAppId(), def: r.GetDefinition(), tags: r.GetTags(), sources: r.GetSecretSources(), env: r.GetEphemeralSecrets().GetContents(),
	})
	if err != nil {
		return nil, err
	}
	return pb.SandboxCreateV2Response_builder{
		SandboxId: sb.id, TaskId: sb.task, Metadata: pb.SandboxHandleMetadata_builder{AppId: sb.app.id}.Build(),
		CommandRouterAccess: pb.CommandRouterAccess_builder{Jwt: s.sign(sb.task, 30*time.Minute), Url: s.routerURL(ctx)}.Build(),
		SandboxToken:        s.sign(sb.id, maxLife),
	}.Build(), nil
}

// creation is one call that makes a sandbox, and its repetitions.
type creation struct {
	done chan struct{}
	sb   *sandbox
	err  error
}

// createOnce makes the sandbox that a call asks for. A call that is repeated, because its
// answer was lost, gets the same one; and it is made, and costs money, whether or not
// the client still waits.
func (s *Server) createOnce(ctx context.Context, a asked) (*sandbox, error) {
	key := header(ctx, "x-idempotency-key")
	s.mu.Lock()
	c := s.creations[key]
	mine := c == nil
	if mine {
		c = &creation{done: make(chan struct{})}
		if key != "" {
			s.creations[key] = c
		}
	}
	s.mu.Unlock()
	if mine {
		go func() {
			defer close(c.done)
			c.sb, c.err = s.create(a)
			if c.err != nil {
				s.mu.Lock()
				delete(s.creations, key)
				s.mu.Unlock()
			}
		}()
	}
	select {
	case <-c.done:
		return c.sb, c.err
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

func (s *Server) create(a asked) (*sandbox, error) {
	f := s.faults.now()
	if f.CreateDelayMs > 0 {
		if err := wait(s.life, time.Duration(f.CreateDelayMs)*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if f.CreateFails != "" {
		return nil, status.Error(codes.Internal, f.CreateFails)
	}
	if err := checkDefinition(a.def); err != nil {
		return nil, err
	}
	env, err := s.variables(a.def.GetSecretIds(), a.sources)
	if err != nil {
		return nil, err
	}
	for k, v := range a.env {
		env[k] = v
	}
	sb, err := s.place(a, f)
	if err != nil {
		return nil, err
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
	return sb, nil
}

// place finds what a sandbox needs, and whether there is room for it.
func (s *Server) place(a asked, f Faults) (*sandbox, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	app, img := s.apps[a.app], s.images[a.def.GetImageId()]
	alive := 0
	for _, sb := range s.sandboxes {
		if !sb.alive() {
			continue
		}
		alive++
		if a.def.GetName() != "" && sb.name == a.def.GetName() && sb.app == app {
			return nil, status.Errorf(codes.AlreadyExists, "Sandbox with name '%s' already exists", a.def.GetName())
		}
	}
	switch {
	case app == nil:
		return nil, status.Errorf(codes.NotFound, "App '%s' not found", a.app)
	case img == nil:
		return nil, status.Errorf(codes.NotFound, "Image '%s' not found", a.def.GetImageId())
	case img.failed != "":
		return nil, status.Errorf(codes.FailedPrecondition, "Image '%s' was not built", img.id)
	case f.MaxSandboxes > 0 && alive >= f.MaxSandboxes:
		return nil, status.Errorf(codes.ResourceExhausted, "Workspace has reached its limit of %d concurrent sandboxes", f.MaxSandboxes)
	}
	sb := &sandbox{
		s: s, id: randomID("sb-", 16), task: randomID("ta-", 11) + "V", name: a.def.GetName(), app: app, image: img, def: a.def, v1: a.v1,
		created: time.Now(), lastUsed: time.Now(), tags: map[string]string{}, execs: map[string]*running{}, gone: make(chan struct{}),
	}
	if a.v1 {
		sb.id = randomID("sb-", 11) // 22 letters and digits, by which the SDKs know it
	}
	for _, t := range a.tags {
		sb.tags[t.GetTagName()] = t.GetTagValue()
	}
	return sb, nil
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
	if sb.def.GetIncludeOidcIdentityToken() {
		base["MODAL_IDENTITY_TOKEN"] = sb.s.sign(sb.id, maxLife)
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

func (sb *sandbox) blocksNetwork() bool {
	return sb.def.GetBlockNetwork() || sb.def.GetNetworkAccess().GetNetworkAccessType() == pb.NetworkAccess_BLOCKED
}

// boot starts the machine, the entry point and the clocks.
func (sb *sandbox) boot() error {
	sb.dir = sb.s.path("sandboxes", sb.id)
	if err := os.MkdirAll(filepath.Join(sb.dir, "out"), 0o700); err != nil {
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
	sb.m, err = sb.s.host.Start(machine.Spec{Dir: sb.dir, Hide: sb.image.hidden(), Network: !sb.blocksNetwork(), Mounts: mounts})
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
	limit := sb.created.Add(time.Duration(sb.def.GetTimeoutSecs()) * time.Second)
	sb.mu.Lock()
	sb.timers = append(sb.timers, time.AfterFunc(time.Until(limit), func() { sb.finish(timedOut()) }))
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
