package session

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"glue-lsp/sandbox"
)

// steppedClock is a clock that a test moves.
type steppedClock struct {
	mu      sync.Mutex
	now     time.Time
	waiting []alarm
}

type alarm struct {
	at time.Time
	c  chan time.Time
}

func (k *steppedClock) Now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *steppedClock) After(d time.Duration) <-chan time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := make(chan time.Time, 1)
	k.waiting = append(k.waiting, alarm{k.now.Add(d), c})
	return c
}

// waits reports whether somebody waits for the clock.
func (k *steppedClock) waits() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.waiting) > 0
}

// step moves the clock, and wakes who waited for that.
func (k *steppedClock) step(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
	left := k.waiting[:0]
	for _, a := range k.waiting {
		if a.at.After(k.now) {
			left = append(left, a)
			continue
		}
		a.c <- k.now
	}
	k.waiting = left
}

// mortal is a runtime whose sandboxes end after a while, as those in the cloud do.
type mortal struct {
	*bareRuntime
	clock *steppedClock
	life  time.Duration
}

type mortalSandbox struct {
	sandbox.Sandbox
	ends time.Time
}

func (r mortal) Open(ctx context.Context, spec sandbox.Spec) (sandbox.Sandbox, error) {
	sb, err := r.bareRuntime.Open(ctx, spec)
	if err != nil {
		return nil, err
	}
	return mortalSandbox{sb, r.clock.Now().Add(r.life)}, nil
}

func (s mortalSandbox) Info() sandbox.Info {
	i := s.Sandbox.Info()
	i.ExpiresAt = s.ends
	return i
}

func mortalFixture(t *testing.T, life time.Duration) (*fixture, *steppedClock) {
	f := newFixture(t)
	clock := &steppedClock{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	f.m.o.Now, f.m.o.After = clock.Now, clock.After
	f.m.o.Runtimes = map[string]sandbox.Runtime{"local": mortal{f.rt, clock, life}}
	return f, clock
}

// alerts are what the person was told so far, each once.
func (f *fixture) alerts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, i := range f.infos {
		if i.Alert != "" && (len(out) == 0 || out[len(out)-1] != i.Alert) {
			out = append(out, i.Alert)
		}
	}
	return out
}

func TestS4_BeforeTheCapThePersonIsWarnedTwiceAndCheckpointsAreTaken(t *testing.T) {
	f, clock := mortalFixture(t, 30*time.Minute)
	s := f.open(OpenOptions{})
	if at := s.Info().ExpiresAt; at == nil || !at.Equal(clock.Now().Add(30*time.Minute)) {
		t.Fatalf("it ends at %v", at)
	}
	waiting := func() { f.await(clock.waits) }
	pass := func(d time.Duration) {
		for ; d > 0; d -= 10 * time.Second {
			waiting()
			clock.step(min(d, 10*time.Second))
		}
	}
	pass(25*time.Minute - 10*time.Second)
	waiting()
	if got := f.alerts(); len(got) != 0 {
		t.Fatalf("too early: %q", got)
	}
	seq := s.Info().Checkpoint.Seq
	f.putInside(s, "five.txt")
	pass(10 * time.Second)
	f.await(func() bool { return s.Info().Checkpoint.Seq > seq && s.Info().Checkpoint.ChangedFiles == 1 })
	pass(4*time.Minute - 10*time.Second)
	waiting()
	if got := f.alerts(); len(got) != 1 || !strings.Contains(got[0], "ends in 5 minutes") || !strings.Contains(got[0], "sandbox_timeout_seconds") {
		t.Fatalf("told %q", got)
	}
	f.putInside(s, "one.txt")
	pass(10 * time.Second)
	f.await(func() bool { return s.Info().Checkpoint.ChangedFiles == 2 })
	waiting()
	f.putInside(s, "last.txt")
	pass(45 * time.Second)
	f.await(func() bool { return s.Info().Checkpoint.ChangedFiles == 3 })
	if got := f.alerts(); len(got) != 2 || !strings.Contains(got[1], "ends in 1 minute") {
		t.Errorf("told %q", got)
	}
}

// putInside changes a file inside without a command, so that no checkpoint follows it.
func (f *fixture) putInside(s *Session, name string) {
	f.Helper()
	files, err := s.Files()
	if err == nil {
		_, err = files.WriteFile(f.Context(), name, strings.NewReader(name), sandbox.WriteOptions{Create: true, Overwrite: true})
	}
	if err != nil {
		f.Fatal(err)
	}
}

func TestS4_AShortLifeIsNotWarnedOfAtItsBeginning(t *testing.T) {
	f, clock := mortalFixture(t, 3*time.Minute)
	f.open(OpenOptions{})
	for range 11 {
		f.await(clock.waits)
		clock.step(10 * time.Second)
	}
	f.await(clock.waits)
	if got := f.alerts(); len(got) != 0 {
		t.Errorf("told with 70 s left: %q", got)
	}
	clock.step(10 * time.Second)
	f.await(func() bool { return len(f.alerts()) == 1 })
	if got := f.alerts(); !strings.Contains(got[0], "1 minute") {
		t.Errorf("told %q", got)
	}
}

func TestS4_NobodyIsWarnedOfTheEndOfASandboxThatIsGone(t *testing.T) {
	f, clock := mortalFixture(t, 30*time.Minute)
	s := f.open(OpenOptions{})
	f.await(clock.waits)
	f.kill(s)
	clock.step(26 * time.Minute)
	if _, err := s.Close(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if got := f.alerts(); len(got) != 0 {
		t.Errorf("told %q", got)
	}
}
