package session

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
)

// AllowUnconfined remembers that the person lets commands run without isolation on a
// folder, where there is none. It is kept in GLUE_HOME: a workspace cannot allow itself.
func (m *Manager) AllowUnconfined(folder string) error {
	file, real, err := m.unconfinedFile(folder)
	if err == nil {
		err = os.WriteFile(file, []byte(real+"\n"), 0o600)
	}
	if err != nil {
		return &Error{Kind: "unavailable", Op: "remember the answer for this folder", Path: folder, Message: err.Error(), Err: err}
	}
	return nil
}

// unconfinedAllowed reports whether AllowUnconfined was said of a folder.
func (m *Manager) unconfinedAllowed(folder string) bool {
	file, real, err := m.unconfinedFile(folder)
	if err != nil {
		return false
	}
	b, err := os.ReadFile(file)
	return err == nil && string(b) == real+"\n"
}

// unconfinedFile is where the answer for a folder is kept. It holds the folder's name.
func (m *Manager) unconfinedFile(folder string) (file, real string, err error) {
	if real, err = filepath.EvalSymlinks(folder); err != nil {
		return "", "", err
	}
	sum := sha256.Sum256([]byte(real))
	return filepath.Join(m.o.Home, "workspaces", hex.EncodeToString(sum[:])+".unconfined"), real, nil
}
