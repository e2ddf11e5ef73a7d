// Command glue-lsp is a language server that runs commands on the editor's tree in a
// sandbox and brings what they changed back as edits, and the same from a terminal.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
	"glue-lsp/sandbox/local"
	"glue-lsp/session"
	"glue-lsp/workspace"
)

// exitFailure is the status when glue-lsp itself could not do what was asked; a
// command's own status is passed on, so it lies where commands' own seldom do.
const exitFailure = 125

// exitInterrupted is what shells give for a command that Ctrl-C ended.
const exitInterrupted = 130

func main() { os.Exit(mainCode()) }

func mainCode() int {
	// The agent runs inside sandboxes, where it starts often: it skips all the rest.
	if agent.IsAgent(os.Args) {
		return local.AgentMain(os.Args[2:], os.Stdin, os.Stdout)
	}
	code := 0
	root := newRoot(&code)
	if err := root.ExecuteContext(context.Background()); err != nil {
		printError(err)
		if code == 0 {
			code = exitFailure
		}
	}
	return code
}

func newRoot(code *int) *cobra.Command {
	root := &cobra.Command{
		Use:   "glue-lsp",
		Short: "Run commands on your working tree in a sandbox, and get the changes back to review",
		Long: `glue-lsp runs commands on your working tree in a sandbox, where they can do no harm,
and brings what they changed back for you to review.

Without a subcommand it is a language server on standard input and output, for an
editor to start.`,
		Example: `  glue-lsp run -- go test ./...        run a command in a sandbox
  glue-lsp sessions list               changes that were not returned yet
  glue-lsp doctor                      check what sandboxes need`,
		SilenceUsage: true, SilenceErrors: true,
		Args:    cobra.NoArgs,
		Version: version,
	}
	root.SetVersionTemplate(versionLine())
	serve := newServe(code)
	root.RunE = serve.RunE
	root.Flags().AddFlagSet(serve.Flags())
	root.AddCommand(serve, newRun(code), newSessions(), newDoctor(code), newVersion())
	return root
}

// printError says what failed, why and what to do.
func printError(err error) {
	// It may quote what a sandbox said.
	fmt.Fprintf(os.Stderr, "glue-lsp: %s\n", printable(err.Error()))
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(os.Stderr, "  %s\n", printable(hint))
	}
}

func hintOf(err error) string {
	var se *session.Error
	var be *sandbox.Error
	var we *workspace.Error
	switch {
	case isQuestion(err):
		return unconfinedHint
	case errors.As(err, &se):
		return se.Hint
	case errors.As(err, &be):
		return be.Hint
	case errors.As(err, &we):
		return we.Hint
	}
	return ""
}
