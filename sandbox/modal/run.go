package modal

import (
	"context"
	"strings"
)

// ranInside is how a command ended.
type ranInside struct {
	ExitCode int    `json:"exitCode"`
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
}

func (r ranInside) said() string {
	said := strings.TrimSpace(r.Stderr)
	if said == "" {
		said = strings.TrimSpace(r.Stdout)
	}
	if said == "" {
		return "it said nothing"
	}
	return clip(said, 1000)
}

// run runs a short command in a sandbox, by no agent.
func run(ctx context.Context, p *sidecarProcess, id string, env map[string]string, argv ...string) (ranInside, error) {
	var r ranInside
	params := map[string]any{"sandboxId": id, "argv": argv}
	if len(env) > 0 {
		params["env"] = env
	}
	err := p.call(ctx, "exec/run", params, &r)
	return r, err
}
