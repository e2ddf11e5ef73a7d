// Command modalemu plays Modal on loopback for tests. It prints one line of JSON when
// it is ready, and ends with its standard input or a signal.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"modalemu/emu"
	"modalemu/fstools"
	"modalemu/machine"
)

// ready is what the first line of standard output says.
type ready struct {
	URL         string `json:"url"`   // for MODAL_SERVER_URL
	Admin       string `json:"admin"` // see emu's admin.go
	TokenID     string `json:"tokenId"`
	TokenSecret string `json:"tokenSecret"`
	PID         int    `json:"pid"`
}

func main() {
	switch {
	case len(os.Args) > 1 && os.Args[1] == machine.Word:
		os.Exit(machine.Main())
	case filepath.Base(os.Args[0]) == fstools.Name:
		os.Exit(fstools.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "modalemu:", err)
		os.Exit(1)
	}
}

func run() error {
	var o emu.Options
	flag.StringVar(&o.Listen, "listen", "127.0.0.1:0", "address of both planes")
	flag.StringVar(&o.Admin, "admin", "127.0.0.1:0", "address of the HTTP interface")
	flag.StringVar(&o.Dir, "dir", "", "where sandboxes' files are kept (default: a temporary folder)")
	flag.StringVar(&o.TokenID, "token-id", "ak-emulator", "the token that is accepted")
	flag.StringVar(&o.TokenSecret, "token-secret", "as-emulator", "its secret")
	flag.DurationVar(&o.RoundTrip, "rtt", 0, "wait so long before each call is answered, such as 20ms")
	verbose := flag.Bool("v", false, "log failed calls to standard error")
	flag.Parse()
	if *verbose {
		o.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s, err := emu.Start(o)
	if err != nil {
		return err
	}
	err = json.NewEncoder(os.Stdout).Encode(ready{URL: s.URL(), Admin: s.AdminURL(), TokenID: o.TokenID, TokenSecret: o.TokenSecret, PID: os.Getpid()})
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	return s.Close()
}
