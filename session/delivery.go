package session

import (
	"errors"
	"sync"

	"glue-lsp/sandbox"
)

// delivery hands a command's output to its sink, which may block for as long as a
// client does not read. When the session ends that must not hold anything up: stop lets
// go of the sink, wherever it is.
type delivery struct {
	sink    sandbox.Sink
	pieces  chan piece
	results chan error
	piece   []byte // what the sink has; its own, so that a sink that was let go reads no other

	stopped  chan struct{}
	stopOnce sync.Once
}

type piece struct {
	stream sandbox.Stream
	offset int64
	data   []byte
}

func newDelivery(sink sandbox.Sink) *delivery {
	return &delivery{sink: sink, pieces: make(chan piece), results: make(chan error, 1), stopped: make(chan struct{})}
}

// run calls the sink until end.
func (d *delivery) run() {
	for p := range d.pieces {
		d.results <- d.sink(p.stream, p.offset, p.data)
	}
}

func (d *delivery) end() { close(d.pieces) }

// stop makes deliver give up, also the one that is waiting.
func (d *delivery) stop() { d.stopOnce.Do(func() { close(d.stopped) }) }

var errNotDelivered = errors.New("nobody takes the output any more")

// deliver is a sandbox.Sink. After an error it must not be called again.
func (d *delivery) deliver(st sandbox.Stream, offset int64, p []byte) error {
	d.piece = append(d.piece[:0], p...)
	select {
	case d.pieces <- piece{st, offset, d.piece}:
	case <-d.stopped:
		return errNotDelivered
	}
	select {
	case err := <-d.results:
		return err
	case <-d.stopped:
		return errNotDelivered
	}
}
