package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// latency is the middle of many times, and what nine of ten stay below.
type latency struct{ p50, p90 time.Duration }

func (l latency) String() string { return millis(l.p50) + " / " + millis(l.p90) }

// millis keeps the digits that goals are about.
func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func latencyOf(times []time.Duration) latency {
	slices.Sort(times)
	return latency{times[len(times)/2], times[len(times)*9/10]}
}

// alone runs f n times, one after the other, after some that do not count.
func alone(n int, f func() error) (latency, error) {
	for range n/10 + 1 {
		if err := f(); err != nil {
			return latency{}, err
		}
	}
	times := make([]time.Duration, n)
	for i := range times {
		start := time.Now()
		if err := f(); err != nil {
			return latency{}, err
		}
		times[i] = time.Since(start)
	}
	return latencyOf(times), nil
}

// inFlight has eight callers, each of which calls f n times at random moments.
func inFlight(n int, pause time.Duration, f func() error) (latency, error) {
	const callers = 8
	var mu sync.Mutex
	var times []time.Duration
	var failed error
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range n {
				time.Sleep(rand.N(pause))
				start := time.Now()
				err := f()
				d := time.Since(start)
				mu.Lock()
				times = append(times, d)
				if failed == nil {
					failed = err
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	if failed != nil {
		return latency{}, failed
	}
	return latencyOf(times), nil
}

// together calls f n times at the same moment, and waits for all.
func together(n int, f func() error) error {
	errs := make(chan error, n)
	for range n {
		go func() { errs <- f() }()
	}
	var failed error
	for range n {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return failed
}
