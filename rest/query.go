package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/goslo/goslo/internal/nearest"
)

// decodeQuery reads the query's parameters into the fields of Q with a tag query: strings, numbers, booleans, times, and slices of them for what
// may be there more than once; pointers tell what was not there. Parameters without a field are errors.
func decodeQuery[Q any](c *call) (query Q, err error) {
	values, err := url.ParseQuery(c.request.URL.RawQuery)
	if err != nil {
		return query, &Fault{Code: http.StatusBadRequest, Message: "the query cannot be read: " + err.Error(), Cause: err}
	}
	v := reflect.ValueOf(&query).Elem()
	fields := fieldsOf(v.Type(), "query")
	for name, texts := range values {
		for _, text := range texts {
			if !utf8.ValidString(text) {
				return query, FieldFault(name, "is not UTF-8")
			}
		}
		f, ok := fields[name]
		if !ok {
			return query, unknownParameter(name, fields)
		}
		if err := decodeTexts(name, texts, fieldByIndex(v, f.index)); err != nil {
			return query, err
		}
	}
	if page, ok := any(&query).(interface{ clamp(most int) error }); ok {
		err = page.clamp(c.api.config.MaxLimit)
	}
	return query, err
}

// checkQuery finds types that no query can be read into.
func checkQuery[Q any]() error {
	t := reflect.TypeFor[Q]()
	if t.Kind() != reflect.Struct {
		return fmt.Errorf("a query is read into a struct, not into a %s", t)
	}
	for name, f := range fieldsOf(t, "query") {
		field := indirect(t.FieldByIndex(f.index).Type)
		if field.Kind() == reflect.Slice {
			field = field.Elem()
		}
		switch {
		case field.Kind() == reflect.String, field.Kind() == reflect.Bool, field == reflect.TypeFor[time.Time]():
		case reflect.Int <= field.Kind() && field.Kind() <= reflect.Float64 && field.Kind() != reflect.Uintptr:
		default:
			return fmt.Errorf("parameter %s: a %s cannot be read from a query", name, field)
		}
	}
	return nil
}

func unknownParameter(name string, fields map[string]structField) *Fault {
	names := make([]string, 0, len(fields))
	for n := range fields {
		names = append(names, n)
	}
	hint := ""
	if near, ok := nearest.To(name, names); ok {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return FieldFault(name, "there is no such parameter%s", hint)
}

func decodeTexts(name string, texts []string, v reflect.Value) error {
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), len(texts), len(texts)))
		for i, t := range texts {
			if err := decodeText(name, t, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(texts) != 1 {
		return FieldFault(name, "is there %d times", len(texts))
	}
	return decodeText(name, texts[0], v)
}

func decodeText(name, text string, v reflect.Value) error {
	var err error
	want := "a whole number"
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decodeText(name, text, v.Elem())
	case v.Type() == reflect.TypeFor[time.Time]():
		var t time.Time
		t, err = time.Parse(time.RFC3339, text)
		v.Set(reflect.ValueOf(t))
		want = "a date and time such as 2006-01-02T15:04:05Z"
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v.SetBool(b)
		want = "true or false"
	case v.CanFloat():
		var f float64
		f, err = strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(f)
		want = "a number"
	case v.CanInt():
		var n int64
		n, err = strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
	default: // checkQuery leaves nothing else
		var n uint64
		n, err = strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
	}
	if err != nil {
		return FieldFault(name, "want %s, not %q", want, text)
	}
	return nil
}
