package handlers

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"glue-lsp/config"
)

// runner says how a kind of file is run. The templates are shell commands that start in
// the session's cwd; these stand for quoted words, so they need no quotes of their own:
//
//	{file} the file's path, which never begins with a dash    {dir} its folder
//	{base} its name        {stem} its name without the ending
//	{name} a test's name   {dotted} the same with dots for ::
//	{exactly} a regular expression for that name alone, {pattern} for any name with it
//	{text} the selected text
type runner struct {
	language  string // canonical, see languageOf; "" matches any
	files     string // glob on the file's name; "" matches any
	run       string
	test      string
	selection string
	// identifiers: a test's name must be one, since no option syntax protects it.
	identifiers bool
}

// builtinRunners come after the user's own. The first that matches and has a template
// for what is asked is taken.
func builtinRunners() []runner {
	return []runner{
		{language: "go", files: "*_test.go", run: "cd {dir} && go test .", test: "cd {dir} && go test -run={exactly} -bench={exactly} ."},
		{language: "go", run: "cd {dir} && go run ."},
		{language: "python", files: "test_*.py", run: pythonTest(false), test: pythonTest(true)},
		{language: "python", files: "*_test.py", run: pythonTest(false), test: pythonTest(true)},
		{language: "python", run: python + "$py {file}", test: pythonTest(true), selection: python + "$py -c {text}"},
		{language: "javascript", files: "*.test.*", run: nodeTest("", false), test: nodeTest("", true)},
		{language: "javascript", files: "*.spec.*", run: nodeTest("", false), test: nodeTest("", true)},
		{language: "javascript", run: "node {file}", test: nodeTest("", true), selection: "node -e {text}"},
		{language: "typescript", files: "*.test.*", run: nodeTest(typed, false), test: nodeTest(typed, true)},
		{language: "typescript", files: "*.spec.*", run: nodeTest(typed, false), test: nodeTest(typed, true)},
		{
			language: "typescript", run: project + `if has tsx; then tsx "$f"; else node ` + typed + `"$f"; fi`,
			test: nodeTest(typed, true),
		},
		{language: "rust", run: "cd {dir} && cargo run", test: "cd {dir} && cargo test -- {name}", identifiers: true},
		{language: "ruby", files: "*_spec.rb", run: "rspec {file}", test: "rspec --example={name} {file}"},
		{language: "ruby", run: "ruby -Ilib -Itest {file}", test: "ruby -Ilib -Itest {file} --name={name}", selection: "ruby -e {text}"},
		{language: "shellscript", run: "bash {file}", selection: "bash -c {text}"},
		{language: "makefile", run: "make -C {dir} --file=./{base}", test: "make -C {dir} --file=./{base} -- {name}"},
	}
}

// python begins commands that need the project's Python: that of the nearest virtual
// environment at or above the file, which is activated as its own script would, else that
// of a tool that keeps environments elsewhere, else the machine's.
const python = `py=python3; d=$(cd {dir} && pwd); ` +
	`while [ -n "$d" ]; do for v in "$d/.venv" "$d/venv"; do if [ -x "$v/bin/python" ]; then ` +
	`py=python VIRTUAL_ENV=$v PATH=$v/bin:$PATH; export VIRTUAL_ENV PATH; break 2; fi; done; d=${d%/*}; done; ` +
	`if [ $py = python3 ]; then for t in poetry pdm; do if [ -e $t.lock ] && command -v $t >/dev/null; then py="$t run python"; fi; done; ` +
	`if [ -e Pipfile.lock ] && command -v pipenv >/dev/null; then py="pipenv run python"; fi; fi; `

// pythonTest runs pytest where it is installed, else Django's tests where there are any,
// else the standard library's unittest.
func pythonTest(one bool) string {
	place, match := "{file}", ""
	if one {
		place, match = "{file}::{name}", "-k{dotted} "
	}
	return python + "if $py -c 'import pytest' 2>/dev/null; then $py -m pytest " + place +
		"; elif [ -e manage.py ]; then $py manage.py test " + match + "--pattern={base} {dir}" +
		"; else $py -m unittest " + match + "{file}; fi"
}

// project begins commands that need the project's Node programs: it goes to the nearest
// folder with a package.json and finds what is installed there or above, as npm does. $f
// is the file's absolute path.
const project = `p=$(cd {dir} && pwd); f=$p/{base}; while [ -n "$p" ] && [ ! -e "$p/package.json" ]; do p=${p%/*}; done; cd "${p:-.}" || exit; ` +
	`has() { b=$PWD; while [ -n "$b" ]; do if [ -x "$b/node_modules/.bin/$1" ]; then PATH=$b/node_modules/.bin:$PATH; return 0; fi; b=${b%/*}; done; return 1; }; `

// typed lets Node run TypeScript by itself, from version 22.6 on.
const typed = "--experimental-strip-types "

