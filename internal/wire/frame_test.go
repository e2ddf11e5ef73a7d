package wire

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// readAll returns what a reader makes of a stream: bodies, and "!code" for broken frames.
func readAll(r *frameReader) (seen []string, err error) {
	for {
		body, err := r.next()
		if bad, ok := errors.AsType[*frameError](err); ok {
			seen = append(seen, fmt.Sprintf("!%d", bad.cause.Code))
			continue
		}
		if err != nil {
			return seen, err
		}
		seen = append(seen, string(body))
	}
}

func TestFrames(t *testing.T) {
	const (
		ok  = "Content-Length: 4\r\n\r\n[ok]"
		big = "Content-Length: 101\r\n\r\n"
	)
	cases := map[string]struct {
		in   string
		want []string
		err  error // io.EOF when nil
	}{
		"nothing":                          {in: ""},
		"two frames":                       {in: ok + ok, want: []string{"[ok]", "[ok]"}},
		"an empty body":                    {in: "Content-Length: 0\r\n\r\n" + ok, want: []string{"", "[ok]"}},
		"names of any case":                {in: "cOnTeNt-LENGTH:4\r\n\r\n[ok]", want: []string{"[ok]"}},
		"other headers are ignored":        {in: "X-Content-Length: 9\r\nContent-Type: a; charset=utf-8\r\n" + ok, want: []string{"[ok]"}},
		"bare line feeds":                  {in: "Content-Length: 4\n\n[ok]" + ok, want: []string{"[ok]", "[ok]"}},
		"blank lines between frames":       {in: "\r\n\n" + ok + "\r\n" + ok, want: []string{"[ok]", "[ok]"}},
		"the same length twice":            {in: "Content-Length: 4\r\n" + ok, want: []string{"[ok]"}},
		"two lengths":                      {in: "Content-Length: 3\r\n" + ok + ok, want: []string{"!-32700", "[ok]"}},
		"no length":                        {in: "Content-Type: a\r\n\r\n{}" + ok, want: []string{"!-32700", "[ok]"}},
		"a negative length":                {in: "Content-Length: -1\r\n\r\n{}" + ok, want: []string{"!-32700", "[ok]"}},
		"a length with a sign":             {in: "Content-Length: +4\r\n\r\n[ok]" + ok, want: []string{"!-32700", "[ok]"}},
		"a length in words":                {in: "Content-Length: four\r\n\r\n[ok]" + ok, want: []string{"!-32700", "[ok]"}},
		"a length beyond all numbers":      {in: "Content-Length: 99999999999999999999\r\n\r\n{}" + ok, want: []string{"!-32700", "[ok]"}},
		"a header without end":             {in: strings.Repeat("x", 200) + "}" + ok, want: []string{"!-32700", "[ok]"}},
		"a header of many lines":           {in: strings.Repeat("X-A: b\r\n", 30) + "\r\n{}" + ok, want: []string{"!-32700", "[ok]"}},
		"a body that is too large":         {in: big + strings.Repeat("x", 100) + "}" + ok, want: []string{"!-32600", "[ok]"}},
		"a body that lied about its size":  {in: big + "{}" + ok, want: []string{"!-32600", "[ok]"}},
		"a body longer than it said":       {in: ok + "rest}" + ok, want: []string{"[ok]", "[ok]"}},
		"a header quoted in a lost body":   {in: big + `{"t":"Content-Length: 4\r\n\r\nevil"}` + ok, want: []string{"!-32600", "[ok]"}},
		"an end inside a header":           {in: ok + "Content-Len", want: []string{"[ok]"}, err: io.ErrUnexpectedEOF},
		"an end after a header":            {in: "Content-Length: 4\r\n\r\n", err: io.ErrUnexpectedEOF},
		"an end inside a body":             {in: "Content-Length: 4\r\n\r\n[ok", err: io.ErrUnexpectedEOF},
		"an end inside a body to skip":     {in: big + "x", want: []string{"!-32600"}, err: io.ErrUnexpectedEOF},
		"an end before a body to skip":     {in: big, err: io.ErrUnexpectedEOF},
		"an end between header and length": {in: "X: y\r\n", err: io.ErrUnexpectedEOF},
	}
	for name, c := range cases {
		if c.err == nil {
			c.err = io.EOF
		}
		for how, in := range map[string]io.Reader{
			"at once":      strings.NewReader(c.in),
			"byte by byte": iotest.OneByteReader(strings.NewReader(c.in)),
		} {
			t.Run(name+"/"+how, func(t *testing.T) {
				seen, err := readAll(newFrameReader(in, Options{MaxBody: 100, MaxHeader: 128}))
				if diff := cmp.Diff(c.want, seen); diff != "" {
					t.Error(diff)
				}
				if !errors.Is(err, c.err) {
					t.Errorf("ended with %v, want %v", err, c.err)
				}
			})
		}
	}
}

func TestFrames_APromiseAllocatesNothing(t *testing.T) {
	in := strings.NewReader(fmt.Sprintf("Content-Length: %d\r\n\r\nshort", 60<<20))
	r := newFrameReader(in, Options{}.withDefaults())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := r.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes were allocated for 5 that came", grown)
	}
}

func TestFrames_ALargeBodyComesWhole(t *testing.T) {
	want := strings.Repeat("0123456789", 1<<20)
	seen, err := readAll(newFrameReader(strings.NewReader(frame(want)+frame("x")), Options{}.withDefaults()))
	if !errors.Is(err, io.EOF) || len(seen) != 2 || seen[0] != want || seen[1] != "x" {
		t.Errorf("got %d bodies and %v", len(seen), err)
	}
}
