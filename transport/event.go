package transport

import (
	"encoding/json"
	"fmt"
)

// An Event is what a notification tells: the members of oslo.messaging's message (NOTIFY-01) that requests do not have. Its context,
// unique id and headers are the [Message]'s.
type Event struct {
	ID        string          // message_id; upstream has a random UUID with dashes
	Publisher string          // publisher_id, such as "compute.host-1"; "" = null
	Type      string          // event_type, such as "compute.instance.create.end"
	Priority  string          // in upper case as it travels, such as "INFO"
	Payload   json.RawMessage // any JSON value; nil = null
	Timestamp string          // when it happened, as it travels: "2026-05-04 10:11:12.000345", UTC without saying so

	// Bare says that the message travels without an envelope, which is oslo.messaging's format 1.0, else 2.0. Listeners read
	// both. A bus that has no Python peers may have one form for both, and says so by keeping this as it was.
	Bare bool
}

// CheckNotification returns nil unless a notification is sent to an address of another kind, or something else to the
// address of notifications. The error wraps [ErrRejected].
func CheckNotification(to Address, m *Message) error {
	if (to.Kind == Notification) == (m.Event != nil) {
		return nil
	}
	if m.Event == nil {
		return fmt.Errorf("%w: the message is no notification, and the address takes nothing else", ErrRejected)
	}
	return fmt.Errorf("%w: the message is a notification, and the address of kind %s takes none", ErrRejected, to.Kind)
}
