package workspace

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// uncommittedSubject is the subject of the message of what was not committed.
const uncommittedSubject = "Uncommitted changes in the sandbox"

// waySubject is the subject of a message that only removes links, see makeWay.
const waySubject = "Symbolic links that become folders go first"

// noSubject stands for an empty message: git am takes none.
const noSubject = "(no message)"

// letter is a commit's message and author as an mbox can carry them.
type letter struct {
	name, email, date string
	subject, body     string
}

// letterOf says what a message states of its commit, and what that loses: nil when
// `git am -k --keep-cr --patch-format=mboxrd` makes the same author and message of it.
func letterOf(c *mboxCommit, at time.Time) (letter, *MetaMessage) {
	if c == nil {
		return letter{name: "glue", email: "glue@localhost", date: mailDate(fmt.Sprintf("%d +0000", at.Unix())), subject: uncommittedSubject}, nil
	}
	message := strings.ToValidUTF8(c.message, "\uFFFD")
	subject, body := splitMessage(message)
	l := letter{
		name: plainName(c.name), email: plainEmail(c.email), date: mailDate(c.date),
		subject: subject, body: escapeBody(body),
	}
	if l.subject == "" {
		l.subject = noSubject
	}
	if l.name == "" {
		l.name = l.email
	}
	lost := MetaMessage{Commit: c.id}
	if stripSpace(l.subject+"\n\n"+l.body) != c.message {
		lost.Original, lost.NoMessage = c.message, c.message == ""
	}
	if l.name != c.name || l.email != c.email {
		lost.Author = c.name + " <" + c.email + ">"
	}
	if l.date == "" {
		l.date, lost.Date = mailDate("0 +0000"), c.date
	}
	if lost == (MetaMessage{Commit: c.id}) {
		return l, nil
	}
	if !utf8.ValidString(lost.Original) || !utf8.ValidString(lost.Author) {
		lost.Base64 = true
		lost.Original = base64.StdEncoding.EncodeToString([]byte(lost.Original))
		lost.Author = base64.StdEncoding.EncodeToString([]byte(lost.Author))
	}
	return l, &lost
}

// write renders the letter up to the patch.
func (l letter) write(w *bytes.Buffer, id string) {
	// The date of this line is what git writes, and knows a patch by.
	fmt.Fprintf(w, "From %s Mon Sep 17 00:00:00 2001\n", id)
	fmt.Fprintf(w, "From: %s <%s>\n", encodePhrase(l.name), l.email)
	fmt.Fprintf(w, "Date: %s\n", l.date)
	fmt.Fprintf(w, "Subject: %s\n", encodeText(l.subject))
	w.WriteString("MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n")
	if l.body != "" {
		for line := range strings.Lines(l.body) {
			if isFromLine(line) {
				w.WriteByte('>') // mboxrd: each reader takes one off
			}
			w.WriteString(line)
		}
		if !strings.HasSuffix(l.body, "\n") {
			w.WriteByte('\n')
		}
		w.WriteByte('\n')
	}
	w.WriteString("---\n\n")
}

// splitMessage gives a message's first paragraph, and the rest.
func splitMessage(message string) (subject, body string) {
	message = strings.TrimLeft(message, "\n")
	subject, body, _ = strings.Cut(message, "\n\n")
	return strings.TrimRight(subject, "\n"), strings.TrimLeft(body, "\n")
}

// escapeBody indents lines that git am would take for the beginning of the patch, or
// for headers inside the body: see patchbreak and check_inbody_header in git's
// mailinfo.c.
func escapeBody(body string) string {
	var out strings.Builder
	first := true
	for line := range strings.Lines(body) {
		if beginsPatch(line) || first && beginsHeaders(line) {
			out.WriteByte(' ')
		}
		if strings.TrimSpace(line) != "" {
			first = false
		}
		out.WriteString(line)
	}
	return out.String()
}

func beginsPatch(line string) bool {
	switch {
	case strings.HasPrefix(line, "diff -"), strings.HasPrefix(line, "Index: "):
		return true
	case !strings.HasPrefix(line, "---"):
		return false
	}
	rest := line[3:]
	return strings.TrimSpace(rest) == "" || rest[0] == ' ' && len(rest) > 1 && !asciiSpace(rest[1])
}

func asciiSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// beginsHeaders is wider than what git looks for: an indented line is still a line.
func beginsHeaders(line string) bool {
	name, _, ok := strings.Cut(strings.ToLower(line), ":")
	if !ok {
		return strings.HasPrefix(line, "[PATCH]") || strings.HasPrefix(line, ">From")
	}
	switch {
	case name == "from", name == "subject", name == "date", name == "message-id", name == "in-reply-to", strings.HasPrefix(name, "content-"):
		return true
	}
	return strings.HasPrefix(line, "[PATCH]") || strings.HasPrefix(line, ">From")
}

func isFromLine(line string) bool {
	return strings.HasPrefix(strings.TrimLeft(line, ">"), "From ")
}

// stripSpace is what git am does to a message (strbuf_stripspace of git's
// strbuf.c): no space at the ends of lines, no two empty lines, none at the ends.
func stripSpace(message string) string {
	var out strings.Builder
	empty := 0
	for line := range strings.Lines(message) {
		line = strings.TrimRightFunc(line, func(r rune) bool { return r < utf8.RuneSelf && asciiSpace(byte(r)) })
		if line == "" {
			empty++
			continue
		}
		if empty > 0 && out.Len() > 0 {
			out.WriteByte('\n')
		}
		empty = 0
		out.WriteString(line)
		out.WriteByte('\n')
	}
	return out.String()
}

// plainName makes a name that git am can read: it looks for the first @ in a From
// line, and takes no control characters.
func plainName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '<', r == '>':
			return -1
		case r == '@':
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	return strings.Join(strings.Fields(name), " ")
}

func plainEmail(email string) string {
	email = strings.Map(func(r rune) rune {
		if r <= ' ' || r >= utf8.RuneSelf || strings.ContainsRune(`<>()[],;:\"`, r) || r == 0x7f {
			return -1
		}
		return r
	}, email)
	if strings.Count(email, "@") != 1 || strings.HasPrefix(email, "@") || strings.HasSuffix(email, "@") {
		email = strings.Trim(strings.ReplaceAll(email, "@", "."), ".") + "@localhost"
		if email == "@localhost" {
			email = "unknown@localhost"
		}
	}
	return email
}

// mailDate turns git's raw date into that of a mail (RFC 5322, section 3.3). It is ""
// for what git am would not read the same.
func mailDate(raw string) string {
	seconds, zone, ok := strings.Cut(raw, " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if !ok || err != nil || len(zone) != 5 {
		return ""
	}
	minutes, err := strconv.Atoi(zone[1:])
	if err != nil || minutes%100 > 59 || minutes > 1400 {
		return ""
	}
	offset := (minutes/100*60 + minutes%100) * 60
	if zone[0] == '-' {
		offset = -offset
	}
	at := time.Unix(n, 0).In(time.FixedZone("", offset))
	if at.Year() < 1971 || at.Year() > 2098 {
		return "@" + raw // as git reads it with no calendar
	}
	return at.Format("Mon, 2 Jan 2006 15:04:05 ") + zone
}

// encodePhrase writes a name for a From header: as it is, quoted, or encoded.
// git decodes first and takes quotes and comments out after (handle_from in git's
// mailinfo.c), so a name with such characters is quoted in either case.
func encodePhrase(name string) string {
	phrase := name
	if strings.ContainsAny(name, `()<>[]:;@\,."`) {
		phrase = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	if needsEncoding(name) {
		return encodeWords(phrase)
	}
	return phrase
}

func encodeText(text string) string {
	if needsEncoding(text) {
		return encodeWords(text)
	}
	return text
}

// needsEncoding reports whether a header would not come back the same.
func needsEncoding(text string) bool {
	if text == "" || strings.Contains(text, "=?") || text != strings.TrimSpace(text) {
		return true
	}
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f {
			return true
		}
	}
	return false
}

// encodeWords writes UTF-8 as encoded words (RFC 2047, section 4.2), each on a line
// of its own and without splitting a character.
func encodeWords(text string) string {
	const open, shut, room = "=?UTF-8?q?", "?=", 75
	var words []string
	var word strings.Builder
	for _, r := range text {
		var enc string
		for _, c := range []byte(string(r)) {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '/' || c == '+' {
				enc += string(c)
			} else {
				enc += fmt.Sprintf("=%02X", c)
			}
		}
		if len(open)+word.Len()+len(enc)+len(shut) > room {
			words = append(words, open+word.String()+shut)
			word.Reset()
		}
		word.WriteString(enc)
	}
	return strings.Join(append(words, open+word.String()+shut), "\n ")
}
