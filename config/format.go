package config

import (
	"encoding"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

func formatDict(v reflect.Value) string {
	pairs := make([]string, 0, v.Len())
	for _, name := range v.MapKeys() {
		pairs = append(pairs, name.String()+":"+format(v.MapIndex(name)))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// python writes a value as it comes out where another option refers to it: a string, a number or a boolean as Python's
// str, since oslo fills in what it has read; text, which stood in the file, in every other case.
func python(v reflect.Value, text string) string {
	if !v.IsValid() {
		return ""
	}
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case Secret:
		return x.Reveal()
	case time.Duration, encoding.TextMarshaler:
		return text
	}
	switch {
	case v.Kind() == reflect.String, v.CanInt(), v.CanUint():
		return format(v)
	case v.Kind() == reflect.Bool && v.Bool():
		return "True"
	case v.Kind() == reflect.Bool:
		return "False"
	case v.CanFloat():
		return pythonFloat(v.Float())
	}
	return text
}

// pythonFloat is Python's repr of a float.
func pythonFloat(f float64) string {
	switch size := math.Abs(f); {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 0):
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(f, 'g', -1, 64), "+"))
	case size != 0 && size < 1e-4 || size >= 1e16:
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
