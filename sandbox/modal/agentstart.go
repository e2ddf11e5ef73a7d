package modal

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
	"glue-lsp/sandbox/modal/agentbin"
)

// The statuses with which the scripts below say what they found.
const (
	statusNoAgent = 97
	statusNoArch  = 98
)

// startScript starts the agent of the machine's architecture if it is there, and says
// which one. It takes the paths for amd64 and arm64, and the agent's arguments.
const startScript = `m=$(uname -m)
case $m in
x86_64|amd64) a=$1;;
aarch64|arm64) a=$2;;
*) echo "$m"; exit 98;;
esac
[ -x "$a" ] || { echo "$m"; exit 97; }
shift 2
echo "$a"
exec "$a" "$@"
`

// installScript takes the name under which the program was uploaded, its own, and the
// agent's arguments.
const installScript = `chmod 700 "$1" && mv -f "$1" "$2" || exit 1
a=$2
shift 2
exec "$a" "$@"
`

const startAgentOp = "start the agent"

// startAgent sees to it that the agent runs in the sandbox, and gives the path of its
// program there. One that was brought before, by an image or an earlier session, is used.
func (h *held) startAgent(ctx context.Context, p *sidecarProcess) (inside string, err error) {
	programs := map[string]agentbin.Program{}
	for _, arch := range []string{"amd64", "arm64"} {
		if program, err := h.rt.agentBinary(arch); err == nil {
			programs[arch] = program
		}
	}
	at := func(arch string) string { return path.Join(agentDir, "agent-"+clipHash(programs[arch].Hash)) }
	args := agent.Args{
		Background: true, Root: h.info.Root, Cwd: h.info.Cwd, Socket: agentSocket, Grace: h.agentGrace(),
	}.List()
	began := append([]string{"sh", "-c", startScript, "sh", at("amd64"), at("arm64")}, args...)
	r, err := run(ctx, p, h.info.ID, h.spec.Env, began...)
	if kindIs(err, sandbox.InvalidParams) || kindIs(err, sandbox.FileNotFound) {
		return "", &sandbox.Error{Kind: sandbox.Unsupported, Op: startAgentOp, Message: "the agent cannot be started in this image: " + messageOf(err), Hint: hintUnfit, Err: err}
	}
	if err != nil {
		return "", err
	}
	word, _, _ := strings.Cut(r.Stdout, "\n")
	switch {
	case r.ExitCode == 0 && (word == at("amd64") || word == at("arm64")):
		return word, nil
	case r.ExitCode == statusNoAgent:
		arch := map[string]string{"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}[word]
		return at(arch), h.installAgent(ctx, p, arch, at(arch), args)
	case r.ExitCode == statusNoArch:
		return "", &sandbox.Error{Kind: sandbox.Unsupported, Op: startAgentOp, Message: "there is no agent for the sandbox's processor, " + clip(word, 40), Hint: hintUnfit}
	}
	return "", notStarted(r)
}

// installAgent brings the program to its path in the sandbox, and starts it.
func (h *held) installAgent(ctx context.Context, p *sidecarProcess, arch, inside string, args []string) error {
	program, err := h.rt.agentBinary(arch)
	if err != nil {
		return err
	}
	file, err := h.rt.agentFile(program)
	if err != nil {
		return err
	}
	if h.spec.Progress != nil {
		h.spec.Progress("sending the agent")
	}
	// Nobody sees half of it under its own name.
	uploaded := inside + "." + newNonce()[:8]
	if err := h.sendAgent(ctx, p, file, uploaded); err != nil {
		return err
	}
	r, err := run(ctx, p, h.info.ID, h.spec.Env, append([]string{"sh", "-c", installScript, "sh", uploaded, inside}, args...)...)
	if err != nil {
		return err
	}
	if r.ExitCode != 0 {
		return notStarted(r)
	}
	return nil
}

// sendScript writes its input to a file.
const sendScript = `mkdir -p "${1%/*}" && cat >"$1"`

// sendAgent copies a file into the sandbox: by Modal's file calls, which need a program of
// theirs inside, or else by a command's input.
func (h *held) sendAgent(ctx context.Context, p *sidecarProcess, file, to string) error {
	err := p.call(ctx, "fs/upload", map[string]any{"sandboxId": h.info.ID, "path": to, "localPath": file}, nil)
	if err == nil || ctx.Err() != nil || kindIs(err, sandbox.ExecutorDead) || kindIs(err, sandbox.NotAuthenticated) {
		return err
	}
	var r ranInside
	params := map[string]any{"sandboxId": h.info.ID, "argv": []string{"sh", "-c", sendScript, "sh", to}, "stdinPath": file}
	if again := p.call(ctx, "exec/pipe", params, &r); again != nil {
		return errors.Join(err, again)
	}
	if r.ExitCode != 0 {
		return fmt.Errorf("%w; and by a command: %s", err, r.said())
	}
	return nil
}

// agentGrace is how long the agent waits for somebody: as long as the sandbox lives.
func (h *held) agentGrace() time.Duration {
	if h.info.ExpiresAt.IsZero() {
		return maxTimeout
	}
	return time.Until(h.info.ExpiresAt) + time.Minute
}

func clipHash(hash string) string { return hash[:min(len(hash), 16)] }

func notStarted(r ranInside) error {
	return &sandbox.Error{
		Kind: sandbox.Unsupported, Op: startAgentOp, Message: fmt.Sprintf("the agent does not run in this image (status %d): %s", r.ExitCode, r.said()),
		Hint: hintUnfit,
	}
}

const hintUnfit = "choose another modal.image, or set modal.transport to auto or direct"
