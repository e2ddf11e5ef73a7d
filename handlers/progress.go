package handlers

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"go.lsp.dev/protocol"
)

// reportInterval keeps a busy operation from flooding the client.
const reportInterval = 100 * time.Millisecond

// progressTokens are the operations that the client may end by
// window/workDoneProgress/cancel.
type progressTokens struct {
	mu      sync.Mutex
	last    int
	cancels map[string]context.CancelFunc
}

func (t *progressTokens) add(token string, cancel context.CancelFunc) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancels == nil {
		t.cancels = map[string]context.CancelFunc{}
	}
	t.cancels[token] = cancel
}

func (t *progressTokens) remove(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.cancels, token)
}

func (t *progressTokens) next() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	return "glue-" + strconv.Itoa(t.last)
}

// progress tells the client what one operation is doing. Its methods may be called on
// nil, which tells nobody.
type progress struct {
	s     *Server
	title string

	mu      sync.Mutex
	token   jsontext.Value // as it travels; nil until there is one
	begun   bool
	ended   bool
	message string
	percent int
	sentAt  time.Time
}

// withToken reports under the token that came with a request, if one did.
func (s *Server) withToken(token jsontext.Value, title string) *progress {
	if k := token.Kind(); len(token) == 0 || k != '"' && k != '0' {
		return nil
	}
	p := &progress{s: s, title: title, percent: -1, token: token}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin(false)
	return p
}

// onItsOwn reports under a token of the server's, once the operation has lasted for a
// moment, so that quick work shows none. cancel is what the client's cancel button does.
func (s *Server) onItsOwn(ctx context.Context, title string, cancel context.CancelFunc) *progress {
	if !s.peer.Load().client.progress {
		return nil
	}
	p := &progress{s: s, title: title, percent: -1}
	s.tasks.Go(func() {
		select {
		case <-ctx.Done():
			return
		case <-s.o.After(progressDelay):
		}
		p.create(ctx, cancel)
	})
	return p
}

// create asks the client for a token and begins, unless the work is over by then.
func (p *progress) create(ctx context.Context, cancel context.CancelFunc) {
	name := p.s.progress.next()
	p.mu.Lock()
	over := p.ended
	p.mu.Unlock()
	if over {
		return
	}
	ask, stop := p.s.within(ctx, answerLimit)
	defer stop()
	params := &protocol.WorkDoneProgressCreateParams{Token: protocol.String(name)}
	if err := p.s.conn.Call(ask, protocol.MethodWindowWorkDoneProgressCreate, params, nil); err != nil {
		return // the specification: then the token must not be used
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.s.progress.add(name, cancel)
	p.token = jsontext.Value(strconv.Quote(name))
	p.begin(true)
}

func (p *progress) begin(cancellable bool) {
	p.begun = true
	b := &protocol.WorkDoneProgressBegin{Kind: "begin", Title: p.title}
	if cancellable {
		b.Cancellable = ptr(true)
	}
	if p.message != "" {
		b.Message = ptr(p.message)
	}
	if p.percent >= 0 {
		b.Percentage = ptr(uint32(p.percent))
	}
	p.send(b)
}

// report is a session.Progress. percent < 0 is unknown.
func (p *progress) report(message string, percent int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	message = plain(clip(message, 200))
	now := p.s.o.Now()
	tooSoon := message == p.message && now.Sub(p.sentAt) < reportInterval
	// Percentages may not go back (LSP 3.18, "Work Done Progress").
	p.message, p.percent = message, max(p.percent, min(percent, 100))
	if !p.begun || p.ended || tooSoon {
		return
	}
	p.sentAt = now
	r := &protocol.WorkDoneProgressReport{Kind: "report", Message: ptr(message)}
	if p.percent >= 0 {
		r.Percentage = ptr(uint32(p.percent))
	}
	p.send(r)
}

// end closes the report; message says what came of it.
func (p *progress) end(message string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	if !p.begun {
		return
	}
	e := &protocol.WorkDoneProgressEnd{Kind: "end"}
	if message != "" {
		e.Message = ptr(plain(clip(message, 200)))
	}
	p.send(e)
	p.s.progress.remove(tokenName(p.token))
}

// send posts one value; the lock is held, so values keep their order.
func (p *progress) send(value any) {
	raw, err := protocol.Marshal(value)
	if err != nil {
		return
	}
	_ = p.s.conn.Notify(p.s.base, protocol.MethodProgress, struct {
		Token jsontext.Value `json:"token"`
		Value jsontext.Value `json:"value"`
	}{p.token, raw})
}

type cancelProgressParams struct {
	Token jsontext.Value `json:"token"`
}

func (s *Server) cancelProgress(_ context.Context, p *cancelProgressParams) error {
	s.progress.mu.Lock()
	cancel := s.progress.cancels[tokenName(p.Token)]
	s.progress.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	return nil
}

// tokenName is the text of a token, which may be a string or a number.
func tokenName(token jsontext.Value) string {
	if unquoted, err := jsontext.AppendUnquote(nil, token); err == nil {
		return string(unquoted)
	}
	return string(token)
}
