package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// scalar is a value as Python's str writes it: True, None, 5. Values that hold others are none.
func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "None", true
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Bool:
		if v.Bool() {
			return "True", true
		}
		return "False", true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10), true
	case reflect.Float32, reflect.Float64: // encoding/json makes one of every number
		return strconv.FormatFloat(v.Float(), 'f', -1, 64), true
	default:
		return "", false
	}
}

// elements are those of a list; nil if value is none.
func elements(value any) []any {
	switch list := value.(type) {
	case []any:
		if list == nil {
			return []any{}
		}
		return list
	case []string:
		elements := make([]any, len(list))
		for i, each := range list {
			elements[i] = each
		}
		return elements
	default:
		return nil
	}
}

// A template is what a check compares with: text, in which %(name)s is what the target has under that name.
type template struct {
	text  string
	parts []part
}

// A part is text, or the name of a member of the target.
type part struct {
	text  string
	named bool
}

var errConversion = errors.New("a % must begin %(NAME)s, or be doubled")

func parseTemplate(text string) (template, error) {
	t := template{text: text}
	rest := text
	for {
		before, after, ok := strings.Cut(rest, "%")
		if before != "" {
			t.parts = append(t.parts, part{text: before})
		}
		switch {
		case !ok:
			return t, nil
		case strings.HasPrefix(after, "%"):
			t.parts = append(t.parts, part{text: "%"})
			rest = after[1:]
		case strings.HasPrefix(after, "("):
			name, behind, ok := strings.Cut(after[1:], ")s")
			if !ok || strings.ContainsAny(name, "()") {
				return t, fmt.Errorf("%q: %w", text, errConversion)
			}
			t.parts = append(t.parts, part{text: name, named: true})
			rest = behind
		default:
			return t, fmt.Errorf("%q: %w", text, errConversion)
		}
	}
}

// expand fills in what the target has; false if it lacks a member.
func (t template) expand(target Target) (string, bool) {
	var b strings.Builder
	for _, p := range t.parts {
		if !p.named {
			b.WriteString(p.text)
			continue
		}
		value, ok := target[p.text]
		if !ok {
			return "", false
		}
		text, ok := scalar(value)
		if !ok {
			return "", false
		}
		b.WriteString(text)
	}
	return b.String(), true
}
