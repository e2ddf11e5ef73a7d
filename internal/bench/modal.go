package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"glue-lsp/internal/attendant"
	"glue-lsp/sandbox"
	"glue-lsp/sandbox/modal"
)

// modalPrograms are what sandboxes in the cloud are measured with.
type modalPrograms struct{ emulator, python string }

// roundTrip is what the proxy before the emulator adds.
const roundTrip = 20 * time.Millisecond

// cloud is an emulator of Modal behind a network.
type cloud struct {
	URL, TokenID, TokenSecret string

	process *attendant.Process
	away    *network
}

func (b *bench) startCloud() (*cloud, error) {
	process, line, err := attendant.Start(b.modal.emulator)
	if err != nil {
		return nil, fmt.Errorf("start the emulator of Modal (make modalemu builds it): %w", err)
	}
	c := &cloud{process: process}
	if err = json.Unmarshal(line, c); err == nil {
		c.away, err = startNetwork(strings.TrimPrefix(c.URL, "http://"))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the emulator of Modal: %w", err), process.Close())
	}
	c.URL = "http://" + c.away.addr
	return c, nil
}

func (c *cloud) close() error {
	return errors.Join(c.away.process.Close(), c.process.Close())
}

func (c *cloud) environ() []string {
	return []string{
		"MODAL_SERVER_URL=" + c.URL, "MODAL_TOKEN_ID=" + c.TokenID, "MODAL_TOKEN_SECRET=" + c.TokenSecret,
		"MODAL_DISABLE_API_PROXY=1", "MODAL_CONFIG_PATH=" + os.DevNull,
	}
}

// runtime gives Modal's runtime with a sidecar of its own.
func (b *bench) runtime(c *cloud, home, transport string) *modal.Runtime {
	return modal.New(modal.Options{
		Home: filepath.Join(b.work, home), Python: b.modal.python, App: "bench", DeleteOnClose: true, Transport: transport,
		Environ: append(os.Environ(), c.environ()...),
	})
}

// measureModal measures sandboxes in the cloud, through the real SDK, over a network with
// a round trip of 20 ms: by the agent, beside a bare connection and beside the SDK's own
// calls.
func (b *bench) measureModal() (err error) {
	c, err := b.startCloud()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	floor, err := networkFloor()
	if err != nil {
		return err
	}
	b.add(row{what: "Modal: a byte there and back, p50 / p90", floor: "the network", goal: "20 ms", text: fmt.Sprintf("– | %s | –", floor)})
	boxes := map[string]*measuredBox{}
	for _, transport := range []string{modal.Agent, modal.Direct} {
		m, err := b.openMeasured(c, transport)
		if err != nil {
			return fmt.Errorf("%s: %w", transport, err)
		}
		defer func() { err = errors.Join(err, m.close(b)) }()
		boxes[transport] = m
	}
	if err := b.modalLatencies(boxes[modal.Agent], boxes[modal.Direct], floor); err != nil {
		return err
	}
	if err := b.modalMany(boxes[modal.Agent], boxes[modal.Direct], floor); err != nil {
		return err
	}
	if err := b.modalBulk(boxes[modal.Agent], boxes[modal.Direct]); err != nil {
		return err
	}
	return b.modalOpen(c)
}

// measuredBox is a sandbox and the process that holds it.
type measuredBox struct {
	sandbox.Sandbox
	rt      *modal.Runtime
	sidecar int // its process id
	opened  time.Duration
}

func (b *bench) openMeasured(c *cloud, transport string) (*measuredBox, error) {
	before, err := childrenOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	m := &measuredBox{rt: b.runtime(c, "home-modal-"+transport, transport)}
	dir := filepath.Join(b.work, "modal-"+transport)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	start := time.Now()
	m.Sandbox, err = m.rt.Open(b.ctx, sandbox.Spec{Session: "bench-" + transport, Dir: dir, Timeout: time.Hour})
	if err != nil {
		return nil, errors.Join(err, m.rt.Close(b.ctx))
	}
	m.opened = time.Since(start)
	after, err := childrenOf(os.Getpid())
	for pid := range after {
		if !before[pid] {
			m.sidecar = pid
		}
	}
	if err == nil && m.sidecar == 0 {
		err = errors.New("no process of the sidecar was found")
	}
	return m, err
}

func (m *measuredBox) close(b *bench) error {
	return errors.Join(m.Close(b.ctx), m.rt.Close(b.ctx))
}

// childrenOf gives a process's children by their ids.
func childrenOf(parent int) (map[int]bool, error) {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int]bool{}
	for _, name := range all {
		line, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		var pid, ppid int
		var state string
		_, rest, _ := strings.Cut(string(line), ") ")
		if _, err := fmt.Sscan(rest, &state, &ppid); err != nil || ppid != parent {
			continue
		}
		if _, err := fmt.Sscan(string(line), &pid); err != nil {
			return nil, err
		}
		children[pid] = true
	}
	return children, nil
}

// networkFloor is a byte to an echo and back, through a proxy like the emulator's.
func networkFloor() (l latency, err error) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return l, err
	}
	defer echo.Close()
	go func() {
		conn, err := echo.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.Copy(conn, conn)
	}()
	away, err := startNetwork(echo.Addr().String())
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, away.process.Close()) }()
	conn, err := net.Dial("tcp", away.addr)
	if err != nil {
		return l, err
	}
	defer conn.Close()
	buf := []byte{'x'}
	return alone(200, func() error {
		if _, err := conn.Write(buf); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, buf)
		return err
	})
}
