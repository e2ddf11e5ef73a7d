// Package gittest serves git repositories over HTTP on loopback, as a host of remotes
// would, for tests of those who fetch from one.
package gittest

import (
	"bytes"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Options say what kind of host it is. The zero value is a modern one that lets everybody
// read.
type Options struct {
	// Login refuses whoever gives no user name and password.
	Login bool
	// Old speaks version 0 of git's protocol, in which only what a branch points to can be
	// asked for.
	Old bool
	// Dumb serves files only, from which no part of a history can be had.
	Dumb bool
}

// Server is a running one.
type Server struct {
	URL      string // without a slash at its end; below it are the repositories by name
	requests atomic.Int64
}

// Requests counts what was asked of it.
func (s *Server) Requests() int64 { return s.requests.Load() }

// Serve serves the bare repositories in dir until the test ends.
func Serve(t testing.TB, dir string, o Options) *Server {
	t.Helper()
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("git is needed for this test: %v", err)
	}
	backend := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Fatalf("git's own http server is needed for this test: %v", err)
	}
	s := &Server{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if _, _, ok := r.BasicAuth(); o.Login && !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if o.Dumb {
			http.FileServer(http.Dir(dir)).ServeHTTP(w, r)
			return
		}
		env := []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}
		if asked := r.Header.Get("Git-Protocol"); asked != "" && !o.Old {
			env = append(env, "GIT_PROTOCOL="+asked)
		} else {
			r.Header.Del("Git-Protocol")
		}
		(&cgi.Handler{Path: backend, Env: env, Stderr: &bytes.Buffer{}}).ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	s.URL = web.URL
	return s
}

// Publish makes dir/name a bare copy of a repository.
func Publish(t testing.TB, from, dir, name string) {
	t.Helper()
	to := filepath.Join(dir, name)
	for _, args := range [][]string{
		{"clone", "--quiet", "--bare", from, to},
		{"-C", to, "update-server-info"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
}
