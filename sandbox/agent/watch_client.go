package agent

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"glue-lsp/sandbox"
)

// Watch implements [sandbox.Files]. ctx bounds the starting only. Events are given one
// batch at a time; while events runs, later changes wait in the agent, joined. After
// a lost stream the watch begins anew, and the watched path itself is named as
// changed. stop may be called from within events; a batch that is being given when
// it is called from elsewhere may be the last.
func (c *Client) Watch(ctx context.Context, path string, recursive bool, events func([]sandbox.FileEvent)) (func(), error) {
	w := &clientWatch{c: c, path: path, args: watchArgs{wireString(path), recursive}, events: events}
	w.ctx, w.cancel = context.WithCancel(c.ctx)
	detach := context.AfterFunc(ctx, w.cancel)
	s, err := w.begin()
	if !detach() && err == nil {
		s.Close()
		err = ctx.Err()
	}
	if err != nil {
		w.cancel()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	go w.run(s)
	return w.stop, nil
}

type clientWatch struct {
	c       *Client
	ctx     context.Context
	cancel  context.CancelFunc
	path    string
	args    watchArgs
	events  func([]sandbox.FileEvent)
	stopped atomic.Bool
}

func (w *clientWatch) stop() {
	w.stopped.Store(true)
	w.cancel()
}

func (w *clientWatch) begin() (*stream, error) {
	return w.c.call(w.ctx, "fs.watch", w.path, w.args, &watchReply{})
}

func (w *clientWatch) run(s *stream) {
	defer w.cancel()
	for {
		err := w.deliver(s)
		s.Close()
		for s = nil; s == nil; {
			if w.stopped.Load() || w.ctx.Err() != nil {
				return
			}
			if !isDead(err) {
				w.give(sandbox.FileEvent{Path: w.path, Type: deleted})
				return
			}
			s, err = w.begin()
		}
		w.give(sandbox.FileEvent{Path: w.path, Type: changed})
	}
}

// deliver hands on what the agent reports, until the stream ends.
func (w *clientWatch) deliver(s *stream) error {
	for {
		var rep watchReply
		if err := s.recv(&rep); err != nil {
			if errors.Is(err, io.EOF) {
				err = wrongAnswer("watch", w.path, "the watch ended")
			}
			return err
		}
		batch := make([]sandbox.FileEvent, len(rep.Events))
		for i, e := range rep.Events {
			batch[i] = sandbox.FileEvent{Path: string(e.Path), Type: e.Type}
		}
		w.give(batch...)
	}
}

func (w *clientWatch) give(batch ...sandbox.FileEvent) {
	if len(batch) > 0 && !w.stopped.Load() {
		w.events(batch)
	}
}

func isDead(err error) bool {
	var e *sandbox.Error
	return errors.As(err, &e) && e.Kind == sandbox.ExecutorDead
}
