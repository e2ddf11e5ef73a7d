package agent

import (
	"bytes"
	"strings"
)

// fetchOutput takes what `git fetch --progress` prints: lines that end with CR are progress
// and told, the others are kept for an error.
type fetchOutput struct {
	tell func(line string)
	part []byte
	kept tail
}

const maxFetchLine = 4 << 10

func (f *fetchOutput) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			f.part = append(f.part, p[:min(len(p), maxFetchLine-min(len(f.part), maxFetchLine))]...)
			break
		}
		f.line(string(append(f.part, p[:end]...)), p[end] == '\r')
		f.part, p = f.part[:0], p[end+1:]
	}
	return n, nil
}

func (f *fetchOutput) line(line string, progress bool) {
	line = strings.TrimSpace(strings.Map(blank, strings.TrimSuffix(strings.TrimSpace(line), "\x1b[K")))
	switch {
	case line == "":
		return
	case !progress && !strings.HasSuffix(line, "done."):
		_, _ = f.kept.Write([]byte(line + "\n"))
	}
	f.tell(line)
}

// blank makes spaces of control characters.
func blank(r rune) rune {
	if isControl(r) {
		return ' '
	}
	return r
}

// text is what was said besides progress, as one line.
func (f *fetchOutput) text() string {
	f.line(string(f.part), false)
	f.part = nil
	return f.kept.text()
}
