package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var historyForm = regexp.MustCompile(`^(none|full|shallow:[1-9][0-9]{0,8})$`)

// parse checks a value of any source and gives it in the table's Go type. text says
// that it came as text and may be converted.
func (s Setting) parse(v any, text bool) (any, error) {
	switch s.Type {
	case String:
		str, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("want a string, got %s", show(v))
		}
		if len(s.Enum) > 0 && !slices.Contains(s.Enum, str) {
			return nil, fmt.Errorf("want one of %s, got %q", strings.Join(s.Enum, ", "), str)
		}
		if s.Key == "history" && !historyForm.MatchString(str) {
			return nil, fmt.Errorf("want none, full or shallow:N, got %q", str)
		}
		return str, nil
	case Integer, Number:
		f, err := number(v, text)
		if err != nil {
			return nil, err
		}
		if s.Min != s.Max && (f < s.Min || f > s.Max) {
			return nil, fmt.Errorf("want %g to %g, got %g", s.Min, s.Max, f)
		}
		if s.Type == Number {
			return f, nil
		}
		if f != math.Trunc(f) {
			return nil, fmt.Errorf("want a whole number, got %g", f)
		}
		return int(f), nil
	case Boolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		if str, ok := v.(string); ok && text {
			if b, err := strconv.ParseBool(strings.ToLower(str)); err == nil {
				return b, nil
			}
		}
		return nil, fmt.Errorf("want true or false, got %s", show(v))
	case Strings:
		return stringList(v)
	case StringMap:
		m, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("want an object of strings, got %s", show(v))
		}
		out := map[string]string{}
		for k, e := range m {
			str, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("%s: want a string, got %s", k, show(e))
			}
			out[k] = str
		}
		return out, nil
	case Runners:
		return runners(v)
	}
	return nil, errors.New("the setting's type is unknown")
}

func number(v any, text bool) (float64, error) {
	switch n := v.(type) {
	case int:
		return float64(n), nil
	case float64:
		return n, nil
	case string:
		if text {
			if f, err := strconv.ParseFloat(n, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
				return f, nil
			}
		}
	}
	return 0, fmt.Errorf("want a number, got %s", show(v))
}

func stringList(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		if typed, ok := v.([]string); ok {
			return typed, nil
		}
		return nil, fmt.Errorf("want an array of strings, got %s", show(v))
	}
	out := make([]string, 0, len(list))
	for i, e := range list {
		str, ok := e.(string)
		if !ok {
			return nil, fmt.Errorf("element %d: want a string, got %s", i+1, show(e))
		}
		out = append(out, str)
	}
	return out, nil
}

func runners(v any) ([]Runner, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("want an array of runners, got %s", show(v))
	}
	var out []Runner
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("runner %d: want an object, got %s", i+1, show(e))
		}
		var r Runner
		for k, val := range m {
			str, ok := val.(string)
			if !ok {
				return nil, fmt.Errorf("runner %d: %s: want a string, got %s", i+1, k, show(val))
			}
			switch k {
			case "language":
				r.Language = str
			case "files":
				r.Files = str
			case "run":
				r.Run = str
			case "test":
				r.Test = str
			default:
				return nil, fmt.Errorf("runner %d: unknown key %q; the keys are language, files, run and test", i+1, k)
			}
		}
		if r.Language == "" && r.Files == "" {
			return nil, fmt.Errorf("runner %d: needs language or files", i+1)
		}
		if r.Run == "" && r.Test == "" {
			return nil, fmt.Errorf("runner %d: needs run or test", i+1)
		}
		out = append(out, r)
	}
	return out, nil
}

// show gives a value as people write it, shortened.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	if len(b) > 60 {
		return string(b[:60]) + "…"
	}
	return string(b)
}
