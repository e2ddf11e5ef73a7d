package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"glue-lsp/session"
	"glue-lsp/workspace"
)

func newSessions() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "Show, apply, export or discard what sandboxes changed and nobody took back yet",
		Example: `  glue-lsp sessions list
  glue-lsp sessions diff 20260101-120000-a1b2c3
  glue-lsp sessions apply 20260101-120000-a1b2c3 --yes`,
	}
	cmd.AddCommand(newSessionsList(), newSessionsShow(), newSessionsDiff(), newSessionsApply(), newSessionsUndo(), newSessionsExport(), newSessionsDiscard(), newSessionsPrune(), newSessionsFinish())
	return cmd
}

// oneSession wraps a subcommand that works on one session by its id.
func oneSession(use, short, example string, run func(cmd *cobra.Command, a *app, s *session.Session) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " ID", Short: short, Example: example,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one session; `glue-lsp sessions list` shows their ids")
			}
			return nil
		},
		ValidArgsFunction: completeSessions,
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := newApp(session.Options{})
			if err != nil {
				return err
			}
			s, err := a.manager.Find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return run(cmd, a, s)
		},
	}
}

func completeSessions(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	a, err := newApp(session.Options{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	infos, err := a.manager.List(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, i := range infos {
		out = append(out, cobra.CompletionWithDesc(i.ID, i.Folder))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// sessionJSON is what --json prints of a session.
type sessionJSON struct {
	ID           string                 `json:"id"`
	State        string                 `json:"state"`
	Runtime      string                 `json:"runtime"`
	Folder       string                 `json:"folder"`
	SandboxID    string                 `json:"sandboxId,omitempty"`
	Image        string                 `json:"image,omitempty"` // what exactly the sandbox was made of
	CreatedAt    time.Time              `json:"createdAt"`
	ChangedFiles int                    `json:"changedFiles"`
	Checkpoint   session.CheckpointInfo `json:"checkpoint"`
	Lost         *session.LostInfo      `json:"lost,omitempty"`
	Stays        bool                   `json:"stays,omitempty"` // its sandbox goes on although it has ended
	ExpiresAt    *time.Time             `json:"expiresAt,omitempty"`
	Warnings     []string               `json:"warnings"`
	Directory    string                 `json:"directory,omitempty"`
	Files        []changeJSON           `json:"files,omitempty"`
}

// changeJSON has the names of the protocol's FileChange.
type changeJSON struct {
	Path      string          `json:"path"`
	OldPath   string          `json:"oldPath,omitempty"`
	Status    string          `json:"status"`
	Kind      string          `json:"kind"`
	Additions int             `json:"additions"`
	Deletions int             `json:"deletions"`
	Acts      *workspace.Acts `json:"acts,omitempty"`
	Outside   bool            `json:"outsideWorkspace,omitempty"`
}

func infoJSON(i session.Info) sessionJSON {
	w := i.Warnings
	if w == nil {
		w = []string{}
	}
	return sessionJSON{
		ID: i.ID, State: i.State, Runtime: i.Runtime, Folder: i.Folder, SandboxID: i.SandboxID, Image: i.Image, CreatedAt: i.CreatedAt,
		ChangedFiles: i.Checkpoint.ChangedFiles, Checkpoint: i.Checkpoint, Lost: i.Lost, Warnings: w,
		Stays: i.Stays, ExpiresAt: i.ExpiresAt,
	}
}

func changesJSON(files []workspace.Change) []changeJSON {
	out := make([]changeJSON, 0, len(files))
	for _, c := range files {
		out = append(out, changeJSON{
			Path: c.Path, OldPath: c.OldPath, Status: c.Status, Kind: c.Kind,
			Additions: c.Additions, Deletions: c.Deletions, Acts: c.Acts, Outside: c.Outside,
		})
	}
	return out
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func newSessionsList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List sessions with changes that were not returned", Args: cobra.NoArgs,
		Example: "  glue-lsp sessions list --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := newApp(session.Options{})
			if err != nil {
				return err
			}
			// What a server that died left comes to the host first.
			found, err := a.manager.Recover(cmd.Context(), session.RecoverOptions{})
			if err != nil {
				return err
			}
			tellRunning(cmd.ErrOrStderr(), found)
			sweep(cmd.Context(), cmd.ErrOrStderr(), a.manager, false)
			infos, err := a.manager.List(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				list := make([]sessionJSON, 0, len(infos))
				for _, i := range infos {
					list = append(list, infoJSON(i))
				}
				return printJSON(out, map[string]any{"sessions": list})
			}
			if len(infos) == 0 {
				fmt.Fprintln(out, "Nothing is waiting: every change was returned or discarded.")
				printUsage(cmd.Context(), out, a.manager)
				return nil
			}
			tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(tw, "ID\tSTATE\tFILES\tSTARTED\tFOLDER")
			for _, i := range infos {
				fmt.Fprintf(tw, "%s\t%s\t%d\t%s\t%s\n", i.ID, i.State, i.Checkpoint.ChangedFiles, i.CreatedAt.Local().Format(time.DateTime), oneLine(i.Folder))
			}
			if err := tw.Flush(); err != nil {
				return err
			}
			for _, i := range infos {
				if i.Stays {
					fmt.Fprintf(out, "Sandbox %s of session %s goes on%s (modal.delete_on_close is false); open a session with attach to join it.\n", oneLine(i.SandboxID), i.ID, until(i.ExpiresAt))
				}
			}
			printUsage(cmd.Context(), out, a.manager)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// until says when a sandbox ends by itself.
func until(at *time.Time) string {
	if at == nil {
		return ""
	}
	return " until " + at.Local().Format(time.DateTime)
}

func newSessionsShow() *cobra.Command {
	var asJSON bool
	cmd := oneSession("show", "Show what a session holds", "  glue-lsp sessions show ID --json",
		func(cmd *cobra.Command, _ *app, s *session.Session) error {
			d, err := s.Diff(cmd.Context(), "")
			if err != nil {
				return err
			}
			i := s.Info()
			out := cmd.OutOrStdout()
			if asJSON {
				j := infoJSON(i)
				j.Directory, j.Files = s.Dir(), changesJSON(d.Files)
				return printJSON(out, j)
			}
			fmt.Fprintf(out, "Session     %s (%s, %s)\nFolder      %s\nStarted     %s\nCheckpoint  %d at %s\nKept in     %s\n",
				i.ID, i.Runtime, i.State, oneLine(i.Folder), i.CreatedAt.Local().Format(time.DateTime),
				i.Checkpoint.Seq, i.Checkpoint.At.Local().Format(time.DateTime), s.Dir())
			if i.Image != "" {
				fmt.Fprintf(out, "Image       %s\n", printable(i.Image))
			}
			if i.Lost != nil {
				fmt.Fprintf(out, "Lost        %s\n", printable(i.Lost.Message))
			}
			for _, w := range i.Warnings {
				fmt.Fprintf(out, "Warning     %s\n", printable(w))
			}
			fmt.Fprintln(out)
			printDiffstat(out, d.Files)
			return nil
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newSessionsDiff() *cobra.Command {
	var asJSON bool
	cmd := oneSession("diff", "Print a session's changes as a patch", "  glue-lsp sessions diff ID | less",
		func(cmd *cobra.Command, _ *app, s *session.Session) error {
			d, err := s.Diff(cmd.Context(), "")
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return printJSON(out, map[string]any{"files": changesJSON(d.Files), "patch": d.Patch})
			}
			if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
				d.Patch = printable(d.Patch)
			}
			fmt.Fprint(out, d.Patch)
			for _, c := range d.Files {
				if c.Kind != "text" {
					fmt.Fprintf(cmd.ErrOrStderr(), "not in the patch: %s (%s, %s)\n", oneLine(c.Path), c.Kind, c.Status)
				}
			}
			return nil
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// errNotConfirmed says that nothing happened because nobody said yes.
var errNotConfirmed = errors.New("nothing was done: there is no terminal to ask on; repeat with --yes")

// confirm asks a yes-or-no question unless yes was given already.
func confirm(yes bool, question string) (bool, error) {
	if yes {
		return true, nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return false, errNotConfirmed
	}
	fmt.Fprintf(os.Stderr, "%s [y/N] ", question)
	var answer string
	_, _ = fmt.Fscanln(os.Stdin, &answer) // an empty line is an error, and a no
	return answer == "y" || answer == "Y" || answer == "yes", nil
}

func newSessionsApply() *cobra.Command {
	var yes, commits, mass bool
	var branch string
	cmd := oneSession("apply", "Bring a session's changes into the working tree, or onto a branch", `  glue-lsp sessions apply ID                  three-way into the working tree
  glue-lsp sessions apply ID --branch try-it  onto a new branch, as one commit
  glue-lsp sessions apply ID --commits        onto branch glue/ID, the sandbox's commits one by one`,
		func(cmd *cobra.Command, a *app, s *session.Session) error {
			d, err := s.Diff(cmd.Context(), "")
			if err != nil {
				return err
			}
			out := cmd.ErrOrStderr()
			if len(d.Files) == 0 {
				fmt.Fprintln(out, "This session has nothing to apply.")
				return nil
			}
			printDiffstat(out, d.Files)
			ok, err := confirm(yes, "Apply?")
			if err != nil || !ok {
				return err
			}
			o := session.ReturnOptions{Apply: true, Mode: "disk", AllowMassDelete: mass, MaxBytes: int64(a.settings.ReturnMaxMB) << 20}
			if branch != "" || commits || a.settings.ReturnMode == "branch" {
				o.Mode, o.Branch, o.Commits = "branch", branch, commits
			}
			ret, err := s.Return(cmd.Context(), o, nil)
			if err != nil {
				return err
			}
			printReturn(out, s.ID(), ret)
			switch {
			case !ret.Applied:
				return errors.New("nothing was applied")
			case len(ret.Conflicts)+len(ret.Skipped) > 0:
				return errors.New("not all was applied")
			}
			return nil
		})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&branch, "branch", "", "put the changes on a new branch of this name; no file is touched")
	cmd.Flags().BoolVar(&commits, "commits", false, "put the sandbox's commits, with authors and dates, on a branch")
	cmd.Flags().BoolVar(&mass, "allow-mass-delete", false, "apply also when more than half of the files would be deleted")
	return cmd
}

func newSessionsUndo() *cobra.Command {
	var yes bool
	cmd := oneSession("undo", "Take back what the last apply or return of a session changed", `  glue-lsp sessions undo ID

What was edited since stays. What is taken back can be applied again.`,
		func(cmd *cobra.Command, _ *app, s *session.Session) error {
			ok, err := confirm(yes, "Take back the last return of session "+s.ID()+"?")
			if err != nil || !ok {
				return err
			}
			ret, err := s.Undo(cmd.Context(), nil)
			if err != nil {
				return err
			}
			out := cmd.ErrOrStderr()
			printDiffstat(out, ret.Files)
			printUndo(out, s.ID(), ret)
			if len(ret.Conflicts)+len(ret.Skipped) > 0 {
				return errors.New("not everything was taken back; repeat it once that is settled")
			}
			return nil
		})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func newSessionsExport() *cobra.Command {
	var to string
	cmd := oneSession("export", "Copy a session's mbox, bundle and output into a folder", "  glue-lsp sessions export ID --to ./out && git am ./out/runtime.mbox",
		func(cmd *cobra.Command, a *app, s *session.Session) error {
			names, err := s.Export(cmd.Context(), to, int64(a.settings.ReturnMaxMB)<<20)
			if err != nil {
				return err
			}
			for _, n := range names {
				fmt.Fprintln(cmd.OutOrStdout(), n)
			}
			return nil
		})
	cmd.Flags().StringVar(&to, "to", "", "folder to copy into")
	_ = cmd.MarkFlagRequired("to")
	_ = cmd.MarkFlagDirname("to")
	return cmd
}

func newSessionsDiscard() *cobra.Command {
	var yes bool
	cmd := oneSession("discard", "Delete a session and its changes for good", "  glue-lsp sessions discard ID --yes",
		func(cmd *cobra.Command, a *app, s *session.Session) error {
			i := s.Info()
			ok, err := confirm(yes, fmt.Sprintf("Delete session %s and its %d changed %s for good?", i.ID, i.Checkpoint.ChangedFiles, plural(i.Checkpoint.ChangedFiles, "file")))
			if err != nil || !ok {
				return err
			}
			if err := a.manager.Forget(cmd.Context(), i.ID); err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Session %s is gone.\n", i.ID)
			return nil
		})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
