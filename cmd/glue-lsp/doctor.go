package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"glue-lsp/config"
	"glue-lsp/handlers"
	"glue-lsp/sandbox"
	"glue-lsp/session"
)

// doctorTimeout bounds the checks: none may hang on a network or a broken tool.
const doctorTimeout = 15 * time.Second

func newDoctor(code *int) *cobra.Command {
	var asJSON bool
	var runtime string
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check what sandboxes need on this machine", Args: cobra.NoArgs,
		Long: `Doctor checks what sandboxes need and says how to mend what is missing. In a repository it
also looks at what a sandbox on this folder would have: the programs that its languages
need, compared with those here, and the ignored folders that it would be lent. It exits
with 1 when a check fails.`,
		Example: "  glue-lsp doctor\n  glue-lsp doctor --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), doctorTimeout)
			defer cancel()
			checks, err := examineAll(ctx, runtime, folderToExamine())
			if err != nil {
				return err
			}
			ok := true
			for _, c := range checks {
				ok = ok && c.Status != "fail"
			}
			if !ok {
				*code = 1
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return printJSON(out, map[string]any{"ok": ok, "checks": checks})
			}
			marks := map[string]string{"ok": colour(os.Stdout, "32", "ok  "), "warn": colour(os.Stdout, "33", "warn"), "fail": colour(os.Stdout, "31", "FAIL")}
			for _, c := range checks {
				fmt.Fprintf(out, "%s  %-22s %s\n", marks[c.Status], c.Name, oneLine(c.Detail))
				if c.Hint != "" {
					fmt.Fprintf(out, "      %-22s → %s\n", "", oneLine(c.Hint))
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&runtime, "runtime", "", "check only this runtime")
	return cmd
}

// folderToExamine is this folder if it belongs to a repository: elsewhere doctor may be
// run anywhere, and looking at a whole home folder takes long.
func folderToExamine() string {
	if here := currentFolder(); len(here) > 0 {
		return here[0]
	}
	return ""
}

// examineAll checks the settings first: with broken ones nothing else can be said.
func examineAll(ctx context.Context, runtime, folder string) ([]sandbox.Check, error) {
	home, err := homeDir()
	if err != nil {
		return nil, err
	}
	src := config.Sources{Home: home, Environ: os.Environ(), Trusted: true}
	settings, warnings, err := config.Load(src)
	if err != nil {
		return []sandbox.Check{{Name: "settings", Status: "fail", Detail: err.Error(), Hint: "correct it there, or remove it for the default"}}, nil //nolint:nilerr // it is a finding
	}
	more, err := examine(ctx, home, settings, runtime, folder)
	return append([]sandbox.Check{settingsCheck(src, warnings)}, more...), err
}

// examine checks everything but the settings. runtime "" is all of them; those that the
// settings do not choose can then only be warned of.
func examine(ctx context.Context, home string, settings *config.Settings, runtime, folder string) ([]sandbox.Check, error) {
	folders := func() []string {
		if folder == "" {
			return currentFolder()
		}
		return []string{folder}
	}
	m, err := newManager(home, func() *config.Settings { return settings }, folders, session.Options{})
	if err != nil {
		return []sandbox.Check{{Name: "state folder", Status: "fail", Detail: err.Error(), Hint: hintOf(err)}}, nil //nolint:nilerr // it is a finding
	}
	return m.Doctor(ctx, handlers.OpenOptions(settings, folder, runtime, nil), runtime == "")
}

func settingsCheck(src config.Sources, warnings []string) sandbox.Check {
	c := sandbox.Check{Name: "settings", Status: "ok", Detail: "all defaults"}
	values, err := config.Explain(src)
	if err != nil {
		return sandbox.Check{Name: "settings", Status: "fail", Detail: err.Error()}
	}
	var set []string
	for _, v := range values {
		if v.Origin != config.FromDefault {
			set = append(set, fmt.Sprintf("%s=%v (%s)", v.Key, v.Value, v.Origin))
		}
	}
	if len(set) > 0 {
		c.Detail = strings.Join(set, ", ")
	}
	if len(warnings) > 0 {
		c.Status, c.Hint = "warn", strings.Join(warnings, "; ")
	}
	return c
}
