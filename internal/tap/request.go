package tap

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/wire"
)

// A Kind is a kind of request.
type Kind string

// The kinds of requests.
const (
	Call   Kind = "call"
	Cast   Kind = "cast"
	Fanout Kind = "fanout"
)

// A Request is a request as it travelled. Its arguments hold what secrets they hold.
type Request struct {
	Time   time.Time // when the tap had it
	Kind   Kind
	Target Target
	Method Method
	Origin Origin
	IDs    IDs
	Size   int           // bytes of the body, as they travelled
	Within time.Duration // the sender gives up after so long; 0 = never, or it is not told
	Args   json.RawMessage
	// Unanswered is that of [Message].
	Unanswered bool
}

// A Target is where a request went.
type Target struct{ Exchange, Topic, Server string }

// String is topic, or topic/server.
func (t Target) String() string {
	if t.Server == "" {
		return t.Topic
	}
	return t.Topic + "/" + t.Server
}

// A Method is what was asked for.
type Method struct{ Namespace, Name, Version string }

// String is the name, behind its namespace if it has one.
func (m Method) String() string {
	if m.Namespace == "" {
		return m.Name
	}
	return m.Namespace + "." + m.Name
}

// An Origin is what the request's context says of where it began. What it does not say is "".
type Origin struct{ RequestID, GlobalID, Project, User string }

// IDs are those by which messages are paired.
type IDs struct {
	Unique  string // of the message, so that a duplicate is known
	Message string // of the call, and of its reply
	ReplyTo string // the caller's queue for replies
}

// errNoRequest says that a message is something else, such as a reply or a notification.
var errNoRequest = errors.New("tap: the message is no request")

// Request reads the message as a request, and whether it is one.
func (t *Tap) Request(m Message) (Request, bool) {
	r, err := decodeRequest(m.Delivery, t.Topic)
	r.Time, r.Unanswered = m.Time, m.Unanswered
	return r, err == nil
}

// decode reads the body of a delivery.
func decode(headers amqp.Table, body []byte) (*transport.Message, error) {
	plain, err := rabbit.PlainBody(headers, body)
	if err != nil {
		return nil, fmt.Errorf("tap: %w", err)
	}
	return wire.Parse(plain)
}

func decodeRequest(d amqp.Delivery, split func(string) (string, string)) (Request, error) {
	m, err := decode(d.Headers, d.Body)
	if err != nil {
		return Request{}, err
	}
	if m.Method == "" {
		return Request{}, errNoRequest
	}
	return requestOf(m, address{d.Exchange, d.RoutingKey, d.Expiration}, len(d.Body), split), nil
}

// An address is what a message was published with.
type address struct{ exchange, key, expiration string }

func requestOf(m *transport.Message, at address, size int, split func(string) (string, string)) Request {
	r := Request{
		Kind: Cast, Size: size, Args: m.Args, Target: Target{Exchange: at.exchange}, Method: Method{m.Namespace, m.Method, m.Version},
		Origin: originOf(m.Context), IDs: IDs{Unique: m.UniqueID, Message: m.ID, ReplyTo: m.ReplyTo},
	}
	if d, err := time.ParseDuration(at.expiration + "ms"); err == nil {
		r.Within = d
	}
	if topic, ok := strings.CutSuffix(at.exchange, fanoutSuffix); ok && at.exchange != fanoutSuffix {
		r.Kind, r.Target.Topic = Fanout, topic
		return r
	}
	if m.ReplyTo != "" || m.ID != "" {
		r.Kind = Call
	}
	r.Target.Topic, r.Target.Server = split(at.key)
	return r
}

// originOf reads a request context: oslo.context's names, and older ones (oslo_context/context.py).
func originOf(context json.RawMessage) Origin {
	var members map[string]any
	if wire.Unmarshal(context, &members) != nil {
		return Origin{}
	}
	first := func(names ...string) string {
		for _, name := range names {
			if s, ok := members[name].(string); ok && s != "" {
				return s
			}
		}
		return ""
	}
	return Origin{
		RequestID: first("request_id"), GlobalID: first("global_request_id"),
		Project: first("project_id", "tenant_id", "tenant", "project_name"), User: first("user_id", "user", "user_name"),
	}
}

// nameOf is what to call a message by, for people.
func nameOf(d amqp.Delivery) string {
	m, err := decode(d.Headers, d.Body)
	if err != nil || m.Method == "" {
		return "one that is no request"
	}
	if id := originOf(m.Context).RequestID; id != "" {
		return id + " " + m.Method
	}
	return m.UniqueID + " " + m.Method
}
