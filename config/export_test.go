package config

import "reflect"

// Values are those of the options that have a valid one, wrong others or not.
func Values[T any](s Source, defaults T) map[string]reflect.Value {
	values := make(map[string]reflect.Value)
	loader, err := newLoader(s, reflect.ValueOf(&defaults).Elem())
	if err != nil {
		return values
	}
	read := loader.read()
	for o, r := range read.results {
		if r.err == nil {
			values[o.group.name+"."+o.name] = r.value
		}
	}
	return values
}

// Search is search.
var Search = search

// Declare is the error of the declarations in a struct whose type is not known here.
func Declare(v any) error {
	_, err := newSchema(reflect.ValueOf(v))
	return err
}

// Substitute is substitute.
var Substitute = substitute

// Decode reads the options of one file, and nothing else.
func Decode[T any](f *File, into T) ([]error, T) {
	v := reflect.ValueOf(&into).Elem()
	s, err := newSchema(v)
	if err != nil {
		return []error{err}, into
	}
	r := &resolver{
		schema: s, line: &commandLine{}, env: func(string) (string, bool) { return "", false }, files: []*File{f},
		results: make(map[*option]*result), within: make(map[key]bool),
	}
	errs := r.resolveAll()
	r.warnUnknown()
	s.fill(v, r.results)
	return errs, into
}
