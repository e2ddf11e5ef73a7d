package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Where a value came from.
const (
	FromEditor      = "editor"
	FromWorkspace   = "workspace"
	FromEnvironment = "environment"
	FromFile        = "file"
	FromDefault     = "default"
)

// Sources are where settings come from.
type Sources struct {
	Home    string   // GLUE_HOME, which holds config.yaml
	Environ []string // as os.Environ gives it
	// User and Workspace are initializationOptions.glue.{user,workspace}. An editor
	// merges its workspace's settings into what it sends, so only what it marks as the
	// user's may hold settings that are the user's alone.
	User, Workspace map[string]any
	Trusted         bool // the workspace is trusted
}

// Value is a setting's value and where it came from.
type Value struct {
	Key    string
	Origin string
	Value  any
}

// Error is a value that a setting cannot have.
type Error struct{ Key, Origin, Message string }

func (e *Error) Error() string { return fmt.Sprintf("setting %s (%s): %s", e.Key, e.Origin, e.Message) }

// Load merges the sources: the editor's user settings, its workspace's where the
// workspace is trusted and the setting is not the user's alone, the environment,
// config.yaml, defaults. Unknown keys and values that do not count are warnings, since
// the file may be shared with other programs; a value of the wrong type or range is an
// *Error.
func Load(s Sources) (*Settings, []string, error) {
	values, warnings, err := resolve(s)
	if err != nil {
		return nil, warnings, err
	}
	out := &Settings{}
	for i, row := range Table() {
		row.set(out, values[i].Value)
	}
	return out, warnings, nil
}

// Explain lists every setting with its value and origin.
func Explain(s Sources) ([]Value, error) {
	values, _, err := resolve(s)
	return values, err
}

// layer is one source, flattened to the table's keys.
type layer struct {
	origin string
	values map[string]any
	limit  bool // settings that are the user's alone do not count
}

func resolve(s Sources) ([]Value, []string, error) {
	file, err := readFile(s.Home)
	if err != nil {
		return nil, nil, err
	}
	layers := []layer{{origin: FromEditor, values: flatten(s.User)}}
	var warnings []string
	if s.Trusted || len(s.Workspace) == 0 {
		layers = append(layers, layer{origin: FromWorkspace, values: flatten(s.Workspace), limit: true})
	} else {
		warnings = append(warnings, "the workspace's settings do not count until the workspace is trusted")
	}
	layers = append(layers, layer{origin: FromEnvironment, values: fromEnviron(s.Environ)}, layer{origin: FromFile, values: file})
	table := Table()
	for _, l := range layers {
		warnings = append(warnings, unknownKeys(l, table)...)
	}
	out := make([]Value, len(table))
	for i, row := range table {
		out[i] = Value{Key: row.Key, Origin: FromDefault, Value: row.Default}
		for _, l := range layers {
			v, ok := l.values[row.Key]
			if !ok || v == nil {
				continue
			}
			if l.limit && row.UserOnly {
				warnings = append(warnings, fmt.Sprintf("%s from the %s does not count: only the user may set it", row.Key, l.origin))
				continue
			}
			parsed, err := row.parse(v, l.origin == FromEnvironment)
			if err != nil {
				return nil, warnings, &Error{Key: row.Key, Origin: l.origin, Message: err.Error()}
			}
			out[i] = Value{Key: row.Key, Origin: l.origin, Value: parsed}
			break
		}
	}
	return out, warnings, nil
}

func readFile(home string) (map[string]any, error) {
	if home == "" {
		return nil, nil
	}
	name := filepath.Join(home, "config.yaml")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &Error{Key: name, Origin: FromFile, Message: err.Error()}
	}
	var m map[string]any
	if err := yaml.Unmarshal(b, &m); err != nil {
		return nil, &Error{Key: name, Origin: FromFile, Message: err.Error()}
	}
	return flatten(m), nil
}

// flatten turns nested maps into dotted keys. Maps that are values of the table stay.
func flatten(in map[string]any) map[string]any {
	out := map[string]any{}
	leaves := map[string]bool{}
	for _, row := range Table() {
		leaves[row.Key] = true
	}
	var walk func(prefix string, m map[string]any)
	walk = func(prefix string, m map[string]any) {
		for k, v := range m {
			key := prefix + k
			if sub, ok := v.(map[string]any); ok && !leaves[key] {
				walk(key+".", sub)
				continue
			}
			out[key] = v
		}
	}
	walk("", in)
	return out
}

func fromEnviron(environ []string) map[string]any {
	out := map[string]any{}
	for _, row := range Table() {
		if row.Env == "" {
			continue
		}
		for _, kv := range environ {
			if name, v, ok := strings.Cut(kv, "="); ok && name == row.Env && v != "" {
				out[row.Key] = v
			}
		}
	}
	return out
}

// unknownKeys warns of keys that no setting has, with the nearest that one has.
func unknownKeys(l layer, table []Setting) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(l.values)) {
		if slices.ContainsFunc(table, func(s Setting) bool { return s.Key == key }) {
			continue
		}
		best, dist := "", len(key)/2+1
		for _, row := range table {
			if d := distance(key, row.Key); d < dist {
				best, dist = row.Key, d
			}
		}
		msg := fmt.Sprintf("unknown setting %q (%s)", key, l.origin)
		if best != "" {
			msg += fmt.Sprintf("; did you mean %q?", best)
		}
		out = append(out, msg)
	}
	return out
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diag, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diag+cost)
		}
	}
	return row[len(b)]
}
