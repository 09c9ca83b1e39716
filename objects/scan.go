package objects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// deepest is how many objects and arrays of JSON may be around one another in an object: classes that contain each other have no end of their own,
// and each level is looked through again by those around it. Python reads no more than about 1000.
const deepest = 200

// check returns an error unless data are JSON, and not too deep.
func check(data []byte, object string) error {
	if !json.Valid(data) {
		return &FieldError{object, "", errors.New("not JSON")}
	}
	depth := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			value, _ := cutValue(data[i:])
			i += len(value) - 1
		case '{', '[':
			if depth++; depth > deepest {
				return &FieldError{object, "", fmt.Errorf("nested more than %d deep", deepest)}
			}
		case '}', ']':
			depth--
		}
	}
	return nil
}

// The functions below walk through JSON that is known to be valid.

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// skipSpace returns data without leading space.
func skipSpace(data []byte) []byte {
	for len(data) > 0 && space(data[0]) {
		data = data[1:]
	}
	return data
}

// cutValue cuts the first value off data, which begins with it.
func cutValue(data []byte) (value, rest []byte) {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				i = min(i, len(data)-1)
				return data[:i+1], data[i+1:]
			}
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth == 0 {
				return data[:i], data[i:] // the end of what contains a number or literal
			}
			if depth--; depth == 0 {
				return data[:i+1], data[i+1:]
			}
		case depth == 0 && (c == ',' || c == ':' || space(c)):
			return data[:i], data[i:]
		}
	}
	return data, nil
}

// members calls f for each member of the object data, and reports whether it is an object.
func members(data []byte, f func(name, value []byte) error) (bool, error) {
	data = skipSpace(data)
	if len(data) == 0 || data[0] != '{' {
		return false, nil
	}
	data = skipSpace(data[1:])
	for len(data) > 0 && data[0] == '"' {
		var key, value []byte
		key, data = cutValue(data)
		data = skipSpace(skipSpace(data)[1:]) // the colon
		value, data = cutValue(data)
		if err := f(unquote(key), value); err != nil {
			return true, err
		}
		data = skipSpace(data)
		if len(data) > 0 && data[0] == ',' {
			data = skipSpace(data[1:])
		}
	}
	return true, nil
}

// elements calls f for each element of the array data, and reports whether it is an array.
func elements(data []byte, f func(value []byte) error) (bool, error) {
	data = skipSpace(data)
	if len(data) == 0 || data[0] != '[' {
		return false, nil
	}
	data = skipSpace(data[1:])
	for len(data) > 0 && data[0] != ']' {
		var value []byte
		value, data = cutValue(data)
		if err := f(value); err != nil {
			return true, err
		}
		data = skipSpace(data)
		if len(data) > 0 && data[0] == ',' {
			data = skipSpace(data[1:])
		}
	}
	return true, nil
}

// unquote returns the text of a JSON string, in which what is not UTF-8 is replaced as encoding/json replaces it.
func unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 && utf8.Valid(quoted) {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return nil
	}
	return []byte(s)
}

func isNull(data []byte) bool { return string(bytes.TrimSpace(data)) == "null" }

// kind says what a value is, for error messages, which do not show values.
func kind(data []byte) string {
	data = skipSpace(data)
	if len(data) == 0 {
		return "nothing"
	}
	switch data[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
