package handlers

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// paramError is a parameter that is missing, of the wrong type or out of range. Field
// is its name, with dots and indices for what lies deeper.
type paramError struct {
	Field  string
	Reason string
}

func (e *paramError) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}

func badParam(field, format string, args ...any) *paramError {
	return &paramError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// checker is a params type with rules beyond its fields' types.
type checker interface{ check() error }

// editorText is a params type that carries a buffer's text. A lone surrogate, which some
// editors' strings can hold and no file, is then read as U+FFFD, as it would be saved;
// everywhere else it is an error, since it would change what was meant.
type editorText interface{ carriesEditorText() }

// decodeParams reads a request's params. Names are exact, members that are not known are
// ignored, a field without omitzero in its tag is required, and null stands for a member
// that is left out. Every error is a *paramError.
func decodeParams(raw []byte, into any) error {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	if raw[0] != '{' {
		return badParam("", "params must be an object, found %s", kindName(jsontext.Value(raw).Kind()))
	}
	_, text := into.(editorText)
	if err := json.Unmarshal(raw, into, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(text)); err != nil {
		return fromDecodeError(err)
	}
	if err := checkRequired(raw, reflect.TypeOf(into).Elem(), ""); err != nil {
		return err
	}
	if c, ok := into.(checker); ok {
		return c.check()
	}
	return nil
}

// fromDecodeError says which field is wrong, and how, without Go's types.
func fromDecodeError(err error) error {
	sem, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		if p, ok := errors.AsType[*paramError](err); ok {
			return p
		}
		if syn, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
			return badParam(fieldOf(syn.JSONPointer), "%v", syn.Err)
		}
		return badParam("", "%v", err)
	}
	field := fieldOf(sem.JSONPointer)
	if p, ok := errors.AsType[*paramError](sem.Err); ok {
		return badParam(joinField(field, p.Field), "%s", p.Reason)
	}
	want := typeName(sem.GoType)
	if sem.GoType == nil || want == "" {
		return badParam(field, "%v", sem.Err)
	}
	if sem.JSONKind == '0' && strings.HasPrefix(want, "whole number") {
		return badParam(field, "expected a %s, found %s", want, clip(string(sem.JSONValue), 40))
	}
	return badParam(field, "expected %s, found %s", withArticle(want), kindName(sem.JSONKind))
}

func withArticle(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

// fieldOf turns /resolutions/0/path into resolutions[0].path.
func fieldOf(p jsontext.Pointer) string {
	var b strings.Builder
	for tok := range p.Tokens() {
		if tok != "" && strings.Trim(tok, "0123456789") == "" {
			b.WriteString("[" + tok + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(clip(tok, 80))
	}
	return b.String()
}

// checkRequired walks the JSON text along the type and names the first field that is
// missing. The text was decoded into the type before, so its shape is right.
func checkRequired(raw jsontext.Value, t reflect.Type, field string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case raw.Kind() == 'n' || reflect.PointerTo(t).Implements(unmarshalerType):
		return nil
	case t.Kind() == reflect.Slice && holdsStruct(t.Elem()) && raw.Kind() == '[':
		return eachElement(raw, func(i int, v jsontext.Value) error {
			return checkRequired(v, t.Elem(), fmt.Sprintf("%s[%d]", field, i))
		})
	case t.Kind() != reflect.Struct || raw.Kind() != '{':
		return nil
	}
	fields := structFields(t)
	seen := make(map[string]bool, len(fields))
	err := eachMember(raw, func(name string, v jsontext.Value) error {
		i := slices.IndexFunc(fields, func(f structField) bool { return f.name == name })
		if i < 0 || v.Kind() == 'n' && !fields[i].nullable {
			return nil
		}
		seen[name] = true
		if holdsStruct(fields[i].typ) {
			return checkRequired(v, fields[i].typ, joinField(field, name))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range fields {
		if f.required() && !seen[f.name] && !slices.ContainsFunc(f.instead, func(n string) bool { return seen[n] }) {
			return badParam(joinField(field, f.name), "is required")
		}
	}
	return nil
}

var unmarshalerType = reflect.TypeFor[json.UnmarshalerFrom]()

func holdsStruct(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

func joinField(parent, name string) string {
	switch {
	case parent == "":
		return name
	case name == "":
		return parent
	}
	return parent + "." + name
}

func eachMember(raw jsontext.Value, f func(name string, v jsontext.Value) error) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return fromDecodeError(err)
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return fromDecodeError(err)
		}
		key := name.String()
		v, err := dec.ReadValue()
		if err != nil {
			return fromDecodeError(err)
		}
		if err := f(key, v); err != nil {
			return err
		}
	}
	return nil
}

func eachElement(raw jsontext.Value, f func(i int, v jsontext.Value) error) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return fromDecodeError(err)
	}
	for i := 0; dec.PeekKind() != ']'; i++ {
		v, err := dec.ReadValue()
		if err != nil {
			return fromDecodeError(err)
		}
		if err := f(i, v); err != nil {
			return err
		}
	}
	return nil
}

// structField is one JSON member of a params or result type, as its tags say:
// `json:"name,omitzero"` is optional, `or:"other"` may be given instead, `null:"true"`
// is required and may be null, and `doc` describes it.
type structField struct {
	name     string
	typ      reflect.Type
	optional bool
	nullable bool
	instead  []string
	doc      string
}

func (f structField) required() bool { return !f.optional }

// structFields lists the members of a struct, embedded structs laid out in place.
func structFields(t reflect.Type) []structField {
	var out []structField
	for f := range t.Fields() {
		tag, tagged := f.Tag.Lookup("json")
		if f.Anonymous && !tagged {
			et := f.Type
			for et.Kind() == reflect.Pointer {
				et = et.Elem()
			}
			out = append(out, structFields(et)...)
			continue
		}
		name, opts, _ := strings.Cut(tag, ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		sf := structField{
			name: name, typ: f.Type, optional: strings.Contains(opts, "omit"),
			nullable: f.Tag.Get("null") == "true", doc: f.Tag.Get("doc"),
		}
		if or := f.Tag.Get("or"); or != "" {
			sf.instead = strings.Split(or, ",")
		}
		out = append(out, sf)
	}
	return out
}

func typeName(t reflect.Type) string {
	if t == nil {
		return ""
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "whole number that is not negative"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "base64 string"
		}
		return "array"
	case reflect.Struct, reflect.Map:
		return "object"
	}
	return ""
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "something else"
}

// clip shortens what is shown to a person, at a character's end.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// decodeBase64 accepts the standard alphabet with or without padding.
func decodeBase64(field, s string) ([]byte, error) {
	out, err := base64.StdEncoding.DecodeString(s)
	if err == nil {
		return out, nil
	}
	if out, err := base64.RawStdEncoding.DecodeString(s); err == nil {
		return out, nil
	}
	return nil, badParam(field, "is not base64: %v", err)
}
