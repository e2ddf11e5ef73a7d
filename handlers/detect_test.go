package handlers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// found are the names of what can be run, "*" for the file itself.
func found(language, file, text string) []string {
	places, _ := detect(language, file, []byte(text))
	var out []string
	for _, p := range places {
		if p.name == "" {
			p.name = "*"
		}
		out = append(out, p.name)
	}
	return out
}

func TestTestsAreFoundInEachLanguage(t *testing.T) {
	for name, x := range map[string]struct {
		language, file, text string
		want                 []string
	}{
		"Go": {"go", "/w/x_test.go", `package x
func TestOne(t *testing.T) {
	t.Run("sub", func(t *testing.T) {})
}
func Test(t *testing.T) {}
func TestÄ_1( tt *testing.T ) {}
func Testing(t *testing.T) {}
func TestMain(m *testing.M) {}
func TestHelper(t *testing.T, x int) {}
func (s suite) TestMethod(t *testing.T) {}
func BenchmarkX(b *testing.B) {}
func FuzzX(f *testing.F) {}
func Example() {}
func ExampleT_method() {}
func Examples() {}
// func TestOut(t *testing.T) {}
`, []string{"TestOne", "Test", "TestÄ_1", "BenchmarkX", "FuzzX", "Example", "ExampleT_method"}},
		"a Go program": {"go", "/w/main.go", "// Package main\npackage main\n\nfunc main() {}\n", []string{"*"}},
		"a Go package": {"go", "/w/x.go", "package x\nfunc main() {}\n", nil},
		"Go with CRLF": {"go", "/w/x_test.go", "package x\r\nfunc TestA(t *testing.T) {\r\n}\r\n", []string{"TestA"}},
		"Python": {"python", "/w/test_x.py", `import unittest
def test_top(): pass
async def test_async(a, b):
    def test_inner(): pass
class TestThing(Base):
    """docs
    def test_quoted(self): pass
def test_quoted_too(): pass
    """
    @mark
    def test_method(self): pass
    async def test_later(self): pass
    def helper(self): pass
class Plain(unittest.TestCase):
	def test_tab(self): pass
class Other:
    def test_in_other(self): pass
x = 1
def testing(): pass
def not_test(): pass
if __name__ == '__main__':
    unittest.main()
`, []string{
			"test_top", "test_async", "TestThing", "TestThing::test_method", "TestThing::test_later", "Plain", "Plain::test_tab",
			"Other::test_in_other", "testing", "*",
		}},
		"JavaScript": {
			"javascript", "/w/x.test.js", "describe('outer', () => {\n  it(\"says \\\"hi\\\"\", () => {})\n  test.only(`tmpl`, f)\n  it.skip('it\\'s', f)\n  test(`no ${x}`, f)\n  it.each([1])('n %i', f)\n  notit('x')\n  // it('commented', f)\n  test(name, f)\n})\n",
			[]string{"outer", `says "hi"`, "tmpl", "it's"},
		},
		"JavaScript without tests": {"javascript", "/w/x.js", "it('x', f)\n", nil},
		"node:test":                {"javascript", "/w/x.mjs", "import test from 'node:test'\ntest('a', f)\n", []string{"a"}},
		"TypeScript":               {"typescript", "/w/__tests__/x.ts", "suite.concurrent('s', f)\n", []string{"s"}},
		"Rust": {"rust", "/w/src/main.rs", `fn main() {}
mod tests {
    #[test]
    fn one() {}
    #[tokio::test(flavor = "x")]
    #[ignore]
    // why
    pub(crate) async fn two() {}
    #[cfg(test)]
    fn helper() {}
    #[test] fn inline() {}
    fn main() {}
}
`, []string{"*", "one", "two", "inline"}},
		"RSpec":    {"ruby", "/w/x_spec.rb", "RSpec.describe 'Thing' do\n  context \"when x\" do\n    it('works') { }\n    it \"#{x}\" do end\n  end\nend\n", []string{"Thing", "when x", "works"}},
		"minitest": {"ruby", "/w/x_test.rb", "class T < Minitest::Test\n  def test_a\n  end\n  def test_b?; end\n  def helper; end\nend\n", []string{"test_a", "test_b?"}},
		"shell":    {"shellscript", "/w/x.sh", "#!/bin/sh\necho\n", []string{"*"}},
		"Make": {
			"makefile", "/w/Makefile", "CC := gcc\nX ::= 1\nall: a b\n.PHONY: all\na.o: a.c\n\tcc\nb:\n%.o: %.c\ndouble:: x\nlong = \\\nnot: this\n$(X): y\n-bad: x\n",
			[]string{"all", "a.o", "b", "double"},
		},
		"prose": {"markdown", "/w/x.md", "test('x')\n", nil},
	} {
		if diff := cmp.Diff(x.want, found(x.language, x.file, x.text)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestX14_HugeFilesAreNotSearched(t *testing.T) {
	text := make([]byte, detectLimit+1)
	if places, whole := detect("go", "/w/x_test.go", text); places != nil || !whole {
		t.Errorf("%d places, whole %v", len(places), whole)
	}
}

func FuzzDetect(f *testing.F) {
	f.Add("python", "class TestA:\n  def test_x(self): '''")
	f.Add("rust", "#[test]\nfn x(")
	f.Add("makefile", "a:\\\n")
	f.Fuzz(func(t *testing.T, language, text string) {
		places, _ := detect(language, "/w/x_test.go", []byte(text))
		for _, p := range places {
			if p.start < 0 || p.end > len(text) || p.start > p.end {
				t.Errorf("a place is %+v of %d bytes", p, len(text))
			}
		}
	})
}
