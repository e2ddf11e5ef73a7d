package agent

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"glue-lsp/internal/tree"
)

// bundleHeader is what a git bundle says before its pack; see gitformat-bundle(5).
type bundleHeader struct {
	format        tree.Format
	prerequisites []string
	refs          []bundleRef
}

type bundleRef struct{ id, name string }

const (
	maxBundleLine = 8 << 10
	maxBundleRefs = 1 << 20
)

// readBundleHeader reads up to the pack.
func readBundleHeader(r *bufio.Reader) (bundleHeader, error) {
	h := bundleHeader{format: tree.SHA1}
	signature, err := bundleLine(r)
	if err != nil {
		return h, err
	}
	if signature != "# v2 git bundle" && signature != "# v3 git bundle" {
		return h, fmt.Errorf("it does not begin like a git bundle of version 2 or 3")
	}
	for {
		line, err := bundleLine(r)
		switch {
		case err != nil:
			return h, err
		case line == "":
			return h, nil
		case line[0] == '@':
			if err := h.capability(line[1:]); err != nil {
				return h, err
			}
		case line[0] == '-':
			id, _, _ := strings.Cut(line[1:], " ")
			h.prerequisites = append(h.prerequisites, id)
		default:
			id, name, ok := strings.Cut(line, " ")
			if !ok {
				return h, fmt.Errorf("its header has a line that names no ref")
			}
			h.refs = append(h.refs, bundleRef{id, name})
		}
		if len(h.refs)+len(h.prerequisites) > maxBundleRefs {
			return h, errors.New("its header names too many refs")
		}
	}
}

// capability takes the ones of version 3; one that is unknown must be refused.
func (h *bundleHeader) capability(c string) error {
	name, value, _ := strings.Cut(c, "=")
	switch {
	case name != "object-format":
		return fmt.Errorf("it needs %q, which is unknown here", c)
	case value != string(tree.SHA1) && value != string(tree.SHA256):
		return fmt.Errorf("its object format %q is unknown", value)
	}
	h.format = tree.Format(value)
	return nil
}

func bundleLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return string(line[:len(line)-1]), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return "", cut(err)
		case len(line) > maxBundleLine:
			return "", errors.New("its header has a line without end")
		}
	}
}
