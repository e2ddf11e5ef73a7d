package git

import (
	"regexp"
	"strings"
)

// matchGlob matches git's wildcards over a whole path: "*" and "?" stay within a
// component, "**/" and "/**" span several. It serves conditions of includes only;
// ignore rules are git's own business.
func matchGlob(pattern, path string, ignoreCase bool) bool {
	var re strings.Builder
	if ignoreCase {
		re.WriteString("(?i)")
	}
	re.WriteString("(?s)^")
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch {
		case strings.HasPrefix(rest, "**/") && (i == 0 || pattern[i-1] == '/'):
			re.WriteString("(?:.*/)?")
			i += 2
		case rest == "**" && i > 0 && pattern[i-1] == '/':
			re.WriteString(".*")
			i++
		case rest[0] == '*':
			re.WriteString("[^/]*")
		case rest[0] == '?':
			re.WriteString("[^/]")
		case rest[0] == '[':
			class, n := globClass(rest)
			re.WriteString(class)
			i += n - 1
		case rest[0] == '\\' && len(rest) > 1:
			i++
			re.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			re.WriteString(regexp.QuoteMeta(rest[:1]))
		}
	}
	re.WriteString("$")
	compiled, err := regexp.Compile(re.String())
	return err == nil && compiled.MatchString(path)
}

// globClass translates "[...]" and gives how many bytes of the pattern it took.
func globClass(pattern string) (string, int) {
	end := strings.IndexByte(pattern[1:], ']')
	if end <= 0 {
		return regexp.QuoteMeta(pattern[:1]), 1
	}
	inner := pattern[1 : 1+end]
	not := ""
	if inner[0] == '!' || inner[0] == '^' {
		not, inner = "^", inner[1:]
	}
	inner = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `^`, `\^`).Replace(inner)
	return "[" + not + inner + "]", end + 2
}
