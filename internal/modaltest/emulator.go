// Package modaltest gives tests a Modal: the emulator of modalemu/ as a process of its
// own, and a Python with Modal's SDK. What is not there fails the test by name.
package modaltest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"glue-lsp/internal/attendant"
)

// Cloud is a running emulator.
type Cloud struct {
	// URL is its control plane; Admin is where tests look and hurt.
	URL, Admin           string
	TokenID, TokenSecret string
	PID                  int

	process *attendant.Process
}

var shared = sync.OnceValues(func() (*Cloud, error) { return launch() })

// Shared gives the emulator of this test process. It ends with the process. With -short
// the test is left to a longer run: each starts a Python and a sandbox.
func Shared(t testing.TB) *Cloud {
	t.Helper()
	notQuick(t)
	return Smoke(t)
}

// Smoke is Shared for the few tests that run with -short too.
func Smoke(t testing.TB) *Cloud {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Start starts an emulator of the test's own, with arguments of modalemu's. It ends with
// the test. With -short the test is left to a longer run.
func Start(t testing.TB, args ...string) *Cloud {
	t.Helper()
	notQuick(t)
	c, err := launch(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.process.Close(); err != nil {
			t.Errorf("the emulator: %v", err)
		}
	})
	return c
}

func notQuick(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs against the emulator of Modal, which -short leaves out")
	}
}

func launch(args ...string) (*Cloud, error) {
	program, err := emulator()
	if err != nil {
		return nil, err
	}
	process, line, err := attendant.Start(program, args...)
	if err != nil {
		return nil, fmt.Errorf("start the emulator of Modal: %w", err)
	}
	c := &Cloud{process: process}
	if err := json.Unmarshal(line, c); err != nil {
		return nil, errors.Join(fmt.Errorf("the emulator of Modal said %q: %w", line, err), process.Close())
	}
	return c, nil
}

// Environ lists the variables that lead Modal's SDK to the emulator, and to no
// configuration of the person's.
func (c *Cloud) Environ() []string {
	return []string{
		"MODAL_SERVER_URL=" + c.URL, "MODAL_TOKEN_ID=" + c.TokenID, "MODAL_TOKEN_SECRET=" + c.TokenSecret,
		"MODAL_DISABLE_API_PROXY=1", "MODAL_CONFIG_PATH=" + os.DevNull,
	}
}

// Stats is what the emulator counted.
type Stats struct {
	Calls     map[string]int
	Sandboxes []Sandbox
	Alive     int
	Billed    float64 `json:"billedSeconds"`
}

// Sandbox is one sandbox, as the emulator saw it.
type Sandbox struct {
	ID, App, Status string
	Tags            map[string]string
	Alive           bool
	Billed          float64 `json:"billedSeconds"`
	TimeoutSeconds  int
	Env             []string
	Entrypoint      []string
	Image           []string
	Execs           int
	MilliCPU        int
	MemoryMB        int
	Regions         []string
	BlockNetwork    bool
}

// Sandbox finds one by its id.
func (s Stats) Sandbox(t testing.TB, id string) Sandbox {
	t.Helper()
	for _, one := range s.Sandboxes {
		if one.ID == id {
			return one
		}
	}
	t.Fatalf("Modal knows no sandbox %s", id)
	return Sandbox{}
}

// Stats asks what was counted.
func (c *Cloud) Stats(t testing.TB) Stats {
	t.Helper()
	var s Stats
	if err := json.Unmarshal(c.ask(t, http.MethodGet, "/stats", nil), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Faults sets what goes wrong from now on, see Faults in modalemu/emu/faults.go; an empty
// object mends everything.
func (c *Cloud) Faults(t testing.TB, faults map[string]any) {
	t.Helper()
	if faults == nil {
		faults = map[string]any{}
	}
	c.ask(t, http.MethodPost, "/faults", faults)
}

// Cut ends every connection, and refuses new ones for a while.
func (c *Cloud) Cut(t testing.TB, d time.Duration) {
	t.Helper()
	c.ask(t, http.MethodPost, fmt.Sprintf("/cut?ms=%d", d.Milliseconds()), nil)
}

// Freeze lets nothing through for a while, as a network that swallows packets does.
func (c *Cloud) Freeze(t testing.TB, d time.Duration) {
	t.Helper()
	c.ask(t, http.MethodPost, fmt.Sprintf("/freeze?ms=%d", d.Milliseconds()), nil)
}

// End ends a sandbox: how is timeout, terminated, evicted or internal.
func (c *Cloud) End(t testing.TB, sandboxID, how string) {
	t.Helper()
	c.ask(t, http.MethodPost, "/sandboxes/"+sandboxID+"/end?how="+how, nil)
}

func (c *Cloud) ask(t testing.TB, method, path string, body any) []byte {
	t.Helper()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.Admin+path, content)
	if err != nil {
		t.Fatal(err)
	}
	// Connections that are kept would count as leaks.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	answer, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s: %s", method, path, answer.Status, got)
	}
	return got
}
