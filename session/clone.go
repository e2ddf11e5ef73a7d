package session

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"glue-lsp/internal/git"
	"glue-lsp/sandbox"
	"glue-lsp/workspace"
)

// A tree whose bundle is over the cap goes up in two parts, where the sandbox can fetch:
// what a remote has the sandbox gets from there, and over it lies all the rest, from here.
// Nothing of the tree depends on the remote: what it does not have, or does not give, is
// sent.

// maxCloneSources is how many remotes a sandbox tries.
const maxCloneSources = 3

// packLarge packs a tree whose bundle is over the cap.
func (s *Session) packLarge(ctx context.Context, up *upload, p Progress) error {
	why, err := s.packOverClone(ctx, up, p)
	if err != nil || up.clonedFrom != "" {
		return err
	}
	return s.packWhole(ctx, up, why, p)
}

// packWhole makes a bundle of everything, although it is over the cap; why says what was
// tried instead, "" nothing.
func (s *Session) packWhole(ctx context.Context, up *upload, why string, p Progress) error {
	p.say("packing all of the tree", 50)
	up.clonedFrom = ""
	var err error
	up.base, err = s.store.Base(ctx, up.snap, up.past, up.branch, s.bundleFile(), s.uploadMax())
	var tooLarge *workspace.TooLargeError
	if errors.As(err, &tooLarge) {
		return s.tooLarge(up, why, tooLarge)
	}
	if err != nil {
		return err
	}
	s.update(func(st *state) { st.Base.Commit = up.base.Commit })
	all := fmt.Sprintf("the tree packs to %s, over bundle_max_mb (%d); all of it was sent", inMiB(up.base.BundleSize), s.bundleMax()>>20)
	if why != "" {
		all = why + "; " + all
	}
	s.warn("%s", all)
	return nil
}

func (s *Session) bundleFile() string { return filepath.Join(s.dir, "bootstrap.bundle") }

// tooLarge says that a tree cannot go up, and first why no remote could help.
func (s *Session) tooLarge(up *upload, why string, limit error) error {
	message := fmt.Sprintf("the tree is too large to send: %v (upload_max_mb); the largest files are %s", limit, largest(up.snap))
	hint := "leave files out with exclude or .gitignore, or raise upload_max_mb"
	if why != "" {
		message = why + "; and " + message
		hint += ", or let the sandbox read a remote that has HEAD"
	}
	return &Error{Kind: "tooLarge", Op: "open a session", Session: s.ID(), Path: s.ws.Root(), Err: limit, Message: message, Hint: hint}
}

// packOverClone has the sandbox fetch what a remote has, and packs the rest. Where that
// cannot be done, why says the reason for the person; it is "" for a sandbox that does not
// fetch at all. An error is one that ends the opening.
func (s *Session) packOverClone(ctx context.Context, up *upload, p Progress) (why string, err error) {
	cloner, ok := s.sb.(sandbox.Cloner)
	if !ok {
		return "", nil
	}
	sources, how, err := s.cloneSources(ctx, up)
	if err != nil {
		return "", err
	}
	if len(sources) == 0 {
		return how, nil
	}
	objects, err := s.store.Below(ctx, up.base)
	if err != nil {
		return "", err
	}
	p.say("fetching from "+sources[0].URL+" in the sandbox", 40)
	got, err := cloner.CloneRemote(ctx, sandbox.CloneRequest{
		Sources: sources, Format: up.format, Objects: objects, KeepIgnored: s.sb.Info().Kept != "",
		Progress: func(message string) { p.say("fetching from "+sources[0].URL+" in the sandbox: "+clipped(message), -1) },
	})
	if err != nil {
		return s.notCloned(ctx, err, how)
	}
	var missing []string
	for i, id := range objects {
		if i >= len(got.Has) || !got.Has[i] {
			missing = append(missing, id)
		}
	}
	p.say(fmt.Sprintf("packing what %s does not have (%d of %d objects)", got.URL, len(missing), len(objects)), 50)
	part, err := s.store.Part(ctx, up.base, up.branch, missing, s.bundleFile(), s.uploadMax())
	var tooLarge *workspace.TooLargeError
	if errors.As(err, &tooLarge) {
		return fmt.Sprintf("what %s does not have of the tree is too large as well: %v", got.URL, tooLarge), nil
	}
	if err != nil {
		return "", err
	}
	up.base, up.clonedFrom = part, got.URL
	return "", nil
}

// notCloned tells a remote that cannot be read from a sandbox that is gone.
func (s *Session) notCloned(ctx context.Context, err error, how string) (why string, _ error) {
	if ctx.Err() != nil || isDead(err) {
		return "", err
	}
	var e *sandbox.Error
	if why = err.Error(); errors.As(err, &e) {
		why = e.Message
	}
	if how != "" {
		why += " (" + how + ")"
	}
	return why, nil
}

// cloneSources finds where a sandbox may fetch from, the best first. how says what people
// should know of that: how an address was changed, and why a remote is not among them.
func (s *Session) cloneSources(ctx context.Context, up *upload) (sources []sandbox.CloneSource, how string, err error) {
	src := s.ws.Source()
	switch {
	case src == nil:
		return nil, "nothing could be fetched in the sandbox, since the folder is no git repository", nil
	case src.Head == "":
		return nil, "nothing could be fetched in the sandbox, since nothing was committed yet", nil
	case len(src.Remotes) == 0:
		return nil, "nothing could be fetched in the sandbox, since the repository has no remote", nil
	}
	tips, err := s.store.RemoteTips(ctx, src)
	if err != nil {
		if ctx.Err() != nil {
			return nil, "", err
		}
		return nil, err.Error(), nil
	}
	if len(tips) == 0 {
		return nil, "no remote is known to have HEAD or a commit below it (git fetch finds out)", nil
	}
	var notes []string
	for _, tip := range tips {
		url, note := git.PublicURL(src.Remotes[tip.Remote])
		if note != "" {
			notes = append(notes, fmt.Sprintf("remote %s: %s", clipped(tip.Remote), note))
		}
		if url != "" && len(sources) < maxCloneSources {
			sources = append(sources, sandbox.CloneSource{URL: url, Commit: tip.Commit, Ref: tip.Ref})
		}
	}
	how = strings.Join(notes, "; ")
	if len(sources) == 0 {
		how = "nothing could be fetched in the sandbox: " + how
	}
	return sources, how, nil
}

// clipped makes a text of others fit for one line.
func clipped(text string) string {
	const long = 160
	text = lastLines([]byte(text))
	if len(text) > long {
		text = strings.ToValidUTF8(text[:long], "") + "…"
	}
	return text
}

// inMiB shows a size to people.
func inMiB(bytes int64) string {
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}
