package emu

import (
	"context"
	"path"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// counter counts calls by method.
type counter struct {
	mu    sync.Mutex
	calls map[string]int
}

func (c *counter) add(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[path.Base(method)]++
}

func (c *counter) read(reset bool) map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int{}
	for k, v := range c.calls {
		out[k] = v
	}
	if reset {
		c.calls = nil
	}
	return out
}

// enter counts and delays a call, and checks who makes it.
func (s *Server) enter(ctx context.Context, method string) error {
	s.counts.add(method)
	f := s.faults.now()
	if d := s.o.RoundTrip + time.Duration(f.CallDelayMs)*time.Millisecond; d > 0 {
		if err := wait(ctx, d); err != nil {
			return err
		}
	}
	if name := path.Base(method); f.missing(name) {
		return status.Errorf(codes.Unimplemented, "unknown method %s", name)
	}
	if strings.Contains(method, "TaskCommandRouter") {
		return nil // its calls are for one task each, see checkRouter
	}
	return s.checkToken(ctx)
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-t.C:
		return nil
	}
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := s.enter(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	out, err := next(ctx, req)
	s.note(info.FullMethod, err)
	return out, err
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := s.enter(ss.Context(), info.FullMethod); err != nil {
		return err
	}
	err := next(srv, ss)
	s.note(info.FullMethod, err)
	return err
}

func (s *Server) note(method string, err error) {
	if err == nil {
		return
	}
	if status.Code(err) == codes.Unimplemented {
		s.o.Log("not emulated: %s", method)
		return
	}
	s.o.Log("%s: %v", path.Base(method), err)
}

func (s *Server) unknown(_ any, ss grpc.ServerStream) error {
	m, _ := grpc.MethodFromServerStream(ss)
	s.o.Log("not emulated: %s", m)
	return status.Errorf(codes.Unimplemented, "%s is not emulated", m)
}
