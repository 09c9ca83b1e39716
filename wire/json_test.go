package wire_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden returns the body that the real library wrote: see interop/capture.
func golden(tb testing.TB, name string) []byte {
	tb.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "golden", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// goldens are the names of all golden files.
func goldens(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.json"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no golden files: %v", err)
	}
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	slices.Sort(names)
	return names
}

// inner is the text inside an envelope, found with encoding/json.
func inner(tb testing.TB, body []byte) string {
	tb.Helper()
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(body, &outer); err != nil {
		tb.Fatalf("%v\n%s", err, body)
	}
	var version, text string
	if err := json.Unmarshal(outer["oslo.version"], &version); err != nil || version != "2.0" || len(outer) != 2 {
		tb.Fatalf("no envelope of version 2.0 with two members: %s", body)
	}
	if err := json.Unmarshal(outer["oslo.message"], &text); err != nil {
		tb.Fatalf("%v\n%s", err, body)
	}
	return text
}

// Strings, and the tokens that encoding/json does not know.
var tokens = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|-?Infinity|NaN`)

// neutral replaces NaN and infinities by strings that nobody else uses, so that encoding/json can read the
// text.
func neutral(text string) string {
	return tokens.ReplaceAllStringFunc(text, func(token string) string {
		if token[0] == '"' {
			return token
		}
		return `"non-finite ` + token + `"`
	})
}

// short drops the blanks after Python's separators.
func short(text string) string {
	var b strings.Builder
	end := 0
	for _, at := range tokens.FindAllStringIndex(text, -1) {
		b.WriteString(strings.ReplaceAll(text[end:at[0]], " ", ""))
		b.WriteString(text[at[0]:at[1]])
		end = at[1]
	}
	b.WriteString(strings.ReplaceAll(text[end:], " ", ""))
	return b.String()
}

// value decodes JSON that may hold non-finite numbers. Integers stay whole.
func value(tb testing.TB, text []byte) any {
	tb.Helper()
	if len(text) == 0 {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(neutral(string(text))))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		tb.Fatalf("%v\n%s", err, text)
	}
	return v
}

// sameJSON compares raw values by their meaning.
func sameJSON(tb testing.TB) cmp.Option {
	tb.Helper()
	return cmp.Comparer(func(a, b json.RawMessage) bool {
		return (a == nil) == (b == nil) && (bytes.Equal(a, b) || cmp.Equal(value(tb, a), value(tb, b)))
	})
}