// nodeTest uses the project's own test program, and Node's where there is none.
func nodeTest(flags string, one bool) string {
	name := func(option string) string {
		if !one {
			return ""
		}
		return option + "{pattern} "
	}
	match := ""
	if one {
		match = "--match={name} "
	}
	own := name("--test-name-pattern=") + `"$f"`
	tests := "node " + flags + "--test " + own
	if flags != "" {
		tests = "if has tsx; then tsx --test " + own + "; else " + tests + "; fi"
	}
	return project + `if has vitest; then vitest run ` + name("--testNamePattern=") + `"$f"` +
		`; elif has jest; then jest ` + name("--testNamePattern=") + `--runTestsByPath "$f"` +
		`; elif has mocha; then mocha ` + name("--grep=") + `"$f"` +
		`; elif has ava; then ava ` + match + `"./${f#"$PWD"/}"` +
		`; else ` + tests + `; fi`
}

// languageOf gives a file's language: what the client calls it, mapped to the table's
// names, else by the file's name, else by its interpreter line.
func languageOf(languageID, file string, text []byte) string {
	switch languageID {
	case "javascriptreact":
		return "javascript"
	case "typescriptreact", "typescript.tsx":
		return "typescript"
	case "sh", "bash", "zsh":
		return "shellscript"
	case "make":
		return "makefile"
	case "", "plaintext", "text", "prog", "fundamental":
	default:
		if lang, ok := languageByName("x." + languageID); ok {
			return lang // some clients say the ending
		}
		// Emacs says the name of a mode, such as makefile-gmake.
		if mode, _, ok := strings.Cut(languageID, "-"); ok && slices.ContainsFunc(builtinRunners(), func(r runner) bool { return r.language == mode }) {
			return mode
		}
		return languageID
	}
	if lang, ok := languageByName(path.Base(file)); ok {
		return lang
	}
	return languageByInterpreter(text)
}

func languageByName(base string) (string, bool) {
	switch base {
	case "Makefile", "makefile", "GNUmakefile":
		return "makefile", true
	case "Rakefile":
		return "ruby", true
	}
	lang, ok := map[string]string{
		".go": "go", ".py": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
		".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "typescript", ".rs": "rust", ".rb": "ruby",
		".sh": "shellscript", ".bash": "shellscript", ".mk": "makefile",
	}[path.Ext(base)]
	return lang, ok
}

func languageByInterpreter(text []byte) string {
	line, _, _ := strings.Cut(string(text[:min(len(text), 128)]), "\n")
	if !strings.HasPrefix(line, "#!") {
		return ""
	}
	for _, word := range strings.FieldsFunc(line[2:], func(r rune) bool { return r == ' ' || r == '/' || r == '\t' || r == '\r' }) {
		switch strings.TrimRight(word, "0123456789.") {
		case "sh", "bash":
			return "shellscript"
		case "python":
			return "python"
		case "node":
			return "javascript"
		case "ruby":
			return "ruby"
		}
	}
	return ""
}

// runners are the user's and the built-in ones that fit a file.
func runners(own []config.Runner, language, file string) []runner {
	var out []runner
	for _, r := range own {
		out = append(out, runner{language: r.Language, files: r.Files, run: r.Run, test: r.Test})
	}
	out = append(out, builtinRunners()...)
	base := path.Base(file)
	return slices.DeleteFunc(out, func(r runner) bool {
		if r.language != "" && r.language != language {
			return true
		}
		if r.files == "" {
			return r.language == "" // a runner for everything would be a mistake
		}
		match, err := path.Match(r.files, base)
		return err != nil || !match
	})
}

// firstRunner finds the runner with the template that is asked for.
func firstRunner(rs []runner, template func(runner) string) (runner, bool) {
	i := slices.IndexFunc(rs, func(r runner) bool { return template(r) != "" })
	if i < 0 {
		return runner{}, false
	}
	return rs[i], true
}

// subject is what a template's words stand for. file is relative to the session's cwd,
// or absolute.
type subject struct {
	file, name, text string
}

var placeholder = regexp.MustCompile(`\{(?:file|dir|base|stem|name|dotted|exactly|pattern|text)\}`)

// fill puts quoted words into a template.
func fill(template string, s subject) string {
	file := s.file
	if !strings.HasPrefix(file, "/") {
		file = "./" + file // so that it cannot be taken for an option
	}
	dir := path.Dir(file)
	if !strings.HasPrefix(dir, "/") && dir != "." {
		dir = "./" + dir
	}
	base := path.Base(file)
	return placeholder.ReplaceAllStringFunc(template, func(p string) string {
		switch p {
		case "{file}":
			return quote(file)
		case "{dir}":
			return quote(dir)
		case "{base}":
			return quote(base)
		case "{stem}":
			return quote(strings.TrimSuffix(base, path.Ext(base)))
		case "{name}":
			return quote(s.name)
		case "{dotted}":
			return quote(strings.ReplaceAll(s.name, "::", "."))
		case "{exactly}":
			return quote("^" + regexp.QuoteMeta(s.name) + "$")
		case "{pattern}":
			return quote(regexp.QuoteMeta(s.name))
		default:
			return quote(s.text)
		}
	})
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// quote makes one word for a POSIX shell of any text: XCU section 2.2.2. Within single
// quotes nothing is special but the quote itself.
func quote(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
