package git

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// Signature is who and when, for a commit.
type Signature struct {
	Name, Email string
	When        time.Time // its zone is kept; times before 1970 become 1970
}

// CommitSpec describes a commit to make. Message may hold any bytes but NUL.
type CommitSpec struct {
	Tree      string
	Parents   []string
	Author    Signature
	Committer Signature
	Message   []byte
}

// Commit makes a commit object, durably, and gives its id.
func (r *Repo) Commit(_ context.Context, c CommitSpec) (string, error) {
	for _, id := range append([]string{c.Tree}, c.Parents...) {
		if err := r.checkID(id); err != nil {
			return "", fmt.Errorf("make commit: %w", err)
		}
	}
	id, err := r.keepLoose("commit", c.encode())
	if err != nil {
		return "", fmt.Errorf("make commit: %w", err)
	}
	return id, nil
}

// encode writes the commit in git's own format.
func (c CommitSpec) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", c.Tree)
	for _, p := range c.Parents {
		fmt.Fprintf(&b, "parent %s\n", p)
	}
	fmt.Fprintf(&b, "author %s\ncommitter %s\n\n", c.Author.encode(), c.Committer.encode())
	b.Write(bytes.ReplaceAll(c.Message, []byte{0}, nil))
	return b.Bytes()
}

// encode gives "name <email> seconds zone", without what would end a part early.
func (s Signature) encode() string {
	clean := strings.NewReplacer("<", "", ">", "", "\n", " ", "\x00", "")
	_, offset := s.When.Zone()
	sign := '+'
	if offset < 0 {
		sign, offset = '-', -offset
	}
	return fmt.Sprintf("%s <%s> %d %c%02d%02d",
		strings.TrimSpace(clean.Replace(s.Name)), strings.TrimSpace(clean.Replace(s.Email)),
		max(s.When.Unix(), 0), sign, offset/3600, offset/60%60)
}
