package agent

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"

	"glue-lsp/internal/tree"
)

// The tree operations as they travel.

// After it come, as raw bytes and with an empty message after each of them, the entries,
// the lengths of the objects in the bundle's pack, and entries with the paths of the files
// that are gone; then Ignores messages with an ignoreFile each, and the bundle, unless it
// is a file of the sandbox.
type populateArgs struct {
	Commit string      `json:"commit"`
	Branch wireString  `json:"branch,omitempty"`
	Format tree.Format `json:"format,omitempty"`
	Token  string      `json:"token,omitempty"`
	View   string      `json:"view"`
	// Shallow are commits whose parents the bundle leaves out.
	Shallow []string `json:"shallow,omitempty"`

	File        wireString `json:"file,omitempty"`
	OverClone   bool       `json:"overClone,omitempty"`
	KeepIgnored bool       `json:"keepIgnored,omitempty"`
	Ignores     int        `json:"ignores,omitempty"`
}

// With body, it is followed by Ignores messages with an ignoreFile each, and the
// entries as raw bytes.
type captureArgs struct {
	View        string       `json:"view"`
	Base        string       `json:"base"`
	HasEntries  bool         `json:"hasEntries,omitempty"`
	HasIgnore   bool         `json:"hasIgnore,omitempty"`
	Ignores     int          `json:"ignores,omitempty"`
	HasInclude  bool         `json:"hasInclude,omitempty"`
	Include     []wireString `json:"include,omitempty"`
	MaxFileSize int64        `json:"maxFileSize,omitempty"`
	MaxBytes    int64        `json:"maxBytes,omitempty"`
	Format      tree.Format  `json:"format,omitempty"`
}

type ignoreFile struct {
	Dir     wireString `json:"dir"`
	Content []byte     `json:"content"`
}

// One of the fields is set. A file's bytes follow its entry. Done is the last one.
type captureReply struct {
	Entry   *wireEntry    `json:"entry,omitempty"`
	Skipped []wireSkipped `json:"skipped,omitempty"`
	Done    *captureDone  `json:"done,omitempty"`
}

type captureDone struct {
	Token   string `json:"token"`
	Changed int    `json:"changed"`
}

type wireEntry struct {
	Path wireString `json:"path"`
	Mode tree.Mode  `json:"mode,omitempty"`
	Hash string     `json:"hash,omitempty"`
	Size int64      `json:"size,omitempty"`
}

type wireSkipped struct {
	Path   wireString  `json:"path"`
	Reason tree.Reason `json:"reason"`
	Detail wireString  `json:"detail,omitempty"`
}

// writeTreeArgs is followed by a message for each write, and after each of them the
// content as raw bytes.
type writeTreeArgs struct {
	View   string      `json:"view"`
	Format tree.Format `json:"format,omitempty"`
}

type wireWrite struct {
	Expect wireEntry `json:"expect"`
	New    wireEntry `json:"new"`
}

// The results come when everything is written, in the order of the writes.
type writeTreeReply struct {
	Results []wireResult `json:"results"`
}

type wireResult struct {
	Written bool       `json:"written,omitempty"`
	Found   wireEntry  `json:"found"`
	Err     wireString `json:"err,omitempty"`
}

