package handlers

import (
	"context"
	"strconv"
	"sync"

	"glue-lsp/sandbox"
)

type watchParams struct {
	fileParams
	Recursive bool `json:"recursive,omitzero" doc:"default false: the folder's own entries only"`
}

type watchResult struct {
	WatchID string `json:"watchId"`
}

type unwatchParams struct {
	sessionRef
	WatchID string `json:"watchId"`
}

// watches are the client's watches, by id.
type watches struct {
	mu   sync.Mutex
	last int
	byID map[string]func()
}

func (w *watches) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	return "w" + strconv.Itoa(w.last)
}

func (w *watches) add(id string, stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID == nil {
		w.byID = map[string]func(){}
	}
	w.byID[id] = stop
}

// stop ends a watch and reports whether there was one.
func (w *watches) stop(id string) bool {
	w.mu.Lock()
	stop := w.byID[id]
	delete(w.byID, id)
	w.mu.Unlock()
	if stop == nil {
		return false
	}
	stop()
	return true
}

func (w *watches) stopAll() {
	w.mu.Lock()
	all := w.byID
	w.byID = nil
	w.mu.Unlock()
	for _, stop := range all {
		stop()
	}
}

// maxNotices bounds one notification.
const maxNotices = 1000

func (s *Server) fsWatch(_ context.Context, p *watchParams) (watchResult, error) {
	raw, err := p.raw()
	if err != nil {
		return watchResult{}, err
	}
	files, cwd, sess, err := s.files(p.Session)
	if err != nil {
		return watchResult{}, err
	}
	id := s.watches.newID()
	// The watch outlives this request.
	stop, err := files.Watch(s.base, sandboxPath(cwd, raw), p.Recursive, func(events []sandbox.FileEvent) {
		for len(events) > 0 {
			n := min(len(events), maxNotices)
			note := &filesChangedParams{Session: sess.ID(), WatchID: id, Changes: toNotices(events[:n])}
			if s.conn.Notify(s.base, methodFilesChanged, note) != nil {
				return
			}
			events = events[n:]
		}
	})
	if err != nil {
		return watchResult{}, err
	}
	s.watches.add(id, stop)
	return watchResult{WatchID: id}, nil
}

func (s *Server) fsUnwatch(_ context.Context, p *unwatchParams) (empty, error) {
	if !s.watches.stop(p.WatchID) {
		return empty{}, badParam("watchId", "there is no watch %q", clip(p.WatchID, 80))
	}
	return empty{}, nil
}
