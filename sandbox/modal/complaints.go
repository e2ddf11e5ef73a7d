package modal

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// complaints keep the end of what the sidecar writes to standard error, and pass each
// line on to a log. Secrets are taken out of both.
type complaints struct {
	log     func(format string, args ...any)
	secrets []string

	mu    sync.Mutex
	part  []byte // of a line
	lines []string
	size  int
}

const (
	maxLine       = 4 << 10
	maxComplaints = 16 << 10
	tailLines     = 20
)

func newComplaints(environ []string, log func(string, ...any)) *complaints {
	if log == nil {
		log = func(string, ...any) {}
	}
	return &complaints{log: log, secrets: secretsOf(environ)}
}

// Write never fails: a process must not hang because nobody reads its complaints.
func (c *complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			c.part = append(c.part, p[:min(len(p), max(0, maxLine-len(c.part)))]...)
			break
		}
		c.part = append(c.part, p[:min(end, max(0, maxLine-len(c.part)))]...)
		c.line(string(c.part))
		c.part, p = c.part[:0], p[end+1:]
	}
	return n, nil
}

func (c *complaints) line(raw string) {
	text := withoutSecrets(plain(raw), c.secrets)
	if strings.TrimSpace(text) == "" {
		return
	}
	c.log("sidecar: %s", text)
	c.lines = append(c.lines, text)
	c.size += len(text)
	for c.size > maxComplaints {
		c.size -= len(c.lines[0])
		c.lines = c.lines[1:]
	}
}

// tail is what was said last, for an error's end.
func (c *complaints) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := slices.Clone(c.lines[max(0, len(c.lines)-tailLines):])
	if last := withoutSecrets(plain(string(c.part)), c.secrets); strings.TrimSpace(last) != "" {
		lines = append(lines, last)
	}
	return strings.Join(lines, "\n")
}

// plain makes a line fit for a message: no escapes, no broken text.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\t' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(strings.TrimRight(s, "\r\n"), "?"))
}

func clip(s string, n int) string {
	if s = plain(s); len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// tokens are what Modal's tokens and signed answers look like, and names and passwords in
// URLs.
var tokens = regexp.MustCompile(`\b(?:a[ks]-[A-Za-z0-9]{6,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]+)|(://)[^/@\s]+@`)

// secretsOf are the values of an environment that no message may hold.
func secretsOf(environ []string) []string {
	var out []string
	for _, name := range []string{"MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET"} {
		for _, kv := range environ {
			if k, v, ok := strings.Cut(kv, "="); ok && k == name && len(v) >= 4 {
				out = append(out, v)
			}
		}
	}
	return out
}

func withoutSecrets(s string, secrets []string) string {
	for _, secret := range secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return tokens.ReplaceAllString(s, "${1}***")
}
