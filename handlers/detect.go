package handlers

import (
	"bytes"
	"path"
	"regexp"
	"strings"
	"sync"
)

// runnable is a place in a file that can be run: the file itself (name is ""), or a test.
type runnable struct {
	start, end int // bytes, of the line's text
	name       string
}

// detectLimit bounds the text that is searched for tests, in bytes: beyond it a file is
// data, and lenses would come too late.
const detectLimit = 4 << 20

// detect finds what can be run in a file. whole reports whether the file can be run by
// itself, which is not the same as a place in it that says so.
func detect(language, file string, text []byte) (places []runnable, whole bool) {
	if len(text) > detectLimit {
		return nil, true
	}
	base := path.Base(file)
	p := patterns()
	switch language {
	case "go":
		if strings.HasSuffix(base, "_test.go") {
			return findNames(text, p.goTest), true
		}
		if p.goPackageMain.Match(text) {
			return findNames(text, p.goMain), true
		}
		return nil, false
	case "python":
		return detectPython(text, p), true
	case "javascript", "typescript":
		if isJSTest(file, base, text) {
			return findJS(text, p), true
		}
		return atInterpreterLine(text), true
	case "rust":
		return detectRust(text, p)
	case "ruby":
		if strings.HasSuffix(base, "_spec.rb") {
			return findNames(text, p.rspec), true
		}
		return findNames(text, p.minitest), true
	case "shellscript":
		return atInterpreterLine(text), true
	case "makefile":
		return detectTargets(text, p), true
	}
	return nil, true // what only a user's runner knows
}

type patternSet struct {
	goTest, goMain, goPackageMain  *regexp.Regexp
	pyClass, pyTest, pyMain        *regexp.Regexp
	jsTest                         *regexp.Regexp
	rustTestAttr, rustAttr, rustFn *regexp.Regexp
	rspec, minitest, makeTarget    *regexp.Regexp
}

// patterns are compiled on first use: a server that nobody asks for lenses starts sooner.
var patterns = sync.OnceValue(func() *patternSet {
	re := regexp.MustCompile
	return &patternSet{
		goTest: re(`(?m)^func ((?:Test|Benchmark|Fuzz)(?:[\p{Lu}\p{N}_][\pL\p{N}_]*)?)\(\s*[\pL_][\pL\p{N}_]*\s+\*testing\.[TBF]\s*\)` +
			`|(?m)^func (Example(?:[\p{Lu}\p{N}_][\pL\p{N}_]*)?)\(\s*\)`),
		goMain:        re(`(?m)^func main\(\s*\)()`),
		goPackageMain: re(`(?m)^package main\b`),
		pyClass:       re(`^class\s+([\pL_][\pL\p{N}_]*)\s*[(:]`),
		pyTest:        re(`^(\s*)(?:async\s+)?def\s+(test[\pL\p{N}_]*)\s*\(`),
		pyMain:        re(`^if\s+__name__\s*==\s*["']__main__["']\s*:`),
		jsTest: re(`(?m)^[ \t]*(?:describe|it|test|suite)(?:\.(?:only|skip|concurrent|serial|todo|fails))*\(\s*` +
			`(?:"((?:[^"\\\n]|\\.)+)"|'((?:[^'\\\n]|\\.)+)'|` + "`" + `((?:[^` + "`" + `\\$\n]|\\.)+)` + "`" + `)`),
		rustTestAttr: re(`^\s*#\[\s*(?:[\pL\p{N}_]+::)*(?:test|rstest|test_case|bench)\b`),
		rustAttr:     re(`^\s*(?:#!?\[|//)`),
		rustFn:       re(`^\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?(?:const\s+)?(?:async\s+)?(?:unsafe\s+)?fn\s+([\pL_][\pL\p{N}_]*)`),
		rspec:        re(`(?m)^[ \t]*(?:RSpec\.)?(?:describe|context|it|specify|feature|scenario)[ (]+(?:"([^"\n#]+)"|'([^'\n]+)')`),
		minitest:     re(`(?m)^[ \t]*def[ \t]+(test_[\pL\p{N}_]+[?!]?)`),
		makeTarget:   re(`^([A-Za-z0-9_][A-Za-z0-9_./-]*)[ \t]*::?(?:[^=:]|$)`),
	}
})

// findNames makes a place of each match; the first group that matched is its name.
func findNames(text []byte, re *regexp.Regexp) []runnable {
	var out []runnable
	for _, m := range re.FindAllSubmatchIndex(text, -1) {
		r := runnable{start: m[0], end: m[1]}
		for g := 2; g+1 < len(m); g += 2 {
			if m[g] >= 0 {
				r.name = string(text[m[g]:m[g+1]])
				break
			}
		}
		out = append(out, r)
	}
	return out
}

