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
