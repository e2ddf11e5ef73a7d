package wire

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// frameError is a frame that cannot be served. Reading goes on after it.
type frameError struct {
	cause *Error
	// prefix is what was seen of the body; it may tell whose call this was.
	prefix []byte
}

func (e *frameError) Error() string { return e.cause.Message }

// frameReader cuts a byte stream into message bodies: LSP 3.18, "Base protocol".
//
// It is more tolerant than the specification where that costs nothing: line ends may be bare
// LF, header names any case, blank lines may precede a header.
//
// A header block that promises no usable body (no length, a malformed one, one above the
// bound) makes it lost: the end of that body is unknown, or not worth believing. It then
// skips, in constant memory, to the next line that ends in "Content-Length: <digits>". JSON
// has no raw line break inside a string, so no message's text can be taken for such a line.
type frameReader struct {
	in        *bufio.Reader
	maxBody   int64
	maxHeader int

	lost  bool
	tail  []byte // while lost: the end of the line that is being skipped
	found int64  // while lost: the length that the last skipped line gave, or noLength
}

const (
	readBuffer = 64 << 10
	// firstAlloc is how much of a body is allocated on its header's word alone.
	firstAlloc = 64 << 10
	lengthName = "content-length"
	// tailBytes is room for a whole Content-Length line.
	tailBytes = 64
	noLength  = -1
)

func newFrameReader(in io.Reader, o Options) *frameReader {
	size := max(readBuffer, o.MaxHeader+1)
	return &frameReader{in: bufio.NewReaderSize(in, size), maxBody: o.MaxBody, maxHeader: o.MaxHeader}
}

// next returns the next body, which is the caller's to keep. io.EOF is a clean end,
// io.ErrUnexpectedEOF an end inside a frame, and after a *frameError reading may go on.
func (r *frameReader) next() ([]byte, error) {
	length, err := r.header()
	if err != nil {
		return nil, err
	}
	if length > r.maxBody {
		return nil, r.tooLarge(length)
	}
	return r.body(int(length))
}

func (r *frameReader) header() (int64, error) {
	length := int64(noLength)
	if r.lost {
		found, err := r.resync()
		if err != nil {
			return 0, err
		}
		length = found
	}
	bad := ""
	for size, lines := 0, 0; ; lines++ {
		line, err := r.in.ReadSlice('\n')
		size += len(line)
		if errors.Is(err, bufio.ErrBufferFull) || size > r.maxHeader {
			return 0, r.broken(fmt.Sprintf("the header is longer than %d bytes", r.maxHeader), line)
		}
		if err != nil {
			return 0, endOf(err, size > 0 || length != noLength)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			if lines == 0 && length == noLength {
				size, lines = 0, -1
				continue
			}
			break
		}
		n, ok := lengthAtEnd(line)
		switch {
		case !ok && !isLengthLine(line):
			continue
		case !ok:
			bad = "Content-Length is not a number of bytes"
		case length != noLength && length != n:
			bad = "Content-Length is given twice and differs"
		}
		length = n
	}
	if bad == "" && length == noLength {
		bad = "the header has no Content-Length"
	}
	if bad != "" {
		return 0, r.broken(bad, nil)
	}
	return length, nil
}

// body reads exactly n bytes. Memory grows as they come, so a header's promise alone costs
// at most firstAlloc.
func (r *frameReader) body(n int) ([]byte, error) {
	buf := make([]byte, 0, min(n, firstAlloc))
	for len(buf) < n {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(n, 2*cap(buf)))
			copy(grown, buf)
			buf = grown
		}
		m, err := r.in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+m]
		if err != nil && len(buf) < n {
			return nil, endOf(err, true)
		}
	}
	return buf, nil
}

// broken reports a header that cannot be used and starts skipping. rest is a line, or the
// beginning of one, that belongs to what is skipped.
func (r *frameReader) broken(why string, rest []byte) *frameError {
	r.lose()
	r.skip(rest)
	return &frameError{cause: Errorf(ParseError, "%s; skipping to the next header", why)}
}

// tooLarge waits for the first piece of the body, since it often says whose call this is.
func (r *frameReader) tooLarge(length int64) error {
	r.lose()
	if _, err := r.in.Peek(1); err != nil {
		return endOf(err, true)
	}
	piece, _ := r.in.Peek(min(r.in.Buffered(), 4<<10))
	return &frameError{
		cause:  Errorf(InvalidRequest, "the message has %d bytes, at most %d are accepted; it was skipped", length, r.maxBody),
		prefix: bytes.Clone(piece),
	}
}

func (r *frameReader) lose() { r.lost, r.tail, r.found = true, r.tail[:0], noLength }

// resync skips to the end of the next Content-Length line and returns its number.
func (r *frameReader) resync() (int64, error) {
	for r.found == noLength {
		piece, err := r.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return 0, endOf(err, true)
		}
		r.skip(piece)
	}
	r.lost = false
	return r.found, nil
}

// skip takes a piece of input that holds at most one line break, at its end.
func (r *frameReader) skip(piece []byte) {
	r.tail = append(r.tail, piece[max(0, len(piece)-tailBytes):]...)
	r.tail = append(r.tail[:0], r.tail[max(0, len(r.tail)-tailBytes):]...)
	if len(piece) == 0 || piece[len(piece)-1] != '\n' {
		return
	}
	if n, ok := lengthAtEnd(r.tail); ok {
		r.found = n
	}
	r.tail = r.tail[:0]
}

func isLengthLine(line []byte) bool {
	name, _, _ := bytes.Cut(line, []byte(":"))
	return bytes.EqualFold(bytes.TrimSpace(name), []byte(lengthName))
}

// lengthAtEnd reads "…Content-Length: <digits>" from the end of a line; what may stand
// before it is the end of a body, since no line break follows a body.
func lengthAtEnd(line []byte) (int64, bool) {
	at := bytes.LastIndexByte(line, ':')
	if at < 0 {
		return 0, false
	}
	name := bytes.TrimRight(line[:at], " \t")
	start := len(name) - len(lengthName)
	if start < 0 || !bytes.EqualFold(name[start:], []byte(lengthName)) {
		return 0, false
	}
	if start > 0 && isNameByte(name[start-1]) {
		return 0, false // another header, such as X-Content-Length
	}
	return parseLength(bytes.TrimSpace(line[at+1:]))
}

func isNameByte(c byte) bool {
	return c == '-' || c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func parseLength(digits []byte) (int64, bool) {
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return n, err == nil
}

// endOf tells an end between frames from an end inside one.
func endOf(err error, inside bool) error {
	if errors.Is(err, io.EOF) && inside {
		return io.ErrUnexpectedEOF
	}
	return err
}
