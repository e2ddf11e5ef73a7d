package handlers

import (
	"context"
	"sync"

	"go.lsp.dev/protocol"

	"glue-lsp/sandbox"
	"glue-lsp/session"
)

type sessionChangedParams struct {
	Session sessionInfo `json:"session"`
}

type filesChangedParams struct {
	Session string       `json:"session"`
	WatchID string       `json:"watchId"`
	Changes []fileNotice `json:"changes"`
}

type fileNotice struct {
	Path      string `json:"path" doc:"absolute in the sandbox"`
	PathBytes string `json:"pathBytes,omitzero"`
	Type      string `json:"type" doc:"created, changed or deleted"`
}

// maxNews is how many announcements may wait for a client that does not read.
const maxNews = 1024

// announcements carries sessions' changes to the client in the order in which they
// came, and to whoever waits for a checkpoint. Whoever changes a session must not wait
// for a slow client, so a queue lies between.
type announcements struct {
	mu     sync.Mutex
	queue  []session.Info
	latest map[string]session.Info
	moved  chan struct{} // closed and replaced when something came
}

// sessionChanged is the manager's Options.Changed.
func (s *Server) sessionChanged(info session.Info) { s.news.add(info) }

func (a *announcements) add(info session.Info) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.latest == nil {
		a.latest = map[string]session.Info{}
	}
	a.latest[info.ID] = info
	if len(a.queue) >= maxNews {
		a.queue = a.queue[1:] // a newer one says more
	}
	a.queue = append(a.queue, info)
	a.wakeLocked()
}

// learn takes note of a session that does not change, without telling the client.
func (a *announcements) learn(info session.Info) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.latest == nil {
		a.latest = map[string]session.Info{}
	}
	if _, known := a.latest[info.ID]; !known {
		a.latest[info.ID] = info
	}
}

func (a *announcements) wakeLocked() {
	if a.moved != nil {
		close(a.moved)
		a.moved = nil
	}
}

func (a *announcements) waitLocked() <-chan struct{} {
	if a.moved == nil {
		a.moved = make(chan struct{})
	}
	return a.moved
}

// await waits until ready, which is asked under the lock, says so.
func (a *announcements) await(ctx context.Context, ready func() bool) error {
	for {
		a.mu.Lock()
		if ready() {
			a.mu.Unlock()
			return nil
		}
		moved := a.waitLocked()
		a.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// next waits for the oldest announcement that was not sent.
func (a *announcements) next(ctx context.Context) (info session.Info, err error) {
	err = a.await(ctx, func() bool {
		if len(a.queue) == 0 {
			return false
		}
		info, a.queue = a.queue[0], a.queue[1:]
		return true
	})
	return info, err
}

// checkpoint waits until a session's checkpoint seq is safe, or the session has ended.
func (a *announcements) checkpoint(ctx context.Context, id string, seq int) (session.Info, error) {
	var found session.Info
	err := a.await(ctx, func() bool {
		info, known := a.latest[id]
		if !known || info.Checkpoint.Seq < seq && info.State != session.Closed && info.State != session.StateLost {
			return false
		}
		found = info
		return true
	})
	return found, err
}

// announce sends sessions' changes until the connection ends.
func (s *Server) announce(ctx context.Context) {
	told := map[string]string{} // the last alert of each session
	for {
		info, err := s.news.next(ctx)
		if err != nil {
			return
		}
		if err := s.conn.Notify(ctx, methodSessionChanged, &sessionChangedParams{Session: toSessionInfo(info, s.peer.Load().uriOf)}); err != nil {
			return
		}
		if info.Alert != "" && info.Alert != told[info.ID] {
			told[info.ID] = info.Alert
			s.say(protocol.MessageTypeWarning, "glue: "+info.Alert)
		}
	}
}

func toNotices(events []sandbox.FileEvent) []fileNotice {
	out := make([]fileNotice, len(events))
	for i, e := range events {
		text, b64 := showPath(e.Path)
		out[i] = fileNotice{Path: text, PathBytes: b64, Type: e.Type}
	}
	return out
}
