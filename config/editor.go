package config

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// EditorPrefix stands before every key in an editor's settings.
const EditorPrefix = "glue."

// property is a setting as an editor's manifest describes it: JSON Schema, with what VS
// Code adds to it.
type property struct {
	Type        string    `json:"type"`
	Enum        []string  `json:"enum,omitempty"`
	Pattern     string    `json:"pattern,omitempty"`
	Minimum     *float64  `json:"minimum,omitempty"`
	Maximum     *float64  `json:"maximum,omitempty"`
	Items       *property `json:"items,omitempty"`
	Properties  *members  `json:"properties,omitempty"`
	Additional  any       `json:"additionalProperties,omitempty"`
	Default     any       `json:"default,omitempty"`
	Scope       string    `json:"scope,omitempty"`
	Order       int       `json:"order,omitempty"`
	Description string    `json:"description,omitempty"`
}

// members keeps the order in which properties are listed, which JSON objects of Go do not.
type members []member

type member struct {
	name string
	of   property
}

func (m members) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, one := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := encode(one.name)
		if err != nil {
			return nil, err
		}
		value, err := encode(one.of)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode is JSON without the escapes for web pages.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// What VS Code calls who may set a setting, and for where. A remote machine's own
// settings are the only ones that count there for what names its programs.
const (
	scopePerson  = "application"         // the person, for all of their machines
	scopeMachine = "machine"             // the person, for one machine
	scopeProgram = "machine-overridable" // the person for one machine, and a folder that they trust
	scopeFolder  = "window"              // a folder too
)

// serverPath is the extension's own setting, beside the table's.
var serverPath = member{EditorPrefix + "serverPath", property{
	Type: "string", Default: "", Scope: scopeProgram, Order: 1,
	Description: "The glue-lsp program to start, as an absolute path or one that begins with ~/. " +
		"Empty is the one that comes with the extension, or else the first on PATH.",
}}

// EditorProperties are the settings as VS Code's manifest lists them, as JSON that is
// indented by two spaces behind indent.
func EditorProperties(indent string) (string, error) {
	all := members{serverPath}
	for i, s := range Table() {
		p, err := s.property()
		if err != nil {
			return "", err
		}
		p.Order = i + 2
		all = append(all, member{EditorPrefix + s.Key, p})
	}
	return indented(all, indent)
}

// EditorRestricted are the settings that do not count when they come from a folder that is
// not trusted, as JSON.
func EditorRestricted(indent string) (string, error) {
	keys := []string{serverPath.name}
	for _, s := range Table() {
		if s.UserOnly {
			keys = append(keys, EditorPrefix+s.Key)
		}
	}
	return indented(keys, indent)
}

func indented(v any, indent string) (string, error) {
	raw, err := encode(v)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = json.Indent(&b, raw, indent, "  ")
	return b.String(), err
}

// property describes the setting. What it is by default is told in any case: the editor
// shows it, and only sends what somebody set.
func (s Setting) property() (property, error) {
	p := property{Enum: s.Enum, Default: s.Default, Scope: s.scope(), Description: s.Help}
	if s.Env != "" {
		p.Description += " Not set, " + s.Env + " counts."
	}
	switch s.Type {
	case String, Integer, Number, Boolean:
		p.Type = string(s.Type)
	case Strings:
		p.Type, p.Items = "array", &property{Type: "string"}
	case StringMap:
		p.Type, p.Additional = "object", &property{Type: "string"}
	case Runners:
		p.Type, p.Items = "array", runnerProperty()
	default:
		return property{}, fmt.Errorf("the setting %s has type %s, which editors are not told how to write", s.Key, s.Type)
	}
	if s.Key == "history" {
		p.Pattern = historyForm.String()
	}
	if s.Min != s.Max {
		p.Minimum, p.Maximum = &s.Min, &s.Max
	}
	return p, nil
}

func (s Setting) scope() string {
	switch {
	case s.Key == "modal.python_path" || s.Key == "modal.modal_cli":
		return scopeMachine
	case s.UserOnly:
		return scopePerson
	default:
		return scopeFolder
	}
}

func runnerProperty() *property {
	text := func(description string) property { return property{Type: "string", Description: description} }
	return &property{Type: "object", Additional: false, Properties: &members{
		{"language", text("The language's id; empty fits any.")},
		{"files", text("A pattern for the file's name; empty fits any.")},
		{"run", text("The shell command that runs the file. {file}, {dir}, {base} and {stem} stand for quoted words.")},
		{"test", text("The shell command that runs one test, whose name is {name}.")},
	}}
}
