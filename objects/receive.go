package objects

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
)

// Receive returns JSON, such as the arguments of a call, with the objects that are too new for this registry replaced by what ask returns
// for them. Objects are looked for in all of it, except in objects of classes that are not registered; it is always the outermost one that is
// replaced, as upstream. Without any, data is returned as it is, and ask is not called. An interceptor calls it: a server's with the
// arguments, see the example, and a client's with the results.
//
// Errors: what ask returned; *VersionError if the answer is too new as well.
func (r *Registry) Receive(ctx context.Context, data json.RawMessage, ask Backporter) (json.RawMessage, error) {
	if !json.Valid(data) {
		return data, nil
	}
	var out []byte
	from := 0
	for _, object := range r.tooNew(data) {
		older, err := r.backported(ctx, object, data[object.from:object.to], ask)
		if err != nil {
			return nil, err
		}
		out = append(append(out, data[from:object.from]...), older...)
		from = object.to
	}
	if from == 0 {
		return data, nil
	}
	return append(out, data[from:]...), nil
}

func (r *Registry) backported(ctx context.Context, object newer, text []byte, ask Backporter) ([]byte, error) {
	older, err := ask(ctx, BackportArgs{text, maps.Clone(r.versions[object.namespace])})
	if err != nil {
		return nil, err
	}
	if !json.Valid(older) {
		return nil, &FieldError{object.name, "", errors.New("the backported object is not JSON")}
	}
	if still := r.tooNew(older); len(still) > 0 {
		return nil, still[0].problem
	}
	return older, nil
}

// newer is an object that is too new, or has one within that is, and where it stands in a text.
type newer struct {
	from, to        int
	namespace, name string
	problem         error
}

// tooNew returns the outermost objects within data that are too new.
func (r *Registry) tooNew(data []byte) []newer {
	w := walk{r: r, data: data}
	w.value()
	return w.found
}

// A walk looks through JSON that is known to be valid, and at each byte once: peers choose how deep it is.
type walk struct {
	r     *Registry
	data  []byte
	at    int
	found []newer
}

// value goes past the value that stands next.
func (w *walk) value() {
	w.space()
	switch {
	case w.at == len(w.data):
	case w.data[w.at] == '{':
		w.object()
	case w.data[w.at] == '[':
		w.at++
		for w.more(']') {
			w.value()
		}
	default:
		w.scalar()
	}
}

func (w *walk) object() {
	start, before := w.at, len(w.found)
	var p primitive
	var malformed error
	w.at++
	for w.more('}') {
		key := unquote(w.scalar())
		w.space()
		w.at++ // the colon
		w.space()
		from := w.at
		w.value()
		for _, prefix := range w.r.keys {
			if err := p.take(key, prefix, w.data[from:w.at]); err != nil {
				malformed = err
			}
		}
	}
	if p.name == "" || malformed != nil {
		return
	}
	within := w.found[before:]
	w.found = w.found[:before]
	var version *VersionError
	switch _, err := w.r.find(p); {
	case errors.As(err, &version):
		w.found = append(w.found, newer{start, w.at, p.namespace, p.name, err})
	case err == nil && len(within) > 0:
		w.found = append(w.found, newer{start, w.at, p.namespace, p.name, within[0].problem})
	}
}

// scalar goes past a string, number or literal, and returns it.
func (w *walk) scalar() []byte {
	value, _ := cutValue(w.data[w.at:])
	w.at += len(value)
	return value
}

// more goes past a comma, or past the end of an object or array, which it reports.
func (w *walk) more(end byte) bool {
	w.space()
	if w.at < len(w.data) && w.data[w.at] == ',' {
		w.at++
		w.space()
	}
	if w.at == len(w.data) || w.data[w.at] == end {
		w.at++
		return false
	}
	return true
}

func (w *walk) space() {
	w.at = len(w.data) - len(skipSpace(w.data[w.at:]))
}
