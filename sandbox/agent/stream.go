package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"glue-lsp/sandbox"
)

// stream is one operation, seen from either end. After the request, each direction
// is a sequence of messages and raw bytes, closed by an end frame.
//
// Reading is for one goroutine. Writing whole frames is safe from several.
type stream struct {
	ctx context.Context
	f   frames
	c   io.Closer

	op   string
	path string

	// answered is set when the other side has ended its direction.
	answered atomic.Bool
	ended    error // of reading: io.EOF, or the failure that the peer ended with
	sealed   bool  // of writing: the end was sent
	onEnd    func()
	endOne   sync.Once
	// failure turns an error of the transport into one for the caller.
	failure func(error) error
	done    func()
	doneOne sync.Once
}

// send sends one JSON message.
func (s *stream) send(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return s.fail(err)
	}
	if len(b) > maxMessage {
		return s.fail(&sandbox.Error{Kind: sandbox.TooLarge, Message: "the message is too large for the agent's protocol"})
	}
	return s.fail(s.f.write(frameMessage, nil, b))
}

// sendLast sends a message that only the end follows, and goes with it.
func (s *stream) sendLast(v any) error {
	s.gather()
	return s.send(v)
}

// recv reads the next JSON message into v. It gives io.EOF after the other side's
// clean end, and the error with which it ended otherwise.
func (s *stream) recv(v any) error {
	if err := s.advance(); err != nil {
		return err
	}
	if s.f.typ != frameMessage {
		return s.fail(protocolError("bytes where a message was due"))
	}
	b, err := s.f.payload()
	if err != nil {
		return s.fail(err)
	}
	return s.fail(decodeMessage(b, v))
}

// Read reads raw bytes. It gives io.EOF where they end: before a message, which recv
// then reads, and at the other side's clean end.
func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if err := s.advance(); err != nil {
			return 0, err
		}
		if s.f.typ != frameData {
			return 0, io.EOF
		}
		if s.f.left == 0 {
			s.f.open = false
			continue
		}
		n, err := s.f.read(p)
		if n == 0 && err == nil {
			continue
		}
		return n, s.fail(err)
	}
}

// Write sends raw bytes.
func (s *stream) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		chunk := p[sent:min(len(p), sent+gatherLimit)]
		if err := s.f.write(frameData, nil, chunk); err != nil {
			return sent, s.fail(err)
		}
		sent += len(chunk)
	}
	return sent, nil
}

// gather lets small frames wait for company until the end.
func (s *stream) gather() { s.f.sendMu.Lock(); s.f.gather = true; s.f.sendMu.Unlock() }

// answerDelay is how long an answer waits for what follows it.
const answerDelay = 4 * time.Millisecond

// gatherFor lets small frames wait for company for a time, or until the end. The result
// ends that early, and sends nothing.
func (s *stream) gatherFor(d time.Duration) (stop func()) {
	s.gather()
	t := time.AfterFunc(d, func() {
		s.f.sendMu.Lock()
		defer s.f.sendMu.Unlock()
		s.f.gather = false
		_ = s.f.flushLocked() // the next write fails the same way
	})
	return func() { t.Stop() }
}

// flush sends what waits for company.
func (s *stream) flush() error {
	s.f.sendMu.Lock()
	defer s.f.sendMu.Unlock()
	return s.fail(s.f.flushLocked())
}

// end closes the writing direction: cleanly, or with the operation's error.
func (s *stream) end(failure error) error { return s.finish(nil, failure) }

// finish is a last message and the end, in one piece. Only the first end counts.
func (s *stream) finish(last any, failure error) error {
	var b []byte
	if last != nil && failure == nil {
		m, err := json.Marshal(last)
		switch {
		case err != nil:
			failure = err
		case len(m) > maxMessage:
			failure = &sandbox.Error{Kind: sandbox.TooLarge, Message: "the answer is too large for the agent's protocol"}
		default:
			b = appendFrame(b, frameMessage, nil, m)
		}
	}
	b = appendFrame(b, frameEnd, nil, encodeError(failure))
	s.f.sendMu.Lock()
	defer s.f.sendMu.Unlock()
	if s.sealed {
		return nil
	}
	s.sealed = true
	s.f.gather = false
	s.f.out = append(s.f.out, b...)
	return s.fail(s.f.flushLocked())
}

// expectEnd reads the other side's end and gives nil only for a clean one.
func (s *stream) expectEnd() error {
	if err := s.advance(); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	return s.fail(protocolError("more than an answer"))
}

// Close frees the stream; on the client's side before the end it cancels the
// operation.
func (s *stream) Close() error {
	err := s.c.Close()
	s.doneOne.Do(func() {
		if s.done != nil {
			s.done()
		}
	})
	return err
}

// advance makes the next frame current; an end frame is consumed here.
func (s *stream) advance() error {
	if s.ended != nil {
		return s.ended
	}
	if err := s.f.next(); err != nil {
		return s.fail(err)
	}
	if s.f.typ != frameEnd {
		return nil
	}
	b, err := s.f.payload()
	if err != nil {
		return s.fail(err)
	}
	s.answered.Store(true)
	if s.ended = decodeError(b); s.ended == nil {
		s.ended = io.EOF
	} else if e := (*sandbox.Error)(nil); errors.As(s.ended, &e) {
		s.name(e)
	}
	if s.onEnd != nil {
		s.endOne.Do(s.onEnd)
	}
	return s.ended
}

// fail says what an error of the transport means for this operation.
func (s *stream) fail(err error) error {
	if err == nil {
		return nil
	}
	var e *sandbox.Error
	if errors.As(err, &e) {
		s.name(e)
		return err
	}
	if s.failure != nil {
		return s.failure(err)
	}
	return err
}

func (s *stream) name(e *sandbox.Error) {
	if e.Op == "" {
		e.Op = opName(s.op)
	}
	if e.Path == "" {
		e.Path = s.path
	}
}

// encodeError gives an end frame's payload.
func encodeError(err error) []byte {
	if err == nil {
		return nil
	}
	e := asError("", "", err)
	b, err := json.Marshal(wireError{Kind: e.Kind, Op: e.Op, Path: wireString(e.Path), Message: e.Message, Hint: e.Hint})
	if err != nil || len(b) > maxMessage {
		return []byte(`{"kind":"unavailable","message":"the agent failed, and its reason could not be sent"}`)
	}
	return b
}

// decodeError reads an end frame's payload; nil is a clean end.
func decodeError(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	var w wireError
	if err := decodeMessage(b, &w); err != nil {
		return err
	}
	if w.Kind == "" {
		w.Kind = sandbox.Unavailable
	}
	return &sandbox.Error{Kind: w.Kind, Op: w.Op, Path: string(w.Path), Message: w.Message, Hint: w.Hint}
}
