package lawtest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"pgregory.net/rapid"
)

// Names are what files are called: plainly, as each other's folders, differing only in
// case, with bytes that are no text, and with characters that need quoting.
func Names() []string {
	return []string{
		"a.txt", "a.txt", "b.txt", "d/a.txt", "d/b.txt", "d/e/c.txt", "d", "d/e", "x.sh", "link",
		"Cased", "cased", "with space", "new\nline", "caf\xe9.txt", "\"quoted\"\t\\", "-dash", "d/ü",
	}
}

// Hand is a person, or a command, that changes a folder. Every change that writes leaves
// a mark: the hand's letter and a number.
type Hand struct {
	Dir    string
	Letter string // one capital letter
	Count  *int   // of the marks, shared by all hands
	Names  []string
	Log    func(format string, args ...any) // told each change
}

// NewMark is a text that was never written before.
func (h *Hand) NewMark() string {
	*h.Count++
	return fmt.Sprintf("%s%d;", h.Letter, *h.Count)
}

// Path is a file's place on disk.
func (h *Hand) Path(name string) string { return filepath.Join(h.Dir, filepath.FromSlash(name)) }

// NewContent draws the content of a new file, with a mark in each line or so.
func (h *Hand) NewContent(t *rapid.T) string {
	mark := h.NewMark()
	end := rapid.SampledFrom([]string{"\n", "\n", "\n", "\r\n", "\r"}).Draw(t, "end")
	var body strings.Builder
	for i := range rapid.IntRange(1, 12).Draw(t, "lines") {
		fmt.Fprintf(&body, "line %d of %s%s", i, mark, end)
	}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return "\x00" + body.String()
	case 1:
		return "\ufeff" + body.String()
	case 2:
		return body.String() + "caf\xe9" + end
	case 3:
		return strings.TrimSuffix(body.String(), end)
	case 4:
		return mark
	case 5:
		return body.String() + "from elsewhere\r\n\n"
	}
	return body.String()
}

// EditText changes one line of a text, adds one or takes one away.
func (h *Hand) EditText(t *rapid.T, text string) string {
	lines := strings.SplitAfter(text, "\n")
	i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
	line := strings.TrimRight(lines[i], "\r\n")
	end := lines[i][len(line):]
	switch rapid.IntRange(0, 5).Draw(t, "edit") {
	case 0:
		lines[i] = line + end + "added " + h.NewMark() + "\n"
	case 1:
		if len(lines) > 2 {
			lines[i] = ""
			break
		}
		fallthrough
	default:
		lines[i] = line + " " + h.NewMark() + end
	}
	return strings.Join(lines, "")
}

// Has reports whether something other than a folder lies at a path.
func (h *Hand) Has(name string) bool {
	info, err := os.Lstat(h.Path(name))
	return err == nil && !info.IsDir()
}

// Change does one thing to one file. It is given the paths that there are.
func (h *Hand) Change(t *rapid.T, there []string) {
	switch op := rapid.IntRange(0, 15).Draw(t, "operation"); {
	case op < 6 && len(there) > 0:
		h.Modify(t, rapid.SampledFrom(there).Draw(t, "path"))
	case op < 8 && len(there) > 0:
		h.remove(rapid.SampledFrom(there).Draw(t, "path"))
	case op < 10 && len(there) > 0:
		h.rename(t, rapid.SampledFrom(there).Draw(t, "path"), h.name(t))
	case op < 11 && len(there) > 0:
		h.chmod(rapid.SampledFrom(there).Draw(t, "path"))
	case op < 12:
		h.link(t, h.name(t))
	default:
		h.Put(t, h.name(t))
	}
}

func (h *Hand) name(t *rapid.T) string { return rapid.SampledFrom(h.Names).Draw(t, "name") }

func (h *Hand) say(format string, args ...any) {
	if h.Log != nil {
		h.Log(format, args...)
	}
}

// Modify edits a file in place, or writes it anew and renames it into place.
func (h *Hand) Modify(t *rapid.T, name string) {
	f, err := read(h.Path(name))
	if err != nil || f.Kind != Regular && f.Kind != Executable {
		return
	}
	text := h.EditText(t, f.Data)
	inPlace := rapid.Bool().Draw(t, "in place")
	h.say("%s edits %q", h.Letter, name)
	if inPlace {
		_ = os.WriteFile(h.Path(name), []byte(text), 0o644) // it may not be writable; then nothing happens
		return
	}
	temp := h.Path(name) + ".new"
	mode := os.FileMode(0o644)
	if f.Kind == Executable {
		mode = 0o755
	}
	if err := os.WriteFile(temp, []byte(text), mode); err != nil {
		return
	}
	if err := os.Rename(temp, h.Path(name)); err != nil {
		_ = os.Remove(temp)
	}
}

