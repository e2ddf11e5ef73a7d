package workspace

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
)

// ClientCaps is what the editor can do with an edit.
type ClientCaps struct {
	Create, Rename, Delete bool // resource operations; they need DocumentChanges
	DocumentChanges        bool // versioned edits and an order between them
	Annotations            bool // needsConfirmation is honoured by a prompt
	NoEdits                bool // it applies none that the server sends
	OpenOnly               bool // files that are not open are written to disk
	UnsavedOnly            bool // files without unsaved text are written to disk, open or not
	TellsLate              bool // of what an edit did to a buffer it tells only when the person pauses
}

// Edit is a workspace edit without LSP's types. The file operations come first, then
// one block of text edits: only then does one undo in the editor suffice. No path is
// in two operations, and none in two text changes.
type Edit struct {
	Ops   []FileOp
	Texts []TextChange
}

// What a [FileOp] does.
const (
	OpCreate = "create" // an empty file; its text follows as a TextChange
	OpRename = "rename"
	OpDelete = "delete"
)

// FileOp creates, renames or deletes one file.
type FileOp struct {
	Op      string // one of the Op constants
	Path    string // absolute host path
	To      string // of a rename
	Confirm string // why a person must confirm it, "" when none need to
}

// TextChange edits one document. Offsets are bytes into Text, which is the text of
// the buffer (open documents) or of the file (closed ones), without a byte order mark.
// It may lie at the target of a rename or creation in the same edit: Text is then what
// that operation put there.
type TextChange struct {
	Path    string // absolute host path, for an open document as the editor named it
	Version *int32 // nil for closed files
	Text    []byte
	Edits   []TextEdit // sorted, not overlapping
	Confirm string     // why a person must confirm it, "" when none need to
}

// TextEdit replaces the bytes from Start to End.
type TextEdit struct {
	Start, End int
	New        string
}

// refineLimit bounds, in bytes of both sides together, which changed blocks are
// compared character by character: beyond it whole lines are replaced.
const refineLimit = 16 << 10

// minimalEdits turns one text into another with small edits: first whole lines are
// compared, then the characters of each block of changed lines. Both texts must be
// valid UTF-8; no edit splits a character, nor a CRLF.
func minimalEdits(before, after []byte) []TextEdit {
	var out []TextEdit
	for _, block := range udiff.Lines(string(before), string(after)) {
		old := string(before[block.Start:block.End])
		if len(old)+len(block.New) > refineLimit || old == "" || block.New == "" {
			out = append(out, TextEdit{Start: block.Start, End: block.End, New: block.New})
			continue
		}
		for _, e := range refine(old, block.New) {
			out = append(out, TextEdit{Start: block.Start + e.Start, End: block.Start + e.End, New: e.New})
		}
	}
	return insideText(before, out)
}

// insideText moves lines that are added after the last line end to before it, which
// gives the same text: Neovim (vim.lsp.util.apply_text_edits) has no line there and
// adds an empty one.
func insideText(before []byte, edits []TextEdit) []TextEdit {
	if len(edits) == 0 {
		return edits
	}
	e := &edits[len(edits)-1]
	end := "\n"
	if bytes.HasSuffix(before, []byte("\r\n")) {
		end = "\r\n"
	}
	if e.Start != len(before) || !bytes.HasSuffix(before, []byte(end)) || !strings.HasSuffix(e.New, end) {
		return edits
	}
	at, text := len(before)-len(end), end+strings.TrimSuffix(e.New, end)
	if len(edits) > 1 {
		last := &edits[len(edits)-2]
		switch {
		case last.End > at:
			return edits
		case last.End == at:
			last.New += text
			return edits[:len(edits)-1]
		}
	}
	*e = TextEdit{Start: at, End: at, New: text}
	return edits
}

// refine compares two blocks of lines by their characters. When little is alike, one
// replacement of what differs reads better than confetti.
func refine(before, after string) []udiff.Edit {
	edits := udiff.Strings(before, after)
	removed := 0
	for _, e := range edits {
		removed += e.End - e.Start
		if splitsCRLF(before, e.Start) || splitsCRLF(before, e.End) || dangles(before, e) {
			return middle(before, after)
		}
	}
	if len(edits) > 1 && 2*removed > len(before) {
		return middle(before, after)
	}
	return edits
}

// middle is the one edit that leaves out what both texts begin and end with.
func middle(before, after string) []udiff.Edit {
	start := 0
	for start < len(before) && start < len(after) {
		r, n := utf8.DecodeRuneInString(before[start:])
		if other, _ := utf8.DecodeRuneInString(after[start:]); r != other {
			break
		}
		start += n
	}
	if start > 0 && before[start-1] == '\r' {
		start--
	}
	end := 0
	for end < len(before)-start && end < len(after)-start {
		r, n := utf8.DecodeLastRuneInString(before[start : len(before)-end])
		if other, _ := utf8.DecodeLastRuneInString(after[start : len(after)-end]); r != other {
			break
		}
		end += n
	}
	if end > 0 && before[len(before)-end] == '\n' && (splitsCRLF(before, len(before)-end) || splitsCRLF(after, len(after)-end)) {
		end--
	}
	return []udiff.Edit{{Start: start, End: len(before) - end, New: after[start : len(after)-end]}}
}

// splitsCRLF reports whether an offset is between a CR and its LF: editors have no
// position there.
func splitsCRLF(text string, at int) bool {
	return at > 0 && at < len(text) && text[at-1] == '\r' && text[at] == '\n'
}

// dangles reports whether an edit's text, by itself, would hold half of a line end,
// which an editor would make a whole one.
func dangles(before string, e udiff.Edit) bool {
	n := len(e.New)
	return n > 0 && (e.New[n-1] == '\r' || e.New[0] == '\n' && e.Start > 0 && before[e.Start-1] == '\r')
}