func findJS(text []byte, p *patternSet) []runnable {
	out := findNames(text, p.jsTest)
	for i := range out {
		out[i].name = jsEscape.ReplaceAllString(out[i].name, "$1")
	}
	return out
}

// jsEscape is the part of JavaScript's escapes that test names use: \' \" \` and \\.
var jsEscape = regexp.MustCompile("\\\\([\"'`\\\\])")

// isJSTest goes by the file's name, its folder, or a test program that it imports.
func isJSTest(file, base string, text []byte) bool {
	if strings.Contains(base, ".test.") || strings.Contains(base, ".spec.") || strings.Contains(file, "/__tests__/") {
		return true
	}
	for _, module := range []string{"node:test", "vitest", "@jest/globals", "bun:test", "mocha"} {
		if bytes.Contains(text, []byte(`"`+module+`"`)) || bytes.Contains(text, []byte(`'`+module+`'`)) {
			return true
		}
	}
	return false
}

// atInterpreterLine is the file itself, shown at its "#!" line.
func atInterpreterLine(text []byte) []runnable {
	if !bytes.HasPrefix(text, []byte("#!")) {
		return nil
	}
	end := bytes.IndexAny(text, "\r\n")
	if end < 0 {
		end = len(text)
	}
	return []runnable{{end: end}}
}

// eachLine calls f with each line's text and its offset.
func eachLine(text []byte, f func(line []byte, at int)) {
	for at := 0; at < len(text); {
		end := bytes.IndexByte(text[at:], '\n')
		next := len(text)
		if end >= 0 {
			next = at + end + 1
		}
		f(bytes.TrimRight(text[at:next], "\r\n"), at)
		at = next
	}
}

// detectPython knows a method's class, and skips what stands in triple-quoted strings.
func detectPython(text []byte, p *patternSet) []runnable {
	var out []runnable
	class, quoted := "", ""
	eachLine(text, func(line []byte, at int) {
		inside := quoted != ""
		quoted = tripleQuotes(line, quoted)
		if inside || len(line) == 0 {
			return
		}
		place := runnable{start: at, end: at + len(line)}
		if m := p.pyClass.FindSubmatch(line); m != nil {
			class = string(m[1])
			if strings.HasPrefix(class, "Test") || bytes.Contains(line, []byte("TestCase")) {
				place.name = class
				out = append(out, place)
			}
			return
		}
		if p.pyMain.Match(line) {
			out = append(out, place)
		}
		m := p.pyTest.FindSubmatch(line)
		if m == nil {
			if c := line[0]; c != ' ' && c != '\t' && c != '#' && c != ')' && c != '@' {
				class = ""
			}
			return
		}
		place.name = string(m[2])
		switch {
		case len(m[1]) == 0:
			class = ""
		case class == "":
			return // a function in a function
		default:
			place.name = class + "::" + place.name
		}
		out = append(out, place)
	})
	return out
}

// tripleQuotes gives the quote in which a line ends, when it began in `open`.
func tripleQuotes(line []byte, open string) string {
	for s := string(line); ; {
		if open != "" {
			i := strings.Index(s, open)
			if i < 0 {
				return open
			}
			s, open = s[i+3:], ""
			continue
		}
		double, single := strings.Index(s, `"""`), strings.Index(s, "'''")
		switch {
		case double < 0 && single < 0:
			return ""
		case single < 0 || double >= 0 && double < single:
			s, open = s[double+3:], `"""`
		default:
			s, open = s[single+3:], "'''"
		}
	}
}

// detectRust takes a function for a test when a test attribute stands above it.
func detectRust(text []byte, p *patternSet) (places []runnable, hasMain bool) {
	test := false
	eachLine(text, func(line []byte, at int) {
		if p.rustTestAttr.Match(line) {
			test = true
		}
		m := p.rustFn.FindSubmatch(line)
		switch {
		case m == nil:
			// Attributes and comments may stand between the attribute and its function.
			test = test && (p.rustAttr.Match(line) || len(bytes.TrimSpace(line)) == 0)
			return
		case test:
			places = append(places, runnable{start: at, end: at + len(line), name: string(m[1])})
		case string(m[1]) == "main" && !bytes.HasPrefix(line, []byte(" ")) && !bytes.HasPrefix(line, []byte("\t")):
			places = append(places, runnable{start: at, end: at + len(line)})
			hasMain = true
		}
		test = false
	})
	return places, hasMain
}

func detectTargets(text []byte, p *patternSet) []runnable {
	var out []runnable
	continued := false
	eachLine(text, func(line []byte, at int) {
		skip := continued
		continued = bytes.HasSuffix(line, []byte(`\`))
		if m := p.makeTarget.FindSubmatch(line); m != nil && !skip {
			out = append(out, runnable{start: at, end: at + len(line), name: string(m[1])})
		}
	})
	return out
}
