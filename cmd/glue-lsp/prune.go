package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"glue-lsp/session"
)

func newSessionsPrune() *cobra.Command {
	var age string
	var dry, asJSON bool
	cmd := &cobra.Command{
		Use: "prune", Short: "Delete records and caches that nobody needs any more", Args: cobra.NoArgs,
		Long: `Prune deletes records of sessions whose changes were all returned or discarded once
they are a week old, and build caches that no session has used for 30 days. While
everything together is over sessions.quota_mb, younger ones go too, the longest unused
first.

Sandboxes in the cloud that run for nobody are ended: those of a server that died, once
what they hold is captured. One that modal.delete_on_close leaves running is only named.

A session with changes that were not returned is never deleted, and neither is one
whose record cannot be read: return, discard or look at those by hand.`,
		Example: "  glue-lsp sessions prune --dry-run\n  glue-lsp sessions prune --older-than 12h",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := session.PruneOptions{DryRun: dry}
			if cmd.Flags().Changed("older-than") {
				d, err := parseAge(age)
				if err != nil {
					return err
				}
				o.OlderThan = &d
			}
			a, err := newApp(session.Options{})
			if err != nil {
				return err
			}
			// Sessions first whose sandbox may still run, since what it holds is theirs.
			if !dry {
				if _, err := a.manager.Recover(cmd.Context(), session.RecoverOptions{}); err != nil {
					return err
				}
			}
			sweep(cmd.Context(), cmd.ErrOrStderr(), a.manager, dry)
			r, err := a.manager.Prune(cmd.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), prunedJSON(r, dry))
			}
			printPruned(cmd.OutOrStdout(), r, dry)
			return nil
		},
	}
	cmd.Flags().StringVar(&age, "older-than", "7d", "spare what is younger, e.g. 12h or 30d; of caches, what was used since (30d unless given)")
	cmd.Flags().BoolVarP(&dry, "dry-run", "n", false, "only say what would be deleted")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// parseAge reads a duration that may be in days.
func parseAge(s string) (time.Duration, error) {
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		d = time.Duration(n * float64(24*time.Hour))
	} else if s != "0" {
		d, err = time.ParseDuration(s)
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--older-than=%s: want a time such as 12h or 30d", s)
	}
	return d, nil
}

func printPruned(w io.Writer, r session.PruneResult, dry bool) {
	verb, sum := "deleted", "freed"
	if dry {
		verb, sum = "would delete", "would be freed"
	}
	for _, p := range r.Removed {
		fmt.Fprintf(w, "%s %s %s (%s; %s)\n", verb, p.Kind, prunedName(p), session.HumanBytes(p.Bytes), printable(p.Why))
	}
	for _, p := range r.Kept {
		fmt.Fprintf(w, "kept %s %s (%s; %s)\n", p.Kind, prunedName(p), session.HumanBytes(p.Bytes), printable(p.Why))
	}
	fmt.Fprintf(w, "%s %s; %s of %s were in use.\n", session.HumanBytes(r.Freed), sum, session.HumanBytes(r.Usage.Total), session.HumanBytes(r.Usage.Quota))
}

func prunedName(p session.Pruned) string { return oneLine(filepath.Base(p.Name)) }

// prunedItem is what --json prints of one thing.
type prunedItem struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Why   string `json:"why"`
}

func prunedJSON(r session.PruneResult, dry bool) map[string]any {
	items := func(in []session.Pruned) []prunedItem {
		out := make([]prunedItem, len(in))
		for i, p := range in {
			out[i] = prunedItem(p)
		}
		return out
	}
	return map[string]any{
		"dryRun": dry, "removed": items(r.Removed), "kept": items(r.Kept), "freedBytes": r.Freed,
		"totalBytes": r.Usage.Total, "quotaBytes": r.Usage.Quota,
	}
}

// usageWait bounds how long a list waits for sizes.
const usageWait = 3 * time.Second

// printUsage says how much everything that is kept takes.
func printUsage(ctx context.Context, w io.Writer, m *session.Manager) {
	ctx, cancel := context.WithTimeout(ctx, usageWait)
	defer cancel()
	u, err := m.Usage(ctx)
	if err != nil {
		return // the list itself is there
	}
	fmt.Fprintf(w, "Disk use: %s.\n", u.Summary())
	if u.Total > u.Quota {
		fmt.Fprintln(w, "That is over sessions.quota_mb; see glue-lsp sessions prune --dry-run.")
	}
}