type commitsArgs struct {
	Known       []string `json:"known,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
}

// The first one; RefMessages more hold the refs, and after them comes the bundle.
type commitsReply struct {
	Fingerprint string     `json:"fingerprint"`
	Unchanged   bool       `json:"unchanged,omitempty"`
	HasGit      bool       `json:"hasGit,omitempty"`
	Head        string     `json:"head,omitempty"`
	Branch      wireString `json:"branch,omitempty"`
	Problem     wireString `json:"problem,omitempty"`
	RefMessages int        `json:"refMessages,omitempty"`
	Bundle      bool       `json:"bundle,omitempty"`
	Size        int64      `json:"size,omitempty"`
}

type commitsRefs struct {
	Refs []wireRef `json:"refs"`
}

type wireRef struct {
	Name wireString `json:"name"`
	ID   string     `json:"id"`
}

// Bounds that keep a message far below maxMessage.
const (
	skippedPerMessage = 500
	resultsPerMessage = 500
	refsPerMessage    = 1000
	maxKnown          = 50_000
	maxRefs           = 100_000
)

func toWireEntry(e tree.Entry) wireEntry {
	return wireEntry{wireString(e.Path), e.Mode, e.Hash, e.Size}
}

func (w wireEntry) entry() tree.Entry {
	return tree.Entry{Path: string(w.Path), Mode: w.Mode, Hash: w.Hash, Size: w.Size}
}

// A list of entries travels as raw bytes, since it can be long. Each is: the length
// of what its path shares with the one before, the length of the rest, the rest, the
// mode, the size (all numbers as in encoding/binary's Uvarint), the length of the
// hash and its bytes.

const (
	maxEntries = 8 << 20
	// A few bytes can stand for a long path that is like the one before.
	maxEntriesText = 512 << 20
)

func writeEntries(w io.Writer, entries []tree.Entry) error {
	buf := make([]byte, 0, 64<<10)
	last := ""
	for _, e := range entries {
		id, err := hex.DecodeString(e.Hash)
		if err != nil || len(id) > 64 {
			return errors.New("the entry of " + e.Path + " has no proper hash")
		}
		shared := sharedPrefix(last, e.Path)
		buf = binary.AppendUvarint(buf, uint64(shared))
		buf = binary.AppendUvarint(buf, uint64(len(e.Path)-shared))
		buf = append(buf, e.Path[shared:]...)
		buf = binary.AppendUvarint(buf, uint64(e.Mode))
		buf = binary.AppendUvarint(buf, uint64(e.Size))
		buf = append(buf, byte(len(id)))
		buf = append(buf, id...)
		last = e.Path
		if len(buf) > 32<<10 {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	_, err := w.Write(buf)
	return err
}

func readEntries(r io.Reader) ([]tree.Entry, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var out []tree.Entry
	last, text := "", 0
	for {
		if _, err := in.Peek(1); errors.Is(err, io.EOF) {
			return out, nil
		}
		e, err := readEntry(in, last)
		if err != nil {
			return nil, cut(err)
		}
		if len(out) == maxEntries {
			return nil, protocolError("more than %d entries", maxEntries)
		}
		if text += len(e.Path); text > maxEntriesText {
			return nil, protocolError("entries with more than %d bytes of names", maxEntriesText)
		}
		out = append(out, e)
		last = e.Path
	}
}

// maxEntryPath is beyond what any system takes as a path.
const maxEntryPath = 64 << 10

func readEntry(in *bufio.Reader, last string) (tree.Entry, error) {
	var n [2]uint64
	for i := range n {
		v, err := binary.ReadUvarint(in)
		if err != nil {
			return tree.Entry{}, err
		}
		n[i] = v
	}
	if n[0] > uint64(len(last)) || n[1] > maxEntryPath || n[0]+n[1] > maxEntryPath {
		return tree.Entry{}, protocolError("an entry's path is too long")
	}
	path := make([]byte, n[0]+n[1])
	copy(path, last[:n[0]])
	if _, err := io.ReadFull(in, path[n[0]:]); err != nil {
		return tree.Entry{}, err
	}
	mode, err := binary.ReadUvarint(in)
	if err != nil {
		return tree.Entry{}, err
	}
	size, err := binary.ReadUvarint(in)
	if err != nil {
		return tree.Entry{}, err
	}
	idLen, err := in.ReadByte()
	if err != nil {
		return tree.Entry{}, err
	}
	if mode > 0o177777 || size > 1<<62 || idLen > 64 {
		return tree.Entry{}, protocolError("an entry with impossible numbers")
	}
	id := make([]byte, idLen)
	if _, err := io.ReadFull(in, id); err != nil {
		return tree.Entry{}, err
	}
	return tree.Entry{Path: string(path), Mode: tree.Mode(mode), Hash: hex.EncodeToString(id), Size: int64(size)}, nil
}

// maxLengths bounds the list of lengths; a pack counts its objects in 32 bits.
const maxLengths = 64 << 20

// writeLengths sends lengths as numbers like those of an entry.
func writeLengths(w io.Writer, lengths []int64) error {
	buf := make([]byte, 0, 4*len(lengths))
	for _, n := range lengths {
		buf = binary.AppendUvarint(buf, uint64(n))
	}
	_, err := w.Write(buf)
	return err
}

func readLengths(r io.Reader) ([]int64, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var out []int64
	for {
		n, err := binary.ReadUvarint(in)
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, cut(err)
		case n > 1<<62 || len(out) == maxLengths:
			return nil, protocolError("a list of lengths that no pack has")
		}
		out = append(out, int64(n))
	}
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
