package handlers

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"glue-lsp/internal/wire"
)

// wrongValues gives a JSON value of each kind that a Go type cannot hold.
func wrongValues(t reflect.Type) []string {
	if t == reflect.TypeFor[jsontext.Value]() {
		return nil // takes any
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	all := map[string]string{"text": `"x"`, "number": `7.5`, "truth": `true`, "list": `[1]`, "object": `{"x":1}`}
	switch t.Kind() {
	case reflect.String:
		delete(all, "text")
	case reflect.Bool:
		delete(all, "truth")
	case reflect.Slice, reflect.Array:
		all["list"] = `[[[]]]`
	case reflect.Struct, reflect.Map:
		delete(all, "object")
	}
	if reflect.PointerTo(t).Implements(unmarshalerType) {
		all = map[string]string{"number": `7`, "truth": `true`} // its own forms
	}
	var out []string
	for _, v := range all {
		out = append(out, v)
	}
	return out
}

// eachMemberOf calls do for each member of a params type, however deep, with the JSON
// text around it.
func eachMemberOf(t reflect.Type, before, after, name string, do func(typ reflect.Type, before, after, name string)) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice {
		if holdsStruct(t) {
			eachMemberOf(t.Elem(), before+"[", "]"+after, name+"[0]", do)
		}
		return
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshalerType) {
		return
	}
	for _, f := range structFields(t) {
		b, a, n := before+`{"`+f.name+`":`, "}"+after, joinField(name, f.name)
		do(f.typ, b, a, n)
		eachMemberOf(f.typ, b, a, n, do)
	}
}

func TestX14_EveryFieldOfEveryMethodWithAWrongTypeIsRefusedByName(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	tried := 0
	for _, r := range glueRoutes() {
		eachMemberOf(r.params, "", "", "", func(typ reflect.Type, before, after, name string) {
			for _, wrong := range wrongValues(typ) {
				params := before + wrong + after
				tried++
				if r.call == nil {
					c.notify(r.method, params) // nobody can be told; it must only do no harm
					continue
				}
				raw, err := c.try(r.method, params)
				switch {
				case err == nil:
					t.Errorf("%s takes %s: %s", r.method, params, raw)
				case err.Code != wire.InvalidParams || !strings.HasPrefix(err.Message, name):
					t.Errorf("%s %s: error %d %q, want %d that begins with %s", r.method, params, err.Code, err.Message, wire.InvalidParams, name)
				}
			}
		})
		for _, params := range []string{`7`, `"x"`, `true`, `[]`, `[{}]`, `[[[[]]]]`} {
			if r.call != nil {
				c.refused(r.method, params, wire.InvalidParams, "params must be an object")
			}
		}
	}
	if tried < 200 {
		t.Errorf("only %d values were tried", tried)
	}
	c.refused("glue/exec", `{}`, wire.InvalidParams, "command: is required")
}

func TestX14_LSPsOwnMethodsWithWrongTypesLeaveTheServerAlive(t *testing.T) {
	c := connect(t, Options{})
	c.initialize(`{"capabilities":{}}`)
	for _, r := range standardRoutes() {
		if r.method == "exit" || r.method == "shutdown" {
			continue
		}
		eachMemberOf(r.params, "", "", "", func(typ reflect.Type, before, after, _ string) {
			for _, wrong := range wrongValues(typ) {
				params := before + wrong + after
				if r.call == nil {
					c.notify(r.method, params)
				} else if raw, err := c.try(r.method, params); err == nil && r.method != "initialize" {
					// A member that is ignored is as good as one that is not there.
					if !json.Valid(raw) {
						t.Errorf("%s %s: %q", r.method, params, raw)
					}
				}
			}
		})
	}
	c.refused("glue/exec", `{}`, wire.InvalidParams, "command: is required")
}
