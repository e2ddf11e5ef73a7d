package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func addStreams(f *testing.F) {
	f.Helper()
	ok := call(1, "echo", `{"a":[1,"\ud800"]}`)
	for _, s := range []string{
		"", ok, ok + ok, ok[:len(ok)-1], notification("n", "[]"), notification("$/cancelRequest", `{"id":1}`),
		frame(""), frame("[]"), frame(`{"jsonrpc":"2.0","id":1,"result":null}`), frame(`{"jsonrpc":"2.0","id":1,"error":{}}`),
		frame(`{"jsonrpc":"2.0","id":null,"method":"echo"}`), frame(`{"jsonrpc":"2.0","id":"x","method":1}`),
		"Content-Length: 1073741824\r\n\r\n{}" + ok, "Content-Length: -1\r\n\r\n" + ok, "Content-Length: 3\n\n{}\n" + ok,
		"content-length:2\r\nContent-Length: 3\r\n\r\n{}" + ok, strings.Repeat("x", 300) + "}" + ok,
		"\r\n\r\n" + ok, frame("\"\xff\""), frame(strings.Repeat("[", 200)), "X: y\r\n\r\n" + ok,
	} {
		f.Add([]byte(s))
	}
}

// FuzzFrames: whatever comes, reading ends, bodies stay within the bound, and how the bytes
// were cut on their way makes no difference.
func FuzzFrames(f *testing.F) {
	addStreams(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		o := Options{MaxBody: 1000, MaxHeader: 256}
		whole, wholeErr := readAll(newFrameReader(bytes.NewReader(in), o))
		cut, cutErr := readAll(newFrameReader(iotest.OneByteReader(bytes.NewReader(in)), o))
		if diff := cmp.Diff(whole, cut); diff != "" {
			t.Error(diff)
		}
		if !errors.Is(wholeErr, cutErr) || !errors.Is(wholeErr, io.EOF) && !errors.Is(wholeErr, io.ErrUnexpectedEOF) {
			t.Errorf("ended with %v and %v", wholeErr, cutErr)
		}
		for _, body := range whole {
			if int64(len(body)) > o.MaxBody {
				t.Errorf("a body of %d bytes", len(body))
			}
		}
	})
}

// FuzzConn: whatever comes, the connection ends with its input and without an error, and
// all it ever says is well-formed.
func FuzzConn(f *testing.F) {
	addStreams(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		h := echoes()
		h.calls["panic"] = func(context.Context, json.RawMessage) (any, error) { panic("on purpose") }
		c := New(bytes.NewReader(in), &out, h, Options{MaxBody: 10_000, MaxDepth: 64, Grace: patience})
		if err := c.Run(context.Background()); err != nil {
			t.Errorf("Run: %v", err)
		}
		for r := bufio.NewReader(&out); ; {
			body, err := readBody(r)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("read what was said: %v", err)
			}
			if _, bad := decode(body, 1000); bad != nil {
				t.Errorf("said %q: %s", body, bad.Message)
			}
		}
	})
}
