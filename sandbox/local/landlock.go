package local

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
)

// confinement is what a launcher asks the kernel for, as data: the launcher takes it as
// its argument, and tests read it where the kernel cannot be asked.
type confinement struct {
	ABI     int        `json:"abi"` // of landlock, as the kernel told it
	Rules   []pathRule `json:"rules"`
	Network string     `json:"network"` // on or none
	Socket  raw        `json:"socket"`  // of the agent
	Argv    []raw      `json:"argv"`    // the agent; Argv[0] is its path
}

// raw is a string of any bytes, of which paths are made; JSON's must be UTF-8.
type raw string

// MarshalText writes it percent-encoded.
func (r raw) MarshalText() ([]byte, error) {
	return []byte((&url.URL{Path: string(r)}).EscapedPath()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (r *raw) UnmarshalText(b []byte) error {
	s, err := url.PathUnescape(string(b))
	*r = raw(s)
	return err
}

// pathRule allows something on a path and everything below it.
type pathRule struct {
	Path   raw    `json:"path"`
	Rights rights `json:"rights"`
	File   bool   `json:"file,omitzero"` // not a folder, which has more rights to give
}

// rights are what a rule allows, by a name for people.
type rights string

const (
	// mayRead: reading, listing, executing.
	mayRead rights = "read"
	// mayList: listing folders only.
	mayList rights = "list"
	// mayWrite: everything but the making of device nodes.
	mayWrite rights = "write"
	// mayUse: reading and writing what is there, for devices.
	mayUse rights = "use"
	// mayControl is mayUse with control codes, for terminals.
	mayControl rights = "control"
	// mayShare: making, reading and writing files whose names one knows; no listing.
	mayShare rights = "share"
)

// What the kernel's versions of landlock brought; see "Previous limitations" in
// https://docs.kernel.org/userspace-api/landlock.html.
const (
	abiTruncate = 3 // Linux 6.2
	abiTCP      = 4 // 6.7
	abiIoctl    = 5 // 6.10
	abiScopes   = 6 // 6.12: signals, abstract unix sockets
	abiUnix     = 9 // connecting to unix sockets by path
	abiUDP      = 10
)

// minABI is the oldest landlock that confines enough: before it, a file that may not be
// written can still be emptied.
const minABI = abiTruncate

// newestABI is the newest that is known here.
const newestABI = 11

func (c *confinement) encode() (string, error) {
	b, err := json.Marshal(c)
	return string(b), err
}

func decodeConfinement(s string) (*confinement, error) {
	var c confinement
	if err := json.Unmarshal([]byte(s), &c); err != nil {
		return nil, fmt.Errorf("the confinement does not decode: %w", err)
	}
	switch {
	case c.ABI < minABI:
		return nil, fmt.Errorf("landlock's version %d is too old", c.ABI)
	case len(c.Argv) == 0 || c.Socket == "":
		return nil, fmt.Errorf("the confinement names no agent")
	case c.Network != "on" && c.Network != "none":
		return nil, fmt.Errorf("the confinement's network is %q", c.Network)
	}
	return &c, nil
}

// allow adds a rule.
func (c *confinement) allow(r pathRule) {
	if !slices.Contains(c.Rules, r) {
		c.Rules = append(c.Rules, r)
	}
}

// landlockGaps are what cannot be held at a version of landlock.
func landlockGaps(abi int, network string) []string {
	gaps := []string{
		"commands see names, sizes and dates of your files elsewhere, and can change their modes, owners, dates and extended attributes, though not read or write them",
		"commands see which other processes run, with their command lines",
	}
	if abi < abiScopes {
		gaps = append(gaps, "commands can signal your other processes (from Linux 6.12 on they cannot)")
	}
	if network == "none" {
		gaps = append(gaps, "with the network off, not even loopback is there")
	} else {
		gaps = append(gaps, "with the network on, commands reach it as you do, services on this machine included")
	}
	if abi < abiUnix {
		gaps = append(gaps, "commands cannot use unix sockets at all, since this kernel cannot tell yours from theirs")
	}
	return append(gaps,
		"/tmp and /var/tmp are out of reach: programs that do not honour TMPDIR fail",
		"programs that open a terminal of their own (script, tmux, expect), or theirs by a name such as /dev/stdout, fail",
		"files in /dev/shm of your other programs can be read and written by whoever guesses their names",
		"System V shared memory, semaphores and message queues and POSIX message queues of your other programs are within reach (databases are known to use them)",
		"programs and settings of the machine (such as /usr, /etc and /opt) can be read",
		"memory, processor time and disk space are not limited",
	)
}
