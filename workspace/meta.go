package workspace

import (
	"encoding/json"
	"time"

	"github.com/google/renameio/v2"
)

// The files that a return leaves in the session's folder.
const (
	MboxFile   = "runtime.mbox"
	MetaFile   = "runtime.mbox.meta.json"
	BundleFile = "runtime.bundle"
)

// Meta is runtime.mbox.meta.json: what the mbox beside it was made of, and what it
// could not carry.
type Meta struct {
	RuntimeID          string    `json:"runtime_id"`
	SandboxID          string    `json:"sandbox_id"`
	BootstrapSHA       string    `json:"bootstrap_sha"`
	BaseSHA            string    `json:"base_sha"` // commit in objects.git that the mbox applies to
	RemoteURL          string    `json:"remote_url"`
	RuntimeCwd         string    `json:"runtime_cwd"`
	Format             string    `json:"format"` // "mbox": of patches as git format-patch writes them, in mboxrd
	CapturedAt         time.Time `json:"captured_at"`
	SizeBytes          int64     `json:"size_bytes"`
	Truncated          bool      `json:"truncated"`
	TruncationCapBytes int64     `json:"truncation_cap_bytes"`

	Session    string        `json:"session"`
	Commits    int           `json:"commits"`                    // messages in the mbox
	HeadSHA    string        `json:"head_sha,omitempty"`         // the sandbox's HEAD
	FinalSHA   string        `json:"final_sha,omitempty"`        // commit of everything that the sandbox held
	Messages   []MetaMessage `json:"messages,omitempty"`         // those that differ from their commit
	Folded     []string      `json:"folded_commits,omitempty"`   // their changes are in the message after them
	Merged     []string      `json:"merged_commits,omitempty"`   // came in by a merge, or lie on other refs
	Returned   []string      `json:"returned_commits,omitempty"` // the host holds their changes already
	Warnings   []string      `json:"warnings,omitempty"`
	BundleRefs []string      `json:"bundle_refs,omitempty"`
	Verified   bool          `json:"verified"` // each message was applied and gave its tree
}

// MetaMessage keeps what an mbox message could not carry as it was.
type MetaMessage struct {
	Commit   string `json:"commit,omitempty"`
	Original string `json:"original_message,omitempty"`
	// NoMessage is set when the original is empty.
	NoMessage bool   `json:"no_message,omitempty"`
	Author    string `json:"original_author,omitempty"` // as "name <email>"
	Date      string `json:"original_date,omitempty"`   // seconds since 1970 and zone
	// Base64 is set when the originals are in base64, because they are not UTF-8.
	Base64 bool `json:"base64,omitempty"`
}

// write puts the meta file in place, readable by the user only.
func (m Meta) write(file string) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(file, append(b, '\n'), 0o600, renameio.IgnoreUmask())
}
