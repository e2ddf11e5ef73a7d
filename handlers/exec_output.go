package handlers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"glue-lsp/internal/wire"
	"glue-lsp/sandbox"
)

// maxPiece is how much output one notification carries at most, in bytes.
const maxPiece = 64 << 10

// outputParams is glue/exec/output.
type outputParams struct {
	Session string `json:"session"`
	ExecID  string `json:"execId"`
	Stream  string `json:"stream" doc:"stdout or stderr; a terminal has only stdout"`
	payload
}

// outputPiece is outputParams on its way out: encoding it by reflection would cost more
// than everything else. It implements wire.Appender.
type outputPiece struct {
	prefix string // up to and with "data":
	data   []byte
}

// AppendJSON implements wire.Appender.
func (p *outputPiece) AppendJSON(dst []byte) ([]byte, error) {
	dst = append(dst, p.prefix...)
	if utf8.Valid(p.data) {
		dst = wire.AppendString(dst, string(p.data))
		return append(dst, `,"encoding":"utf-8"}`...), nil
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, p.data)
	return append(dst, `","encoding":"base64"}`...), nil
}

// output carries one command's output to the client: in order, in pieces that end with
// whole characters, held back by acknowledgements or, without them, dropped in favour of
// the log file when the client has stopped reading.
type output struct {
	s       *Server
	ctx     context.Context // the request's
	execID  string
	window  int64 // 0: the client does not acknowledge
	logFile atomic.Pointer[string]
	// ready, when not nil, holds output back until the command can be found by its id: a
	// client may answer the first line at once.
	ready chan struct{}

	// Only the one goroutine that delivers uses these.
	streams [2]outputStream
	buffer  []byte
	skipped truncated // bytes that only the log has

	stalled atomic.Bool // the client takes nothing at the moment

	mu      sync.Mutex
	unacked int64
	acked   chan struct{} // closed and replaced by each acknowledgement
}

// outputStream is one of stdout and stderr.
type outputStream struct {
	prefix string
	held   []byte // the start of a character whose rest has not come
	next   int64  // offset after held
	lost   int64  // dropped since the last marker
}

func (s *Server) newOutput(ctx context.Context, sessionID, execID string, window int64) *output {
	o := &output{s: s, ctx: ctx, execID: execID, window: window, acked: make(chan struct{})}
	for i, name := range []string{"stdout", "stderr"} {
		b := wire.AppendString([]byte(`{"session":`), sessionID)
		b = wire.AppendString(append(b, `,"execId":`...), execID)
		b = wire.AppendString(append(b, `,"stream":`...), name)
		o.streams[i].prefix = string(append(b, `,"data":`...))
	}
	s.flows.add(o)
	return o
}

// sink is a sandbox.Sink. An error ends the delivery, not the command.
func (o *output) sink(st sandbox.Stream, offset int64, p []byte) error {
	if o.ready != nil {
		select {
		case <-o.ready:
		case <-o.ctx.Done():
			return o.ctx.Err()
		}
	}
	w := &o.streams[0]
	if st == sandbox.Stderr {
		w = &o.streams[1]
	}
	if len(w.held) > 0 {
		if offset != w.next { // something between was lost: the character stays incomplete
			if err := o.send(w, w.held); err != nil {
				return err
			}
			w.held = w.held[:0]
		}
		o.buffer = append(append(o.buffer[:0], w.held...), p...)
		w.held = w.held[:0]
		w.next = offset + int64(len(p))
		return o.sendAll(w, o.buffer)
	}
	w.next = offset + int64(len(p))
	return o.sendAll(w, p)
}

func (o *output) sendAll(w *outputStream, p []byte) error {
	whole := p[:len(p)-incompleteSuffix(p)]
	w.held = append(w.held, p[len(whole):]...)
	for len(whole) > 0 {
		_, first := utf8.DecodeRune(whole)
		room, err := o.room(first)
		if err != nil {
			return err
		}
		n := pieceLength(whole, room)
		if err := o.send(w, whole[:n]); err != nil {
			return err
		}
		whole = whole[n:]
	}
	return nil
}

// pieceLength is how much of p goes out at once: at most limit bytes, unless the first
// character alone is longer, and never a part of a character.
func pieceLength(p []byte, limit int) int {
	if len(p) <= limit {
		return len(p)
	}
	n := limit - incompleteSuffix(p[:limit])
	if n == 0 {
		_, n = utf8.DecodeRune(p)
	}
	return n
}