func (h *Hand) remove(name string) {
	h.say("%s removes %q", h.Letter, name)
	_ = os.RemoveAll(h.Path(name))
}

func (h *Hand) rename(t *rapid.T, from, to string) {
	if from == to || strings.HasPrefix(to, from+"/") || strings.HasPrefix(from, to+"/") || !h.room(t, to) {
		return
	}
	h.say("%s renames %q to %q", h.Letter, from, to)
	_ = os.Rename(h.Path(from), h.Path(to))
}

func (h *Hand) chmod(name string) {
	info, err := os.Lstat(h.Path(name))
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	h.say("%s turns the executable bit of %q", h.Letter, name)
	_ = os.Chmod(h.Path(name), info.Mode().Perm()^0o111)
}

func (h *Hand) link(t *rapid.T, name string) {
	to := rapid.SampledFrom([]string{"a.txt", "nowhere", "d", "with space"}).Draw(t, "target")
	if !h.room(t, name) {
		return
	}
	h.say("%s links %q to %q", h.Letter, name, to)
	_ = os.Symlink(to, h.Path(name))
}

// Put writes a file anew, whatever was there.
func (h *Hand) Put(t *rapid.T, name string) {
	content := h.NewContent(t)
	if !h.room(t, name) {
		return
	}
	h.say("%s writes %q", h.Letter, name)
	_ = os.WriteFile(h.Path(name), []byte(content), 0o644)
}

// room makes room for a file: what lies there goes, unless it is a folder with something
// in it and the hand does not mean to, and so does a file that lies on the way.
func (h *Hand) room(t *rapid.T, name string) bool {
	retype := rapid.IntRange(0, 2).Draw(t, "retype") == 0
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		if info, err := os.Lstat(h.Path(name[:i])); err == nil && !info.IsDir() {
			if !retype {
				return false
			}
			_ = os.Remove(h.Path(name[:i]))
		}
	}
	info, err := os.Lstat(h.Path(name))
	switch {
	case err == nil && info.IsDir() && retype:
		_ = os.RemoveAll(h.Path(name))
	case err == nil:
		if err := os.Remove(h.Path(name)); err != nil { // a folder that is not empty
			return false
		}
	}
	return os.MkdirAll(filepath.Dir(h.Path(name)), 0o755) == nil
}

// Quote makes one word of a text for a shell.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// IsText reports whether an editor opens a content as text.
func IsText(content string) bool { return bytes.IndexByte([]byte(content), 0) < 0 }

// WildName draws a file name of any bytes that a file system takes, mostly short.
func WildName(t *rapid.T) string {
	plain := rapid.SampledFrom([]string{"a", "b", "file.txt", "Makefile", "x.sh", "deep", "src"})
	odd := rapid.SampledFrom([]string{
		" ", " lead", "trail ", "dot.", "-n", "--", "~", "$HOME", "`id`", "a\nb", "tab\there", "\"", "'", "\\", "\\n", "é", "e\u0301", "\xff\xfe",
		"*", "?", "[a]", "!neg", "#hash", "a:b", "CON", "nul.txt", "...", "..a", ".hidden", "\x01", "\x7f", "\u200bzero", "日本", strings.Repeat("n", 255),
	})
	any := rapid.Custom(func(t *rapid.T) string {
		b := rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 12).Draw(t, "bytes")
		return strings.Map(func(r rune) rune {
			if r == '/' {
				return '_'
			}
			return r
		}, string(b))
	})
	name := rapid.OneOf(plain, plain, odd, any).Draw(t, "name")
	if name == "." || name == ".." {
		return "dots"
	}
	return name
}

// Grow makes a tree of so many files or less: nested, empty, executable, unreadable by
// others, links of any kind.
func Grow(t *rapid.T, dir string, files int) {
	folders := []string{dir}
	for range rapid.IntRange(0, files).Draw(t, "files") {
		parent := rapid.SampledFrom(folders).Draw(t, "folder")
		name := filepath.Join(parent, WildName(t))
		if len(name) > 3000 {
			continue
		}
		if _, err := os.Lstat(name); err == nil {
			continue
		}
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0, 1, 2:
			if os.Mkdir(name, 0o755) == nil {
				folders = append(folders, name)
			}
		case 3:
			to := rapid.SampledFrom([]string{"nowhere", "a", ".", "..", "/etc/passwd", "../..", "x/../a", strings.Repeat("l/", 100)}).Draw(t, "target")
			_ = os.Symlink(to, name)
		default:
			content := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "content")
			mode := rapid.SampledFrom([]os.FileMode{0o644, 0o644, 0o755, 0o600, 0o700, 0o444}).Draw(t, "mode")
			_ = os.WriteFile(name, content, mode)
		}
	}
}
