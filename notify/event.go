package notify

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/goslo/goslo/wire"
)

// An Event describes what can happen: the one value that who tells it and who hears it share, so that an editor's
// find-references crosses the bus. P is the type of its payload. On arrival members of the payload that P lacks are ignored and missing ones
// are zero.
type Event[P any] struct{ kind string }

// NewEvent describes an event by its type, such as "compute.instance.create.end".
func NewEvent[P any](eventType string) Event[P] { return Event[P]{eventType} }

// Type is the event's type.
func (e Event[P]) Type() string { return e.kind }

// Emit tells that the event has happened; see [Notifier.Notify].
func (e Event[P]) Emit(ctx context.Context, n *Notifier, p Priority, payload P) error {
	return n.Notify(ctx, p, e.kind, payload)
}

// Handle makes the handler of the event. Its error has the notification given back and handled again later, see [ListenerConfig].MaxAttempts; nil,
// or an error that wraps [Drop], is the end of it. A payload that is no P is such an error, too.
func (e Event[P]) Handle(f func(ctx context.Context, n Notification[P]) error) Handler {
	return Handler{event: e.kind, typed: true, single: true, run: each(f)}
}

// HandleBatch makes the handler of the event that gets what has come together, all of one priority; see [ListenerConfig].Batch. Its error
// has all of them given back, and [Drop] acknowledges all of them.
func (e Event[P]) HandleBatch(f func(ctx context.Context, all []Notification[P]) error) Handler {
	return Handler{event: e.kind, typed: true, run: batch(f)}
}

// Handle makes a handler of every event, to be narrowed by [Handler.Where] and [Handler.On]. The payload is JSON as it came.
func Handle(f func(ctx context.Context, n Raw) error) Handler {
	return Handler{single: true, run: each(f)}
}

// HandleBatch is [Handle] of what has come together.
func HandleBatch(f func(ctx context.Context, all []Raw) error) Handler {
	return Handler{run: batch(f)}
}

// A Handler is a function with the notifications it wants. A listener runs every handler that wants a notification, in their order,
// until one returns an error (NLIS-05).
type Handler struct {
	event      string // when typed
	typed      bool
	single     bool       // gets one at a time
	priorities []Priority // none = all
	filter     *Filter
	match      *matcher // of filter; set by the listener
	run        func(ctx context.Context, all []*Raw) error
}

// On returns h for these priorities alone. A listener has no queue for a priority that no handler wants (NLIS-01).
func (h Handler) On(p ...Priority) Handler {
	h.priorities = p
	return h
}

// Where returns h for notifications that pass the filter. A pattern that cannot be compiled is an error of [Listener.Listen].
func (h Handler) Where(f Filter) Handler {
	h.filter = &f
	return h
}

// wants says whether a handler is for a notification.
func (h Handler) wants(n *Raw) bool {
	return h.hears(n.Priority) && (!h.typed || h.event == n.Type) && (h.match == nil || h.match.matches(n))
}

// hears says whether a handler is for a priority.
func (h Handler) hears(p Priority) bool {
	if len(h.priorities) == 0 {
		return true
	}
	for _, own := range h.priorities {
		if own == p {
			return true
		}
	}
	return false
}

// each runs f for a notification, the only one in its list. In the handler's context is the notification's request context.
func each[P any](f func(context.Context, Notification[P]) error) func(context.Context, []*Raw) error {
	return func(ctx context.Context, all []*Raw) error {
		n, err := decoded[P](all[0])
		if err != nil {
			return err
		}
		return f(withContext(ctx, all[0]), n)
	}
}

func batch[P any](f func(context.Context, []Notification[P]) error) func(context.Context, []*Raw) error {
	return func(ctx context.Context, all []*Raw) error {
		list := make([]Notification[P], len(all))
		for i, raw := range all {
			n, err := decoded[P](raw)
			if err != nil {
				return fmt.Errorf("%s: %w", raw, err)
			}
			list[i] = n
		}
		if len(all) == 1 {
			ctx = withContext(ctx, all[0])
		}
		return f(ctx, list)
	}
}

// encode is a payload as JSON; nil is null.
func encode(eventType string, payload any) (json.RawMessage, error) {
	if raw, ok := payload.(json.RawMessage); ok {
		if len(raw) == 0 {
			return json.RawMessage("null"), nil
		}
		return raw, nil
	}
	raw, err := wire.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("notify: %s: encode the payload: %w", eventType, err)
	}
	return raw, nil
}
