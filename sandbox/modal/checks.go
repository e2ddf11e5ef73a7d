package modal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"glue-lsp/sandbox"
)

// checksTimeout bounds doctor's look at Modal as a whole: without a network the SDK alone
// would try for a minute.
const checksTimeout = 9 * time.Second

// account is the sidecar's answer to doctor/auth.
type account struct {
	TokenValid         bool   `json:"tokenValid"`
	Workspace          string `json:"workspace"`
	Environment        string `json:"environment"`
	EnvironmentMissing bool   `json:"environmentMissing"`
	Server             string `json:"server"`
	Source             string `json:"source"` // of the token
	Message            string `json:"message"`
	Hint               string `json:"hint"`
}

// Checks are the runtime's lines in doctor: what a sandbox in Modal needs, up to asking
// Modal whose the token is. No sandbox is started, since that costs money.
func (r *Runtime) Checks(ctx context.Context, spec sandbox.Spec) []sandbox.Check {
	ctx, cancel := context.WithTimeout(ctx, checksTimeout)
	defer cancel()
	o := r.options()
	if spec.HostRoot != "" {
		o.Avoid = slices.Concat(o.Avoid, []string{spec.HostRoot})
	}
	python, err := findInterpreter(ctx, o)
	checks := []sandbox.Check{checkCLI(o, python)}
	if err != nil {
		return append(checks, failedCheck("modal python", err), r.checkTransport(o), checkSandboxes(o))
	}
	checks = append(checks,
		okCheck("modal python", "%s, Python %s: %s", python.path, python.version, python.how),
		okCheck("modal package", "modal %s", python.sdk))
	checks = append(checks, checkAccount(ctx, o, python)...)
	return append(checks, r.checkTransport(o), checkSandboxes(o))
}

func okCheck(name, format string, args ...any) sandbox.Check {
	return sandbox.Check{Name: name, Status: "ok", Detail: fmt.Sprintf(format, args...)}
}

func failedCheck(name string, err error) sandbox.Check {
	c := sandbox.Check{Name: name, Status: "fail", Detail: err.Error()}
	var e *sandbox.Error
	if errors.As(err, &e) {
		c.Detail, c.Hint = e.Message, e.Hint
	}
	return c
}

// checkCLI looks for the modal command. Only its interpreter is used, and a person makes a
// token with it.
func checkCLI(o Options, python interpreter) sandbox.Check {
	path, err := newPaths(o.Environ, o.Avoid).modalCommand(cliOf(o))
	if err == nil {
		return okCheck("modal command", "%s", path)
	}
	c := sandbox.Check{Name: "modal command", Status: "warn", Detail: err.Error(), Hint: "to install it, run: uv tool install modal"}
	if python.path != "" {
		c.Hint = "sandboxes do not need it; what it does, this does too: " + shellWord(python.path) + " -m modal"
	}
	return c
}

// checkAccount starts a sidecar of its own, so that what it says is about the settings and
// the token of this moment, and asks it.
func checkAccount(ctx context.Context, o Options, python interpreter) []sandbox.Check {
	p, err := startSidecar(ctx, o.Home, python, o.Environ, o.Log)
	if err != nil {
		return []sandbox.Check{failedCheck("modal sidecar", inTime(ctx, err))}
	}
	defer p.kill() // it holds nothing
	var a account
	params := map[string]any{}
	if o.Environment != "" {
		params["environment"] = o.Environment
	}
	if end, ok := ctx.Deadline(); ok {
		params["timeoutMs"] = max(0, time.Until(end)-time.Second).Milliseconds()
	}
	if err := p.call(ctx, "doctor/auth", params, &a); err != nil {
		return []sandbox.Check{failedCheck("modal token", inTime(ctx, err))}
	}
	return a.checks()
}

func inTime(ctx context.Context, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return err
	}
	return &sandbox.Error{
		Kind: sandbox.RuntimeUnavailable, Op: "doctor", Message: fmt.Sprintf("no answer within %s", checksTimeout),
		Hint: "check the network, then try again", Err: err,
	}
}

func (a account) checks() []sandbox.Check {
	if !a.TokenValid {
		c := sandbox.Check{Name: "modal token", Status: "fail", Detail: clip(a.Message, 300), Hint: clip(a.Hint, 300)}
		if a.Source != "" {
			c.Detail = "the token of " + clip(a.Source, 200) + " is refused: " + c.Detail
		}
		return []sandbox.Check{c}
	}
	token := "valid"
	if a.Server != "" {
		token += ", asked " + clip(a.Server, 100)
	}
	if a.Workspace != "" {
		token += "; workspace " + clip(a.Workspace, 100)
	}
	if a.Source != "" {
		token += "; from " + clip(a.Source, 200)
	}
	checks := []sandbox.Check{okCheck("modal token", "%s", token)}
	switch name := clip(a.Environment, 100); {
	case a.EnvironmentMissing:
		checks = append(checks, sandbox.Check{
			Name: "modal environment", Status: "fail", Detail: fmt.Sprintf("there is no environment %q", name),
			Hint: "run: modal environment create " + shellWord(name) + ", or correct modal.environment (MODAL_ENVIRONMENT)",
		})
	case name != "":
		checks = append(checks, okCheck("modal environment", "%s", name))
	default:
		checks = append(checks, okCheck("modal environment", "the workspace's default"))
	}
	return checks
}

// checkTransport says how sandboxes will be talked to.
func (r *Runtime) checkTransport(o Options) sandbox.Check {
	if o.Transport == Direct {
		return okCheck("modal transport", "direct: by Modal's own calls, without an agent")
	}
	var has, lacks []string
	for _, arch := range []string{"amd64", "arm64"} {
		if _, err := r.agentBinary(arch); err != nil {
			lacks = append(lacks, "linux/"+arch)
		} else {
			has = append(has, "linux/"+arch)
		}
	}
	c := okCheck("modal transport", "%s, with agents for %s", o.Transport, strings.Join(has, " and "))
	if len(has) == 0 {
		c.Status, c.Detail = "warn", o.Transport+", but this build has no agent"
	}
	if len(lacks) > 0 {
		c.Detail += "; none for " + strings.Join(lacks, " and ")
		c.Hint = "images of such machines work by direct transport, which is slower"
	}
	return c
}

// checkSandboxes says what a sandbox will be, above all when it ends.
func checkSandboxes(o Options) sandbox.Check {
	image := "Modal's Debian with git"
	if o.Image != "" {
		image = "image " + o.Image
	}
	detail := fmt.Sprintf("app %s, %s; each ends by itself after %s", o.App, image, span(o.Timeout))
	if !o.DeleteOnClose {
		detail += ", and not when its session closes (modal.delete_on_close)"
	}
	return okCheck("modal sandboxes", "%s", detail)
}

// span is a duration in as few words as hold it.
func span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
