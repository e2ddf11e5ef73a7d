package git

import (
	"bytes"
	"sync"
)

// lineReader takes what a command prints, as much as it likes, and gives it line by
// line to another goroutine, so that neither waits for the other's pipe to drain.
type lineReader struct {
	mu    sync.Mutex
	some  *sync.Cond
	buf   bytes.Buffer
	ended bool
}

func newLineReader() *lineReader {
	r := &lineReader{}
	r.some = sync.NewCond(&r.mu)
	return r
}

func (r *lineReader) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf.Write(p)
	r.some.Broadcast()
	return len(p), nil
}

// end says that nothing more comes.
func (r *lineReader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.some.Broadcast()
}

// next waits for a whole line and gives it without its end.
func (r *lineReader) next() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for bytes.IndexByte(r.buf.Bytes(), '\n') < 0 {
		if r.ended {
			return "", errImportEnded
		}
		r.some.Wait()
	}
	line, err := r.buf.ReadString('\n')
	return line[:len(line)-1], err
}
