package handlers

import (
	"context"
	"slices"

	"glue-lsp/sandbox"
)

type doctorParams struct {
	Runtime string `json:"runtime,omitzero" doc:"only this runtime; default all"`
	longRunning
}

type doctorResult struct {
	OK     bool            `json:"ok" doc:"nothing failed"`
	Checks []sandbox.Check `json:"checks"`
}

func (s *Server) doctor(ctx context.Context, p *doctorParams) (doctorResult, error) {
	if p.Runtime != "" && !slices.Contains(s.o.Runtimes, p.Runtime) {
		return doctorResult{}, badParam("runtime", "there is no runtime %q; there are %q", clip(p.Runtime, 40), s.o.Runtimes)
	}
	report := s.withToken(p.WorkDoneToken, "Checking the runtimes")
	defer report.end("")
	return s.examine(ctx, p.Runtime)
}

func (s *Server) examine(ctx context.Context, runtime string) (doctorResult, error) {
	settings, err := s.usableSettings()
	checks := []sandbox.Check{settingsCheck(err)}
	folder, _ := s.peer.Load().folderFor("")
	found, err := s.o.Checks(ctx, settings, runtime, folder)
	if err != nil {
		return doctorResult{}, err
	}
	checks = append(checks, found...)
	failed := slices.ContainsFunc(checks, func(c sandbox.Check) bool { return c.Status == "fail" })
	return doctorResult{OK: !failed, Checks: checks}, nil
}

func settingsCheck(err error) sandbox.Check {
	if err != nil {
		return sandbox.Check{Name: "settings", Status: "fail", Detail: messageOf(err), Hint: "correct the setting"}
	}
	return sandbox.Check{Name: "settings", Status: "ok", Detail: "every value is usable"}
}
