package agent

import (
	"context"
	"encoding/json"
	"time"

	"glue-lsp/sandbox"
)

// handler serves one operation in the agent. What it returns is the last message (if
// not nil) and the end of the stream.
type handler func(ctx context.Context, args json.RawMessage, s *stream) (any, error)

// ops are the operations by name.
type ops map[string]handler

// unary is an operation of one question and one answer.
func unary[Req, Rep any](op func(ctx context.Context, req Req) (Rep, error)) handler {
	return func(ctx context.Context, args json.RawMessage, _ *stream) (any, error) {
		req, err := decodeArgs[Req](args)
		if err != nil {
			return nil, err
		}
		rep, err := op(ctx, req)
		if err != nil {
			return nil, err
		}
		return rep, nil
	}
}

// streaming is an operation that goes on over its stream: it sends its answers
// itself, and its return ends the stream.
func streaming[Req any](op func(ctx context.Context, req Req, s *stream) error) handler {
	return func(ctx context.Context, args json.RawMessage, s *stream) (any, error) {
		req, err := decodeArgs[Req](args)
		if err != nil {
			return nil, err
		}
		return nil, op(ctx, req, s)
	}
}

func decodeArgs[Req any](args json.RawMessage) (Req, error) {
	var req Req
	if len(args) == 0 {
		return req, nil
	}
	if err := json.Unmarshal(args, &req); err != nil {
		return req, &sandbox.Error{Kind: sandbox.InvalidParams, Message: "the request does not decode: " + err.Error()}
	}
	return req, nil
}

// nothing is an empty request or answer.
type nothing struct{}

// answerGrace bounds the wait for a client to take its last answer.
const answerGrace = 2 * time.Second

func (d *daemon) addCoreOps(o ops) {
	o["ping"] = unary(func(context.Context, nothing) (nothing, error) { return nothing{}, nil })
	o["shutdown"] = streaming(func(ctx context.Context, _ nothing, s *stream) error {
		d.execs.close()
		defer func() { go d.shutdown() }()
		if err := s.finish(nothing{}, nil); err != nil {
			return err
		}
		// The client has the answer before the streams are cut.
		select {
		case <-ctx.Done():
		case <-time.After(answerGrace):
		}
		return nil
	})
}
