package git

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"glue-lsp/internal/tree"
)

// Bounds of what a bundle may say before its pack begins.
const (
	maxBundleLine = 8 << 10
	maxBundleRefs = 100_000
)

// bundleHeader is what a bundle says of itself.
type bundleHeader struct {
	format tree.Format
	needs  []string          // commits that the receiver must have
	refs   map[string]string // name → id
}

var errNotPack = errors.New("it is neither a git bundle nor a pack")

// readBundleHeader reads the header (gitformat-bundle(5)) and leaves the reader at
// the pack. A pack without a header is taken as a bundle that names nothing.
func readBundleHeader(in *bufio.Reader) (bundleHeader, error) {
	h := bundleHeader{refs: map[string]string{}, format: tree.SHA1}
	start, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, err
	}
	if string(start) == "PACK" {
		h.format = ""
		return h, nil
	}
	signature, err := readHeaderLine(in)
	if err != nil {
		return h, err
	}
	if signature != "# v2 git bundle" && signature != "# v3 git bundle" {
		return h, errNotPack
	}
	for n := 0; ; n++ {
		line, err := readHeaderLine(in)
		if err != nil {
			return h, err
		}
		if line == "" {
			return h, nil
		}
		if n == maxBundleRefs {
			return h, fmt.Errorf("it names more than %d refs", maxBundleRefs)
		}
		if err := h.line(line, signature == "# v3 git bundle"); err != nil {
			return h, err
		}
	}
}

func (h *bundleHeader) line(line string, v3 bool) error {
	if capability, ok := strings.CutPrefix(line, "@"); ok && v3 {
		format, ok := strings.CutPrefix(capability, "object-format=")
		if !ok {
			return fmt.Errorf("it needs %q, which is not known here", capability)
		}
		h.format = tree.Format(format)
		return nil
	}
	if need, ok := strings.CutPrefix(line, "-"); ok {
		id, _, _ := strings.Cut(need, " ")
		if !hexID.MatchString(id) {
			return fmt.Errorf("%q is not the name of a commit", id)
		}
		h.needs = append(h.needs, id)
		return nil
	}
	id, name, ok := strings.Cut(line, " ")
	if !ok || !hexID.MatchString(id) || name != "HEAD" && checkRef(name) != nil {
		return fmt.Errorf("%q does not name a ref", line)
	}
	h.refs[name] = id
	return nil
}

func readHeaderLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			return string(bytes.TrimSuffix(line, []byte{'\n'})), nil
		}
		if len(line) > maxBundleLine {
			return "", fmt.Errorf("its header has a line of more than %d bytes", maxBundleLine)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) {
			if !bytes.HasPrefix(line, []byte("# v")) && len(line) > 0 {
				return "", errNotPack
			}
			return "", errors.New("it ends within its header")
		}
		return "", err
	}
}
