package main

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"glue-lsp/sandbox"
)

// call is one small operation that is measured.
type call struct {
	name, goal string
	f          func(b *bench, sb sandbox.Sandbox) error
}

var calls = []call{
	{"exec of `true`", "≤ 24 / 26 ms", func(b *bench, sb sandbox.Sandbox) error {
		p, err := sb.Start(b.ctx, sandbox.ExecRequest{Argv: []string{"true"}})
		if err != nil {
			return err
		}
		_, err = p.Wait(b.ctx, nil)
		return err
	}},
	{"stat", "≤ 23 / 25 ms", statRoot},
	{"reading a small file", "≤ 23 / 25 ms", func(b *bench, sb sandbox.Sandbox) error {
		r, _, err := sb.ReadFile(b.ctx, "/etc/passwd", 0, -1)
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
		return err
	}},
	{"writing a small file", "≤ 23 / 25 ms", func(b *bench, sb sandbox.Sandbox) error {
		name := fmt.Sprintf("/tmp/small-%d", written.Add(1)%64)
		_, err := sb.WriteFile(b.ctx, name, strings.NewReader("hello\n"), sandbox.WriteOptions{Create: true, Overwrite: true})
		return err
	}},
}

var written atomic.Int64

func statRoot(b *bench, sb sandbox.Sandbox) error {
	_, err := sb.Stat(b.ctx, "/etc/passwd")
	return err
}

// modalLatencies measures small calls, alone and with others in flight.
func (b *bench) modalLatencies(by, direct *measuredBox, floor latency) error {
	for _, c := range calls {
		plain, err := alone(20, func() error { return c.f(b, direct) })
		if err != nil {
			return err
		}
		for _, way := range []struct {
			name string
			run  func(func() error) (latency, error)
		}{
			{"alone", func(f func() error) (latency, error) { return alone(200, f) }},
			{"8 in flight at random times", func(f func() error) (latency, error) { return inFlight(50, 2*roundTrip, f) }},
		} {
			here, err := way.run(func() error { return c.f(b, by) })
			if err != nil {
				return err
			}
			b.add(row{
				what: fmt.Sprintf("Modal: %s, %s, p50 / p90", c.name, way.name), floor: "the network",
				text: fmt.Sprintf("%s | %s (direct mode %s) | %.2f×", floor, here, plain, here.p50.Seconds()/floor.p50.Seconds()), goal: c.goal,
			})
		}
	}
	return nil
}

// modalMany measures many files at once.
func (b *bench) modalMany(by, direct *measuredBox, floor latency) error {
	const many = 200
	paths := make([]string, many)
	for i := range paths {
		paths[i] = fmt.Sprintf("/etc/file%d", i)
	}
	for _, c := range []struct {
		name, goal string
		f          func(sandbox.Sandbox) error
	}{
		{"200 stats side by side", "≤ 60 ms", func(sb sandbox.Sandbox) error {
			return together(many, func() error { return statRoot(b, sb) })
		}},
		{"200 files in one statMany", "≤ 30 ms", func(sb sandbox.Sandbox) error {
			_, err := sb.StatMany(b.ctx, paths)
			return err
		}},
	} {
		here, err := alone(20, func() error { return c.f(by) })
		if err != nil {
			return err
		}
		plain, err := alone(3, func() error { return c.f(direct) })
		if err != nil {
			return err
		}
		b.add(row{
			what: "Modal: " + c.name + ", p50 / p90", floor: "the network",
			text: fmt.Sprintf("%s | %s (direct mode %s) | %.2f×", floor, here, plain, here.p50.Seconds()/floor.p50.Seconds()), goal: c.goal,
		})
	}
	return nil
}
