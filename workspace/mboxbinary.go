package workspace

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"fmt"

	"glue-lsp/internal/git"
	"glue-lsp/internal/tree"
)

// exact writes files as binary patches where text would not arrive byte for byte:
// mail programs, and git am by default, take a CR at the end of a line away.
func (b *mboxBuilder) exact(m *mboxMessage, blobs *git.Blobs) error {
	for i := range m.patch {
		f := &m.patch[i]
		if !f.text || !m.binary && bytes.IndexByte(f.body, '\r') < 0 && bytes.IndexByte(f.body, 0) < 0 {
			continue
		}
		from, to, err := f.blobs()
		if err != nil {
			return err
		}
		if f.body, err = binaryPatch(blobs, from, to); err != nil {
			return err
		}
		f.text = false
	}
	return nil
}

// blobs reads the "index" line of a file's head; "" is no blob.
func (f *filePatch) blobs() (from, to string, err error) {
	for line := range bytes.Lines(f.head) {
		rest, ok := bytes.CutPrefix(line, []byte("index "))
		if !ok {
			continue
		}
		pair, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte{' '})
		a, b, ok := bytes.Cut(pair, []byte(".."))
		if ok && isHex(a) && isHex(b) {
			return someBlob(a), someBlob(b), nil
		}
	}
	return "", "", fmt.Errorf("git printed no blobs for %q", f.head)
}

func someBlob(hash []byte) string {
	if len(bytes.Trim(hash, "0")) == 0 {
		return ""
	}
	return string(hash)
}

// nothing gives the message of an empty commit a patch that replaces a file by
// itself: plain git am stops at a message without a patch.
func (b *mboxBuilder) nothing(ctx context.Context, m *mboxMessage, blobs *git.Blobs) error {
	entries, err := b.s.Repo.ReadTree(ctx, m.to)
	if err != nil {
		return err
	}
	var least tree.Entry
	for _, e := range entries {
		if (e.Mode == tree.Regular || e.Mode == tree.Executable) && e.Size > 0 && (least.Path == "" || e.Size < least.Size) && plainPath(e.Path) {
			least = e
		}
	}
	if least.Path == "" {
		return nil
	}
	body, err := binaryPatch(blobs, least.Hash, least.Hash)
	if err != nil {
		return err
	}
	head := fmt.Sprintf("diff --git a/%s b/%s\nindex %s..%s %06o\n", least.Path, least.Path, least.Hash, least.Hash, uint32(least.Mode))
	m.patch = []filePatch{{head: []byte(head), body: body}}
	m.paths = []rawPath{{path: least.Path, old: least, new: least}}
	return nil
}

// plainPath reports whether a path stands in a patch as it is.
func plainPath(path string) bool {
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// binaryPatch writes what git calls a "GIT binary patch": both contents whole,
// deflated, in base 85 (emit_binary_diff of git's diff.c, base85.c).
func binaryPatch(blobs *git.Blobs, from, to string) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("GIT binary patch\n")
	for _, hash := range []string{to, from} {
		var content []byte
		if hash != "" {
			var err error
			if content, err = blobs.Get(hash, -1); err != nil {
				return nil, err
			}
		}
		fmt.Fprintf(&out, "literal %d\n", len(content))
		var deflated bytes.Buffer
		z := zlib.NewWriter(&deflated)
		z.Write(content) //nolint:errcheck // a buffer never fails
		if err := z.Close(); err != nil {
			return nil, err
		}
		base85Lines(&out, deflated.Bytes())
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

const base85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~"

// base85Lines writes up to 52 bytes on a line, behind a letter for their number.
func base85Lines(out *bytes.Buffer, b []byte) {
	for len(b) > 0 {
		line := b[:min(52, len(b))]
		b = b[len(line):]
		if n := byte(len(line)); n <= 26 {
			out.WriteByte('A' + n - 1)
		} else {
			out.WriteByte('a' + n - 27)
		}
		for len(line) > 0 {
			var four [4]byte
			line = line[copy(four[:], line):]
			var five [5]byte
			v := binary.BigEndian.Uint32(four[:])
			for i := 4; i >= 0; i-- {
				five[i] = base85[v%85]
				v /= 85
			}
			out.Write(five[:])
		}
		out.WriteByte('\n')
	}
}
