package handlers

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.lsp.dev/protocol"
	"go.uber.org/zap"

	"glue-lsp/config"
)

// editorSettings is what an editor sends under "glue". Editors merge the workspace's
// settings into the user's, so only a client that keeps them apart is believed about
// what is the user's.
type editorSettings struct {
	User      map[string]any `json:"user,omitzero"`
	Workspace map[string]any `json:"workspace,omitzero"`
	Trusted   bool           `json:"trusted,omitzero"`
}

type didChangeConfigurationParams struct {
	Settings jsontext.Value `json:"settings,omitzero"`
}

// readEditorSettings finds the settings in {glue: {user, workspace, trusted}}. Settings
// that are not kept apart count as the workspace's, untrusted. given is false where there
// are none, as in the empty settings that some clients send on starting.
func readEditorSettings(raw jsontext.Value) (e editorSettings, given bool, err error) {
	var outer struct {
		Glue jsontext.Value `json:"glue"`
	}
	if raw.Kind() != '{' {
		return e, false, nil
	}
	if err := json.Unmarshal(raw, &outer, jsontext.AllowDuplicateNames(true)); err != nil || outer.Glue == nil || outer.Glue.Kind() == 'n' {
		return e, false, err
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(outer.Glue, &members, jsontext.AllowDuplicateNames(true)); err != nil {
		return e, false, badParam("glue", "expected an object, found %s", kindName(outer.Glue.Kind()))
	}
	_, user := members["user"]
	_, workspace := members["workspace"]
	_, trusted := members["trusted"]
	if !user && !workspace && !trusted {
		err := json.Unmarshal(outer.Glue, &e.Workspace, jsontext.AllowDuplicateNames(true))
		return e, true, err
	}
	if err := json.Unmarshal(outer.Glue, &e, jsontext.AllowDuplicateNames(true)); err != nil {
		return editorSettings{}, false, fromDecodeError(err)
	}
	return e, true, nil
}

func (s *Server) readInitialSettings(raw jsontext.Value) {
	e, _, err := readEditorSettings(raw)
	s.settingsMu.Lock()
	defer s.settingsMu.Unlock()
	s.sources = config.Sources{Home: s.o.Home, Environ: s.o.Environ, User: e.User, Workspace: e.Workspace, Trusted: e.Trusted}
	s.loadSettings(err)
}

// loadSettings reads all sources again; the lock is held. With a wrong value the settings
// in force stay what they were, and sessions are not opened until it is corrected.
func (s *Server) loadSettings(err error) {
	var warnings []string
	if err == nil {
		var loaded *config.Settings
		if loaded, warnings, err = config.Load(s.sources); err == nil {
			s.settings = loaded
		}
	}
	s.settingsErr = err
	for _, w := range warnings {
		s.log.Warn("settings", zap.String("warning", w))
	}
	s.settingsWarnings = warnings
}

// tellSettingsProblems shows what is wrong to the person who can correct it.
func (s *Server) tellSettingsProblems() {
	s.settingsMu.Lock()
	err, warnings := s.settingsErr, s.settingsWarnings
	s.settingsWarnings = nil
	s.settingsMu.Unlock()
	if err != nil {
		s.say(protocol.MessageTypeError, "glue: "+messageOf(err))
	}
	for _, w := range warnings {
		s.say(protocol.MessageTypeWarning, "glue: "+w)
	}
}

func (s *Server) currentSettings() *config.Settings {
	s.settingsMu.Lock()
	defer s.settingsMu.Unlock()
	return s.settings
}

// usableSettings is currentSettings for what must not start with settings that were
// meant otherwise.
func (s *Server) usableSettings() (*config.Settings, error) {
	s.settingsMu.Lock()
	defer s.settingsMu.Unlock()
	return s.settings, s.settingsErr
}

func (s *Server) didChangeConfiguration(_ context.Context, p *didChangeConfigurationParams) error {
	e, given, err := readEditorSettings(p.Settings)
	s.settingsMu.Lock()
	if given {
		s.sources.User, s.sources.Workspace, s.sources.Trusted = e.User, e.Workspace, e.Trusted
	}
	s.loadSettings(err)
	s.settingsMu.Unlock()
	s.background(func(context.Context) { s.tellSettingsProblems() })
	return nil
}
