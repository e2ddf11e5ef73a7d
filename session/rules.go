package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/google/renameio/v2"

	"glue-lsp/internal/tree"
)

// ignoreRules are the rules of the agreed tree; the agent gets them when they changed.
// They are kept in the session's folder besides: whoever captures the tree after this
// process died must leave out what this one left out.
type ignoreRules struct{ current, sent, kept []tree.IgnoreFile }

// pending gives the rules if the agent does not have them yet.
func (r *ignoreRules) pending() []tree.IgnoreFile {
	if r.sent != nil && reflect.DeepEqual(r.sent, r.current) {
		return nil
	}
	if r.current == nil {
		return []tree.IgnoreFile{}
	}
	return r.current
}

const rulesFile = "ignore.json"

// keep writes the rules into the session's folder if they are not there yet.
func (r *ignoreRules) keep(dir string) error {
	if r.kept != nil && reflect.DeepEqual(r.kept, r.current) {
		return nil
	}
	b, err := json.Marshal(r.current)
	if err == nil {
		err = renameio.WriteFile(filepath.Join(dir, rulesFile), b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the ignore rules: %w", err)
	}
	r.kept = r.current
	if r.kept == nil {
		r.kept = []tree.IgnoreFile{}
	}
	return nil
}

// readRules reads the rules that another process kept.
func readRules(dir string) (ignoreRules, error) {
	b, err := os.ReadFile(filepath.Join(dir, rulesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return ignoreRules{}, nil
	}
	var r ignoreRules
	if err == nil {
		err = json.Unmarshal(b, &r.current)
	}
	if err != nil {
		return r, fmt.Errorf("read the ignore rules: %w", err)
	}
	r.kept = r.current
	return r, nil
}
