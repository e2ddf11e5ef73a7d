package modal

import (
	"context"
	"encoding/base64"
	"sync"

	"glue-lsp/sandbox"
	"glue-lsp/sandbox/agent"
)

// directProcess is somebody's hold on a command.
type directProcess struct {
	*directExec

	waiting sync.Mutex // one Wait at a time
	reader  *agent.OutputReader
	from    sandbox.Offsets
	lostYet sandbox.Offsets
}

// ID implements [sandbox.Process].
func (p *directProcess) ID() string { return p.id }

// Wait implements [sandbox.Process].
func (p *directProcess) Wait(ctx context.Context, sink sandbox.Sink) (sandbox.ExecResult, error) {
	p.waiting.Lock()
	defer p.waiting.Unlock()
	if p.reader == nil {
		var lost sandbox.Offsets
		p.reader, lost = p.out.Attach(p.from)
		p.lostYet.Stdout += lost.Stdout
		p.lostYet.Stderr += lost.Stderr
	}
	defer p.pause()
	for {
		s, offset, piece, more := p.out.Next(ctx, p.reader)
		if !more {
			break
		}
		var err error
		if sink != nil {
			err = sink(s, offset, piece)
		}
		p.out.Advance(p.reader, s, len(piece))
		if err != nil {
			p.pause()
			break
		}
	}
	select {
	case <-p.over:
	case <-ctx.Done():
		return sandbox.ExecResult{}, ctx.Err()
	}
	if p.err != nil {
		return sandbox.ExecResult{}, p.err
	}
	if err := ctx.Err(); err != nil && p.reader != nil && !p.atEnd() {
		return sandbox.ExecResult{}, err
	}
	result := p.result
	result.Lost = p.lostYet
	return result, nil
}

// atEnd reports whether nothing is left to deliver of a command that has ended.
func (p *directProcess) atEnd() bool {
	_, _, _, more := p.out.Next(context.Background(), p.reader)
	return !more
}

// pause lets go of the output: from now on it is kept up to a bound only.
func (p *directProcess) pause() {
	if p.reader != nil {
		p.from = p.reader.At()
		p.out.Detach(p.reader)
		p.reader = nil
	}
}

// stdinPiece is how much input goes in one call.
const stdinPiece = 1 << 20

// Stdin implements [sandbox.Process].
func (e *directExec) Stdin(ctx context.Context, b []byte, eof bool) error {
	const op = "stdin"
	select {
	case e.typing <- struct{}{}:
		defer func() { <-e.typing }()
	case <-e.over:
		return e.hasEnded(op)
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		piece := b[:min(len(b), stdinPiece)]
		b = b[len(piece):]
		params := map[string]any{"data": base64.StdEncoding.EncodeToString(piece), "encoding": "base64", "eof": eof && len(b) == 0}
		if len(piece) == 0 && !eof {
			return ctx.Err()
		}
		if err := e.ask(ctx, op, "exec/stdin", params); err != nil {
			return err
		}
		if len(b) == 0 {
			return nil
		}
	}
}

// ask calls the sidecar about the command.
func (e *directExec) ask(ctx context.Context, op, method string, params map[string]any) error {
	params["execId"] = e.name()
	select {
	case <-e.p.done():
		if e.d.death() == nil {
			return e.hasEnded(op)
		}
	default:
	}
	return e.d.call(ctx, op, "", method, params, nil)
}

func (e *directExec) hasEnded(op string) error {
	if why := e.d.death(); why != nil {
		return ended(why, op, "")
	}
	return refuse(sandbox.NoSuchExec, op, "", "the command "+e.id+" has ended")
}

// Resize implements [sandbox.Process].
func (e *directExec) Resize(ctx context.Context, w sandbox.Winsize) error {
	return e.ask(ctx, "resize", "exec/resize", map[string]any{"rows": w.Rows, "cols": w.Cols})
}

// Signal implements [sandbox.Process].
func (e *directExec) Signal(ctx context.Context, name string) error {
	return e.ask(ctx, "signal", "exec/kill", map[string]any{"signal": name})
}

// Cancel implements [sandbox.Process].
func (e *directExec) Cancel(ctx context.Context) error {
	e.mu.Lock()
	select {
	case <-e.over:
	default:
		e.canceled = true
	}
	e.mu.Unlock()
	return e.ask(ctx, "cancel", "exec/kill", map[string]any{})
}
