package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goslo/goslo/transport"
)

// AppendNotification appends m, which has an Event, in the format that the event asks for: enveloped, format 2.0, or Bare,
// format 1.0 (NDRV-01).
//
// It writes message_id, publisher_id, event_type, priority, payload and timestamp in Python's order, then _unique_id and the
// context, flattened (NOTIFY-01, NOTIFY-14). A member that is "" is written as null. Payload may be any JSON value; context,
// limits and errors are those of [AppendMessage].
func AppendNotification(dst []byte, m *transport.Message) ([]byte, error) {
	switch {
	case m.Event == nil:
		return dst, errors.New("wire: a message without an event is no notification")
	case m.Event.Bare:
		return AppendMessage(dst, m)
	}
	return AppendEnvelope(dst, m)
}

func (e *encoder) notification(m *transport.Message) error {
	if err := e.event(m.Event); err != nil {
		return err
	}
	e.unique(m)
	if err := e.context(m.Context); err != nil {
		return err
	}
	e.dst = append(e.dst, '}')
	return nil
}

// event writes what a notification is about, and leaves its object open.
func (e *encoder) event(v *transport.Event) error {
	e.dst = append(e.dst, '{')
	e.name("message_id")
	e.optional(v.ID)
	e.next("publisher_id")
	e.optional(v.Publisher)
	e.next("event_type")
	e.optional(v.Type)
	e.next("priority")
	e.optional(v.Priority)
	e.next("payload")
	if err := e.raw("payload", v.Payload, 0, 1, "null"); err != nil {
		return err
	}
	e.next("timestamp")
	e.optional(v.Timestamp)
	return nil
}

// optional writes a string, and null for "".
func (e *encoder) optional(s string) {
	if s == "" {
		e.dst = append(e.dst, "null"...)
		return
	}
	e.string(s)
}

// ParseNotification reads a body of either format; Event.Bare says which it was. The message keeps parts of body, which must
// not be changed afterwards.
//
// A member that is missing, null or not a string reads "", a missing payload null; nothing is required, because upstream
// requires nothing (NLIS-04). The context is read, and a body is refused, as by [Parse].
func ParseNotification(body []byte) (*transport.Message, error) {
	p, text, err := parse(body)
	if err != nil {
		return nil, err
	}
	m := &transport.Message{Context: p.context, Event: p.event.event()}
	if m.UniqueID, err = p.uniqueID.string("_unique_id"); err != nil {
		return nil, in(err, text, "")
	}
	m.Event.Bare = text == bodyText
	return m, nil
}

// eventFields are those of a notification.
type eventFields struct {
	id, publisher, kind, priority, payload, timestamp field

	context field // nested, as it is on Kafka
}

func (e *eventFields) event() *transport.Event {
	v := &transport.Event{
		ID: e.id.stringOrNone(), Publisher: e.publisher.stringOrNone(), Type: e.kind.stringOrNone(),
		Priority: e.priority.stringOrNone(), Timestamp: e.timestamp.stringOrNone(), Payload: e.payload.value,
	}
	if v.Payload == nil {
		v.Payload = json.RawMessage("null")
	}
	return v
}

// set keeps a member of a notification.
func (e *eventFields) set(name []byte, f field) {
	switch string(name) {
	case "message_id":
		e.id = f
	case "publisher_id":
		e.publisher = f
	case "event_type":
		e.kind = f
	case "priority":
		e.priority = f
	case "payload":
		e.payload = f
	case "timestamp":
		e.timestamp = f
	case nestedContext:
		e.context = f
	}
}

// stringOrNone is a string as a string and anything else as "".
func (f field) stringOrNone() string {
	if f.null() || f.value[0] != '"' {
		return ""
	}
	return f.text()
}

// NotificationTime is t as notifications tell time: UTC without saying so, a blank before the hour, six digits of a second, or
// none where they are all zero (NOTIFY-02).
func NotificationTime(t time.Time) string {
	t = t.UTC()
	if t.Nanosecond()/1000 == 0 {
		return t.Format(time.DateTime)
	}
	return t.Format(time.DateTime + ".000000")
}

// ParseNotificationTime reads the time of a notification, UTC. It takes any number of digits of a second, a T before the hour,
// and an offset from UTC at the end, which other notifiers write.
func ParseNotificationTime(s string) (time.Time, error) {
	text := s
	if len(text) > len(time.DateOnly) && text[len(time.DateOnly)] == 'T' {
		text = text[:len(time.DateOnly)] + " " + text[len(time.DateOnly)+1:]
	}
	layout := time.DateTime
	if strings.HasSuffix(text, "Z") || strings.ContainsAny(text[min(len(text), len(time.DateOnly)):], "+-") {
		layout += "Z07:00"
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("wire: %q is no time of a notification, such as %q", shown([]byte(s)), "2026-05-04 10:11:12.000345")
	}
	return t.UTC(), nil
}

// NewUUID returns a fresh id of a notification: a random UUID (version 4) with dashes (NOTIFY-01).
func NewUUID() string {
	id := NewID()
	return id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:]
}
