package handlers

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// peer is what initialize told about the client. It does not change, but for its folders.
type peer struct {
	client client
	docs   *documents

	mu      sync.Mutex
	folders []folder // in the client's order
}

// folder is a workspace folder. Sessions know it by the path without links; the client
// finds its buffers only under the path that it gave.
type folder struct {
	path string // absolute, clean, as the client says
	real string
}

type didChangeFoldersParams struct {
	Event struct {
		Added   []workspaceFolder `json:"added,omitzero"`
		Removed []workspaceFolder `json:"removed,omitzero"`
	} `json:"event"`
}

func (s *Server) didChangeFolders(_ context.Context, p *didChangeFoldersParams) error {
	peer := s.peer.Load()
	for _, f := range p.Event.Removed {
		if dir, err := hostPath(f.URI); err == nil {
			peer.removeFolder(dir)
		}
	}
	for _, f := range p.Event.Added {
		if dir, err := hostPath(f.URI); err == nil {
			peer.addFolder(dir)
		}
	}
	return nil
}

// Folders are the workspace folders that the client has named, as absolute host paths.
func (s *Server) Folders() []string {
	peer := s.peer.Load()
	if peer == nil {
		return nil
	}
	peer.mu.Lock()
	defer peer.mu.Unlock()
	out := make([]string, len(peer.folders))
	for i, f := range peer.folders {
		out[i] = f.path
	}
	return out
}

func (p *peer) addFolder(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.ContainsFunc(p.folders, func(f folder) bool { return f.path == dir }) {
		p.folders = append(p.folders, folder{path: dir, real: resolved(dir)})
	}
}

func (p *peer) removeFolder(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.folders = slices.DeleteFunc(p.folders, func(f folder) bool { return f.path == dir })
}

// folderFor picks the workspace folder of a file: the deepest that holds it. With no
// file it is the first folder; ok is false when there is none.
func (p *peer) folderFor(file string) (dir string, ok bool) {
	real := ""
	if file != "" {
		real = inRealFolder(file)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if file == "" {
		if len(p.folders) == 0 {
			return "", false
		}
		return p.folders[0].path, true
	}
	for _, f := range p.folders {
		if (isBelow(file, f.path) || isBelow(real, f.real)) && len(f.path) > len(dir) {
			dir = f.path
		}
	}
	return dir, dir != ""
}

// uriOf names a host file to the client: as the client itself does where it has the file
// open, else below the client's name of the folder.
func (p *peer) uriOf(path string) string {
	if uri := p.docs.uriOf(path); uri != "" {
		return uri
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.folders {
		if f.real != f.path && isBelow(path, f.real) {
			return fileURI(filepath.Join(f.path, strings.TrimPrefix(path, f.real)))
		}
	}
	return fileURI(path)
}

// isBelow reports whether a path is a folder or lies in it. Both are absolute and clean.
func isBelow(file, dir string) bool {
	if dir == "/" || file == dir {
		return true
	}
	return len(file) > len(dir) && file[len(dir)] == '/' && file[:len(dir)] == dir
}

// resolved follows a path's links as far as there is something.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolved(parent), filepath.Base(path))
}
