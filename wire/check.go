package wire

import (
	"encoding/json"
	"sync/atomic"

	"github.com/goslo/goslo/transport"
)

// A Checker is for a bus that carries messages in a form of its own, and is to refuse what others refuse. It remembers the context that was good
// last, which the next message mostly has as well, and nobody changes the bytes of ([transport.Message]). The zero value is ready. It is safe for
// concurrent use.
type Checker struct {
	context atomic.Pointer[json.RawMessage]
}

// Check says why [AppendMessage] would not append m, and nil when it would. Of the length of m only its JSON counts here.
func (c *Checker) Check(m *transport.Message) error {
	var payload json.RawMessage
	if m.Event != nil {
		payload = m.Event.Payload
	}
	if m.Method == "" && m.ID == "" && m.Event == nil {
		return errNeither
	}
	if m.Event == nil && m.Method != "" && m.Monitor < 0 {
		return negative(m.Monitor)
	}
	if n := len(m.Args) + len(m.Context) + len(m.Result) + len(m.Failure) + len(payload); n > MaxSize {
		return tooLong(n, m)
	}
	fields := [...]struct {
		name  string
		value json.RawMessage
		first byte
		depth int
	}{{"args", m.Args, '{', 1}, {"context", m.Context, '{', 0}}
	switch {
	case m.Event != nil:
		fields[0].name, fields[0].value, fields[0].first = "payload", payload, 0
	case m.Method == "":
		fields[0].name, fields[0].value, fields[0].first = "result", m.Result, 0
		fields[1].name, fields[1].value = "failure", m.Failure
	}
	for _, f := range fields {
		context := f.name == "context"
		if good := c.context.Load(); context && good != nil && same(f.value, *good) {
			continue
		}
		if _, err := rawField(f.name, f.value, f.first, f.depth); err != nil {
			return err
		}
		if context && len(f.value) > 0 && len(f.value) <= contextMost {
			good := f.value
			c.context.Store(&good)
		}
	}
	return nil
}

// contextMost is how long a context may be that is remembered.
const contextMost = 64 << 10

// same reports whether a and b are the same memory.
func same(a, b json.RawMessage) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }
