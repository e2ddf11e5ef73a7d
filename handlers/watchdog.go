package handlers

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// watchInterval is how often the server looks whether its client still lives.
const watchInterval = time.Second

// watchClient ends the server when the client's process is gone: a client that was
// killed may leave the other end of our input open in a child of its own.
func (s *Server) watchClient(pid int) {
	if pid <= 0 {
		return
	}
	w := watchProcess(pid)
	s.background(func(ctx context.Context) {
		defer w.close()
		for w.alive() {
			select {
			case <-ctx.Done():
				return
			case <-s.o.After(watchInterval):
			}
		}
		s.log.Warn("the client's process is gone; ending", zap.Int("pid", pid))
		_ = s.conn.Close()
	})
}
