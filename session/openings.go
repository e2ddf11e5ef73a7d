package session

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// turns lets one opening at a time go on for each folder and runtime: two requests for one
// folder get one session. In the cloud that takes minutes, so other folders and runtimes do
// not wait for it, and who waits hears what is done.
type turns struct {
	mu  sync.Mutex
	all map[turnKey]*line
}

type turnKey struct{ runtime, folder string }

// line is whoever has the turn of one key, and those who wait for it. All but held is the
// turns' lock's.
type line struct {
	held    chan struct{} // holds a token while somebody has the turn
	users   int
	doing   heard // what was told last
	waiting map[*place]Progress
}

type heard struct {
	message string
	percent int
}

// place is one opening's place in the line.
type place struct {
	of  *turns
	key turnKey
	*line
}

// take waits for a turn. p hears what its holders do until then. An error is ctx's.
func (t *turns) take(ctx context.Context, key turnKey, p Progress) (*place, error) {
	me := t.join(key, p)
	select {
	case me.held <- struct{}{}:
		me.begin()
		return me, nil
	default:
	}
	if doing := me.now(); doing.message != "" {
		p.say(doing.message, doing.percent)
	}
	select {
	case me.held <- struct{}{}:
		me.begin()
		return me, nil
	case <-ctx.Done():
		me.drop()
		return nil, ctx.Err()
	}
}

func (t *turns) join(key turnKey, p Progress) *place {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.all[key]
	if l == nil {
		l = &line{held: make(chan struct{}, 1), waiting: map[*place]Progress{}}
		if t.all == nil {
			t.all = map[turnKey]*line{}
		}
		t.all[key] = l
	}
	l.users++
	me := &place{of: t, key: key, line: l}
	l.waiting[me] = p
	return me
}

func (u *place) begin() {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	delete(u.waiting, u)
	u.doing = heard{}
}

func (u *place) now() heard {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	return u.doing
}

// tell is p, heard by those who wait as well.
func (u *place) tell(p Progress) Progress {
	return func(message string, percent int) {
		p.say(message, percent)
		u.of.mu.Lock()
		u.doing = heard{message, percent}
		others := slices.Collect(maps.Values(u.waiting))
		u.of.mu.Unlock()
		for _, other := range others {
			other.say(message, percent)
		}
	}
}

// leave gives the turn to the next.
func (u *place) leave() {
	<-u.held
	u.drop()
}

func (u *place) drop() {
	u.of.mu.Lock()
	defer u.of.mu.Unlock()
	delete(u.waiting, u)
	if u.users--; u.users == 0 {
		delete(u.of.all, u.key)
	}
}

// opening is one that is under way. Shutdown ends its context, and waits for it.
type opening struct {
	m    *Manager
	turn *place
	stop context.CancelFunc
}

// beginOpening waits for the turn on a folder. The context that it gives is for what is
// opened until end.
func (m *Manager) beginOpening(ctx context.Context, key turnKey, p Progress) (context.Context, *opening, error) {
	m.mu.Lock()
	if m.closing {
		m.mu.Unlock()
		return nil, nil, shuttingDown()
	}
	m.openings.Add(1)
	m.mu.Unlock()
	ctx, stop := m.untilShutdown(ctx)
	u, err := m.turns.take(ctx, key, p)
	if err == nil {
		return ctx, &opening{m, u, stop}, nil
	}
	stop()
	m.openings.Done()
	if m.isClosing() {
		err = shuttingDown()
	}
	return nil, nil, err
}

func (o *opening) end() {
	o.turn.leave()
	o.stop()
	o.m.openings.Done()
}
