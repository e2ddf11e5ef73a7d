package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"glue-lsp/config"
	"glue-lsp/session"
)

// app is what the subcommands share: settings and the sessions' manager.
type app struct {
	settings *config.Settings
	manager  *session.Manager
	warnings []string
}

// homeDir is GLUE_HOME, by default ~/.glue.
func homeDir() (string, error) {
	if dir := os.Getenv("GLUE_HOME"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("there is no home folder to keep sessions in (%w); set GLUE_HOME", err)
	}
	return filepath.Join(home, ".glue"), nil
}

// newApp reads the settings of the environment and config.yaml and makes a manager.
func newApp(o session.Options) (*app, error) {
	home, err := homeDir()
	if err != nil {
		return nil, err
	}
	settings, warnings, err := config.Load(config.Sources{Home: home, Environ: os.Environ(), Trusted: true})
	if err != nil {
		return nil, err
	}
	m, err := newManager(home, func() *config.Settings { return settings }, currentFolder, o)
	if err != nil {
		return nil, err
	}
	return &app{settings: settings, manager: m, warnings: warnings}, nil
}

// newManager makes a manager with every runtime that this build has.
func newManager(home string, settings func() *config.Settings, folders func() []string, o session.Options) (*session.Manager, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	s := settings()
	o.Home = home
	o.Now = time.Now
	o.CaptureMax, o.Quota = int64(s.CaptureMaxMB)<<20, int64(s.QuotaMB)<<20
	o.Finish = leaveToFinisher
	o.Runtimes = newRuntimes(home, self, settings, folders, o.Log)
	return session.NewManager(o)
}
