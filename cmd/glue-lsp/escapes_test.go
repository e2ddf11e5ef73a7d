package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestX8_ATerminalGetsOnlyWhatPaints(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"text":                        {"hé\r\n\x1b[1;31mred\x1b[0m\x1b(B\x1b=\x1b7", "hé\r\n\x1b[1;31mred\x1b[0m\x1b(B\x1b=\x1b7"},
		"a title":                     {"\x1b]0;vim é\a.", "\x1b]0;vim é\a."},
		"a colour":                    {"\x1b]11;?\x1b\\.", "\x1b]11;?\x1b\\."},
		"a link to the web":           {"\x1b]8;id=1;HTTPS://e.com/;x\x1b\\a\x1b]8;;\x1b\\", "\x1b]8;id=1;HTTPS://e.com/;x\x1b\\a\x1b]8;;\x1b\\"},
		"a link to a file":            {"\x1b]8;;file:///etc/passwd\aa", "a"},
		"the clipboard":               {"a\x1b]52;c;aGk=\ab", "ab"},
		"the clipboard in UTF-8":      {"a\u009d52;c;aGk=\u009cb", "ab"},
		"the clipboard after escapes": {"a\x1b\x1b\x7f]52;c;aGk=\x1b\\b", "ab"},
		"with a control inside":       {"\x1b]0;a\nb\a.", "."},
		"a shell's marks":             {"\x1b]133;A\a\x1b]633;E;rm\a\x1b]7;file:///\a.", "."},
		"device strings":              {"\x1bPq#0\x1b\\\x1b_G\x1b\\\x1b^x\x1b\\\x1bXy\x1b\\.", "."},
		"a string that is given up":   {"\x1b]52;c;aGk=\x18a\x1b]52;c;\x1b[31mb", "a\x1b[31mb"},
		"a long string":               {"\x1b]0;" + strings.Repeat("x", 5000) + "\a.", "."},
		"a control in an escape":      {"\x1b\n]52;c;aGk=\aa", "\na"},
		"a control in two bytes":      {"\u0085\u00e9\u00a9", "\x1bE\u00e9\u00a9"},
	} {
		t.Run(name, func(t *testing.T) {
			for at := range len(tt.in) {
				var e escapes
				got := append(bytes.Clone(e.filter([]byte(tt.in[:at]))), e.filter([]byte(tt.in[at:]))...)
				if string(got) != tt.want {
					t.Fatalf("in two pieces at %d: %q, want %q", at, got, tt.want)
				}
			}
		})
	}
}