// incompleteSuffix is the length of a character's beginning at the end of p, 0 to 3.
func incompleteSuffix(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		last := p[len(p)-n:]
		if utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

// room waits until the client has acknowledged enough for the first character, and says
// how much may be sent. A character that is wider than the whole window goes out alone.
func (o *output) room(first int) (int, error) {
	if o.window == 0 {
		return maxPiece, o.ctx.Err()
	}
	for {
		o.mu.Lock()
		free, acked := o.window-o.unacked, o.acked
		o.mu.Unlock()
		if free >= min(int64(first), o.window) {
			return int(min(free, maxPiece)), o.ctx.Err()
		}
		select {
		case <-acked:
		case <-o.ctx.Done():
			return 0, o.ctx.Err()
		}
	}
}

func (o *output) acknowledge(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unacked = max(0, o.unacked-n)
	close(o.acked)
	o.acked = make(chan struct{})
}

// send delivers one piece. A client that acknowledges paces itself; any other gets what
// it reads, and once it has read nothing for a while the command no longer waits for it.
func (o *output) send(w *outputStream, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if o.window > 0 {
		o.mu.Lock()
		o.unacked += int64(len(p))
		o.mu.Unlock()
		return o.s.conn.Stream(o.ctx, methodOutput, &outputPiece{w.prefix, p})
	}
	if o.stalled.Load() {
		o.drop(w, p)
		return nil
	}
	if err := o.mark(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(o.ctx, o.s.stall)
	defer cancel()
	err := o.s.conn.Stream(ctx, methodOutput, &outputPiece{w.prefix, p})
	if errors.Is(err, context.DeadlineExceeded) && o.ctx.Err() == nil {
		o.drop(w, p)
		o.waitForReader()
		return nil
	}
	return err
}

func (o *output) drop(w *outputStream, p []byte) {
	w.lost += int64(len(p))
	if w == &o.streams[0] {
		o.skipped.Stdout += int64(len(p))
	} else {
		o.skipped.Stderr += int64(len(p))
	}
}

// waitForReader goes on with the output once the client has taken what is queued.
func (o *output) waitForReader() {
	o.stalled.Store(true)
	o.s.tasks.Go(func() {
		if o.s.conn.Flush(o.ctx) == nil {
			o.stalled.Store(false)
		}
	})
}

// mark says in the stream how much is missing there, and where it is.
func (o *output) mark() error {
	for i := range o.streams {
		w := &o.streams[i]
		if w.lost == 0 {
			continue
		}
		where := "the command's log file"
		if name := o.logFile.Load(); name != nil {
			where, _ = showPath(*name)
		}
		text := fmt.Sprintf("\n[glue: %d bytes of output came faster than they were read; see %s]\n", w.lost, where)
		w.lost = 0
		if err := o.s.conn.Stream(o.ctx, methodOutput, &outputPiece{w.prefix, []byte(text)}); err != nil {
			return err
		}
	}
	return nil
}

// finish sends what was held and waits until all output is on its way. The result counts
// what was dropped.
func (o *output) finish(ctx context.Context) (truncated, error) {
	for i := range o.streams {
		w := &o.streams[i]
		held := w.held
		w.held = nil
		if err := o.send(w, held); err != nil {
			return o.skipped, err
		}
	}
	if err := o.mark(); err != nil {
		return o.skipped, err
	}
	return o.skipped, o.s.conn.Flush(ctx)
}

// flows are the outputs that are being streamed, by command. One command can have
// several: its own request's and those that attached.
type flows struct {
	mu     sync.Mutex
	byExec map[string][]*output
}

func (f *flows) add(o *output) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byExec == nil {
		f.byExec = map[string][]*output{}
	}
	f.byExec[o.execID] = append(f.byExec[o.execID], o)
}

func (f *flows) remove(o *output) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := slices.DeleteFunc(f.byExec[o.execID], func(x *output) bool { return x == o })
	if len(left) == 0 {
		delete(f.byExec, o.execID)
		return
	}
	f.byExec[o.execID] = left
}

func (f *flows) ack(execID string, n int64) {
	f.mu.Lock()
	to := slices.Clone(f.byExec[execID])
	f.mu.Unlock()
	for _, o := range to {
		o.acknowledge(n)
	}
}

func newExecID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand documents it
	return "x" + hex.EncodeToString(b[:])
}

func itoa(i int) string { return strconv.Itoa(i) }
