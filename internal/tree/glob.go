package tree

// globSpecial are the characters that are not literal in a pattern.
const globSpecial = `*?[\`

// glob is a compiled pattern with the meaning that git's wildmatch.c gives it. Where
// the pattern is about paths, `*`, `?` and classes do not match a slash and `**` as a
// whole component matches any number of components; in a name all `*` are alike.
// Matching takes time polynomial in pattern and text, however the pattern is made.
type glob struct {
	parts []globPart
	paths bool
	fold  bool
}

// globPart is one element of a pattern.
type globPart struct {
	kind  globKind
	char  byte
	class *[256]bool
}

type globKind uint8

const (
	literalChar globKind = iota
	anyChar              // ?
	oneOf                // [...]
	star                 // any characters but slashes
	starStar             // any characters
	anyDirs              // `**/`: nothing, or any characters and a slash
)

// compileGlob reads a pattern; malformed says that it never matches.
func compileGlob(p string, paths, fold bool) (g glob, malformed bool) {
	g = glob{paths: paths, fold: fold}
	for i := 0; i < len(p); {
		switch p[i] {
		case '\\':
			if i+1 == len(p) {
				return g, true
			}
			// As in git, an escaped capital matches nothing when case is ignored.
			g.add(globPart{kind: literalChar, char: p[i+1]})
			i += 2
		case '?':
			g.add(globPart{kind: anyChar})
			i++
		case '*':
			i = g.addStars(p, i)
		case '[':
			class, next, ok := parseClass(p, i+1, fold)
			if !ok {
				return g, true
			}
			if paths {
				class['/'] = false
			}
			g.add(globPart{kind: oneOf, class: class})
			i = next
		default:
			c := p[i]
			if fold {
				c = lower(c)
			}
			g.add(globPart{kind: literalChar, char: c})
			i++
		}
	}
	return g, false
}

func (g *glob) add(p globPart) { g.parts = append(g.parts, p) }

// addStars reads the asterisks at p[i] and gives the index behind what it took.
func (g *glob) addStars(p string, i int) int {
	end := i
	for end < len(p) && p[end] == '*' {
		end++
	}
	rest := p[end:]
	switch {
	case !g.paths:
		g.add(globPart{kind: starStar})
	case end-i < 2 || i > 0 && p[i-1] != '/':
		g.add(globPart{kind: star})
	case rest == "" || len(rest) > 1 && rest[:2] == `\/`:
		g.add(globPart{kind: starStar})
	case rest[0] == '/':
		g.add(globPart{kind: anyDirs})
		return end + 1
	default:
		g.add(globPart{kind: star})
	}
	return end
}

// match reports whether the pattern matches all of s. When a part does not match, the
// last `*` takes one more character; when that meets a slash, the last `**` does.
// Earlier ones need not be tried again: what follows them matched as early as it can.
func (g *glob) match(s string) bool {
	type retry struct{ part, at int }
	none := retry{part: -1}
	near, far := none, none
	for p, i := 0, 0; ; {
		if p < len(g.parts) {
			part := &g.parts[p]
			switch part.kind {
			case star:
				p++
				near = retry{p, i}
				continue
			case starStar, anyDirs:
				p++
				far, near = retry{p, i}, none
				continue
			}
			if i < len(s) && part.matches(s[i], g) {
				p++
				i++
				continue
			}
		} else if i == len(s) {
			return true
		}
		switch {
		case near.part >= 0 && near.at < len(s) && s[near.at] != '/':
			near.at++
			p, i = near.part, near.at
		case far.part >= 0:
			far.at = g.further(far.part-1, s, far.at)
			if far.at < 0 {
				return false
			}
			near = none
			p, i = far.part, far.at
		default:
			return false
		}
	}
}

// further gives the next place up to which the `**` at part can match, -1 for none.
func (g *glob) further(part int, s string, at int) int {
	if g.parts[part].kind == anyDirs {
		for ; at < len(s); at++ {
			if s[at] == '/' {
				return at + 1
			}
		}
		return -1
	}
	if at == len(s) {
		return -1
	}
	return at + 1
}

func (p *globPart) matches(c byte, g *glob) bool {
	if g.fold {
		c = lower(c)
	}
	switch p.kind {
	case literalChar:
		return c == p.char
	case oneOf:
		return p.class[c]
	default: // anyChar
		return !g.paths || c != '/'
	}
}

// parseClass reads a class whose `[` is before p[i] and gives the index behind its
// `]`. Characters are looked up folded if fold.
func parseClass(p string, i int, fold bool) (class *[256]bool, next int, ok bool) {
	class = new([256]bool)
	negated := i < len(p) && (p[i] == '!' || p[i] == '^')
	if negated {
		i++
	}
	for first, previous := true, byte(0); ; first = false {
		if i >= len(p) {
			return nil, 0, false
		}
		c := p[i]
		switch {
		case c == ']' && !first:
			if negated {
				for j := range class {
					class[j] = !class[j]
				}
			}
			return class, i + 1, true
		case c == '\\':
			if i++; i >= len(p) {
				return nil, 0, false
			}
			previous = p[i]
			class[previous] = true
			i++
		case c == '-' && previous != 0 && i+1 < len(p) && p[i+1] != ']':
			i++
			if p[i] == '\\' {
				if i++; i >= len(p) {
					return nil, 0, false
				}
			}
			addRange(class, previous, p[i], fold)
			previous = 0
			i++
		case c == '[' && i+1 < len(p) && p[i+1] == ':':
			end := i + 2
			for end < len(p) && p[end] != ']' {
				end++
			}
			if end >= len(p) {
				return nil, 0, false
			}
			if end-1 < i+2 || p[end-1] != ':' { // no ":]": an ordinary character
				class['['] = true
				previous = '['
				i++
				continue
			}
			if !addNamed(class, p[i+2:end-1], fold) {
				return nil, 0, false
			}
			previous = 0
			i = end + 1
		default:
			class[c] = true
			previous = c
			i++
		}
	}
}

// addRange adds from..to; a folded letter is also in when its capital is.
func addRange(class *[256]bool, from, to byte, fold bool) {
	for c := 0; c < 256; c++ {
		b := byte(c)
		in := b >= from && b <= to
		if !in && fold && b >= 'a' && b <= 'z' {
			b -= 'a' - 'A'
			in = b >= from && b <= to
		}
		class[c] = class[c] || in
	}
}

// addNamed adds a POSIX class in the C locale; false if there is none of that name.
func addNamed(class *[256]bool, name string, fold bool) bool {
	test := namedClass(name, fold)
	if test == nil {
		return false
	}
	for c := range class {
		class[c] = class[c] || test(byte(c))
	}
	return true
}

func namedClass(name string, fold bool) func(byte) bool {
	isLower := func(c byte) bool { return c >= 'a' && c <= 'z' }
	isUpper := func(c byte) bool { return c >= 'A' && c <= 'Z' }
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	isAlnum := func(c byte) bool { return isLower(c) || isUpper(c) || isDigit(c) }
	isGraph := func(c byte) bool { return c > ' ' && c < 0x7f }
	switch name {
	case "alnum":
		return isAlnum
	case "alpha":
		return func(c byte) bool { return isLower(c) || isUpper(c) }
	case "blank":
		return func(c byte) bool { return c == ' ' || c == '\t' }
	case "cntrl":
		return func(c byte) bool { return c < ' ' || c == 0x7f }
	case "digit":
		return isDigit
	case "graph":
		return isGraph
	case "lower":
		return isLower
	case "print":
		return func(c byte) bool { return isGraph(c) || c == ' ' }
	case "punct":
		return func(c byte) bool { return isGraph(c) && !isAlnum(c) }
	case "space":
		return func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
	case "upper":
		return func(c byte) bool { return isUpper(c) || fold && isLower(c) }
	case "xdigit":
		return func(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
	}
	return nil
}
