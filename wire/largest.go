package wire

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/goslo/goslo/transport"
)

// Largest says what makes m big: the field that takes up the most bytes in its envelope, and how many. The field is
// "args", "context", "result", "failure" or "payload", or a member of one of them, as in "args.image", when that alone is more than
// half of it. It reads all of m: it is for explaining why a message was refused.
func Largest(m *transport.Message) (field string, bytes int) {
	var payload json.RawMessage
	if m.Event != nil {
		payload = m.Event.Payload
	}
	for _, f := range []struct {
		name  string
		value json.RawMessage
		level level
	}{{"args", m.Args, 1}, {"context", m.Context, 1}, {"result", m.Result, 1}, {"failure", m.Failure, 2}, {"payload", payload, 1}} {
		n := textLen(f.value, f.level)
		if n <= bytes {
			continue
		}
		field, bytes = f.name, n
		if key, of := largestMember(f.value, f.level); of > n/2 {
			field, bytes = f.name+"."+key, of
		}
	}
	return field, bytes
}

// largestMember returns the member of an object with the longest value. Of any other text, or one that is no JSON, none.
func largestMember(value json.RawMessage, l level) (key string, bytes int) {
	s := scanner{data: value}
	if s.object() != nil {
		return "", 0
	}
	var m member
	for first := true; ; first = false {
		more, err := s.member(&m, first)
		if err != nil || !more {
			return key, bytes
		}
		if n := textLen(m.value, l); n > bytes {
			key, bytes = shown(m.name()), n
		}
	}
}

// textLen is the length of what appendText appends.
func textLen(text []byte, l level) int {
	const piece = 4 << 10
	var buf []byte
	n := 0
	for len(text) > 0 {
		cut := min(piece, len(text))
		for cut < len(text) && !utf8.RuneStart(text[cut]) {
			cut++
		}
		buf = appendText(buf[:0], text[:cut], l)
		n += len(buf)
		text = text[cut:]
	}
	return n
}
