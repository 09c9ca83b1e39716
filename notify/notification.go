package notify

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// A Priority says how important a notification is. Each has queues of its own.
type Priority string

// The priorities of oslo.messaging (NOTIFY-03, NLIS-02).
const (
	Audit    Priority = "audit"
	Debug    Priority = "debug"
	Info     Priority = "info"
	Warn     Priority = "warn"
	Error    Priority = "error"
	Critical Priority = "critical"
	Sample   Priority = "sample"
)

// Priorities are all of them.
func Priorities() []Priority {
	return []Priority{Audit, Debug, Info, Warn, Error, Critical, Sample}
}

// known says whether p is one of Priorities.
func (p Priority) known() bool {
	switch p {
	case Audit, Debug, Info, Warn, Error, Critical, Sample:
		return true
	}
	return false
}

// A Notification is one event that has happened. P is the type of its payload; json.RawMessage leaves it as it came.
type Notification[P any] struct {
	ID        string // a UUID, the same on every topic and for every pool
	Publisher string // who tells, such as "compute.host-1"; "" when nobody says
	Type      string // what happened, such as "compute.instance.create.end"
	Priority  Priority
	Payload   P
	Time      time.Time // when, UTC; zero when it cannot be read
	Timestamp string    // Time as it travels

	Context     rpc.RequestContext // of the request in which it happened, without secrets
	Topic       string             // on arrival: where it was heard, with the priority
	Redelivered bool               // on arrival: somebody has had it before

	// Headers travel beside it, for tracing and the like; see transport.Message.Headers. A sender's interceptors set them; Python peers
	// neither see nor send any. nil = none.
	Headers map[string]string
}

// A Raw notification has its payload as JSON.
type Raw = Notification[json.RawMessage]

// String names the notification in logs: its type, its id and its publisher. A payload may hold secrets.
func (n Notification[P]) String() string {
	s := n.Type
	if n.ID != "" {
		s += " " + n.ID
	}
	if n.Publisher != "" {
		s += " of " + n.Publisher
	}
	return s
}

// LogValue returns String, where a log in JSON would show the members, secrets in the payload among them.
func (n Notification[P]) LogValue() slog.Value { return slog.StringValue(n.String()) }

// retyped is n with another payload.
func retyped[P, Q any](n *Notification[P], payload Q) Notification[Q] {
	return Notification[Q]{
		ID: n.ID, Publisher: n.Publisher, Type: n.Type, Priority: n.Priority, Payload: payload, Time: n.Time, Timestamp: n.Timestamp,
		Context: n.Context, Topic: n.Topic, Redelivered: n.Redelivered, Headers: n.Headers,
	}
}

// decoded is n with its payload decoded.
func decoded[P any](n *Raw) (Notification[P], error) {
	var payload P
	if raw, ok := any(&payload).(*json.RawMessage); ok {
		*raw = n.Payload
	} else if err := wire.Unmarshal(n.Payload, &payload); err != nil {
		return Notification[P]{}, fmt.Errorf("decode the payload into %T: %w", payload, err)
	}
	return retyped(n, payload), nil
}

// message is n as it travels.
func message(n *Raw, bare bool) *transport.Message {
	return &transport.Message{
		Context:  n.Context.JSON(),
		UniqueID: wire.NewID(),
		Headers:  n.Headers,
		Event: &transport.Event{
			ID: n.ID, Publisher: n.Publisher, Type: n.Type, Priority: strings.ToUpper(string(n.Priority)),
			Payload: n.Payload, Timestamp: n.Timestamp, Bare: bare,
		},
	}
}

// arrived is what a delivery tells.
func arrived(d *transport.Delivery) *Raw {
	e := d.Message.Event
	n := &Raw{
		ID: e.ID, Publisher: e.Publisher, Type: e.Type, Priority: Priority(strings.ToLower(e.Priority)),
		Payload: e.Payload, Timestamp: e.Timestamp, Topic: d.To.String(), Redelivered: d.Redelivered, Headers: d.Message.Headers,
	}
	if len(n.Payload) == 0 {
		n.Payload = json.RawMessage("null")
	}
	if at, err := wire.ParseNotificationTime(e.Timestamp); err == nil { // nobody is obliged to tell one
		n.Time = at
	}
	if len(d.Message.Context) > 0 {
		n.Context, _ = rpc.NewRequestContext(d.Message.Context) // a transport gives an object or nothing
	}
	return n
}
