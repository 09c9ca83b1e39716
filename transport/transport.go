// Package transport is the seam between RPC and notifications on one side and a message bus on the other.
//
// It owns the vocabulary that both sides share: [Address] says where a message goes, [Message] what it
// says, [Transport] sends and listens, [Listener] and [Delivery] receive. It owns no protocol and starts
// no goroutine. A transport owns its sockets, reconnection, re-subscription and its broker's topology;
// package rpc, above the seam, owns deadlines, the pairing of replies with calls, heartbeats, duplicates
// and versions.
//
// The promises that every transport keeps are executable: see package transporttest.
package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// A Transport is one process's access to one bus. It is safe for concurrent use.
type Transport interface {
	// Send makes one attempt to hand m to the bus. It waits for a live connection, and for the bus to
	// take responsibility for the message where the bus can say so, until ctx ends. The transport does
	// not keep m after Send returned, nor any raw JSON of it but Context.
	//
	// A request to a Topic address is mandatory: where nobody ever listened it fails with ErrNoListener.
	// A bus that learns this only later tells the caller's reply listener (see Delivery.Undelivered).
	// A Fanout message that nobody hears is not an error. A Reply never holds its sender until the
	// caller's queue is back: the transport tries on for a bounded time of its own.
	//
	// A Notification waits for its listeners, also where there has been none yet: Send makes the queue that listeners
	// without a pool share, if there is none. A bus that keeps nothing gives it to one listener of each pool that is there, and
	// says ErrNoListener where none is; one that carries no notifications says errors.ErrUnsupported.
	//
	// Errors wrap ErrNoListener, ErrNotSent, ErrInDoubt, ErrRejected or ErrClosed.
	Send(ctx context.Context, to Address, m *Message) error

	// Listen subscribes to an address. When it returns, no message sent from now on is missed.
	//
	// A Topic address must name a Server: the listener then receives what is sent to the topic (shared
	// with the topic's other servers), to this server of the topic, and to the topic's fanout.
	// A Reply address is given by its Kind alone; the transport picks the rest, see Listener.Addr.
	// At a Notification address listeners of one Pool share what is sent to the topic, and so do those without one: each
	// pool gets every notification from its first listener on, those without a pool also what was sent before,
	// where the bus keeps it. A bus that has no notifications, or no pools, says errors.ErrUnsupported.
	Listen(ctx context.Context, from Address, o ListenOptions) (Listener, error)

	// Close ends every listener and connection, waiting for messages already taken by Send to leave
	// until ctx ends. Afterwards every method fails with ErrClosed.
	Close(ctx context.Context) error
}

// ListenOptions say how a listener takes its messages.
type ListenOptions struct {
	// Prefetch is the most deliveries that the bus hands to this listener before they are settled.
	// Default (0): 64.
	Prefetch int
	// Temporary says that the pool of a Notification address is for the listeners of this transport alone, and is not to be left
	// behind: what it holds goes with the last of them, soon after it was closed or its process died, and is not there for who comes next.
	// What is told while the connection is away is lost; so may be the oldest of what waits, where much does. A pool that is there already
	// stays what it is. A bus that has no such pools says errors.ErrUnsupported. Default: pools are kept for those who are away.
	Temporary bool
}

// Check returns nil unless o asks at an address for what only others have. The error wraps [ErrRejected].
func (o ListenOptions) Check(from Address) error {
	if o.Temporary && (from.Kind != Notification || from.Pool == "") {
		return fmt.Errorf("%w: only the pool of an address of notifications can be temporary", ErrRejected)
	}
	return nil
}

// A Listener is a live subscription. Next is for one goroutine, but for a [Sharer]'s; Close may be called from any.
type Listener interface {
	// Addr is what a peer needs to send here: for a Reply listener the value for Message.ReplyTo,
	// otherwise the topic and server for people to read.
	Addr() string

	// Next returns the next delivery, or ctx's error, or ErrClosed once the listener or its transport
	// is closed. With a ctx that has ended it takes nothing, also where there is something to be had.
	// A connection that is lost and rebuilt is not an error here.
	Next(ctx context.Context) (*Delivery, error)

	// Close stops the subscription: the bus hands nothing more to it, and what it had handed over
	// unsettled goes back to the bus where the bus can take it back. Deliveries that Next has returned
	// may still be settled, and replied to, until the transport is closed.
	Close(ctx context.Context) error
}

// A Sharer is a Listener whose Next several goroutines may call at a time. Each delivery goes straight to one of them, which a
// goroutine between them and the bus would have to wake.
type Sharer interface {
	// SharesNext does nothing: to have it is to be shared.
	SharesNext()
}

// A Pusher is a Listener that hands over its deliveries by itself, so that no goroutine has to be woken that waits for them only to wake another.
type Pusher interface {
	// Push has take called with each delivery from now on, and Next, which is called afterwards, waits for the end alone. take is called from
	// several goroutines at a time, and neither blocks nor calls the transport; the delivery is acknowledged when it returns, and it and its
	// Message are the transport's again, for the next. What Result and Failure hold stays, and belongs to the receiver.
	Push(take func(*Delivery))
}

// A Readier is a Listener that knows whether messages reach it. A connection that is up does not tell: a queue,
// its binding or its consumer may have gone.
type Readier interface {
	// Ready returns nil, or why messages have not been reaching the listener, and since when. It does no I/O, and
	// a short interruption that the transport is mending does not count.
	Ready() error
}

// A Leaver is a Listener at a Topic address that can leave the topic to its other servers, as one that is about to stop does
// while work that it has begun still runs (lame duck).
//
// What it leaves is what it shares. Its own address stays open, because running work gets follow-up calls there; so does its
// fanout copy, which nobody else could have instead of it, and which running work may need to hear (that a cache is stale, or
// that it shall end). See docs/adr/0019.
type Leaver interface {
	// Leave gives the topic up, for good: also after a connection was rebuilt. When it returns nil the bus hands over nothing
	// more that was sent to the topic without a server, and what it had handed over and Next not returned is back on the
	// bus, for others. Deliveries that Next has returned are settled as before. Next goes on with what is sent to the server
	// itself, and to the topic's fanout. Leave may be called from any goroutine, and again; after Close it does nothing.
	//
	// An error is ctx's, errors.ErrUnsupported from a listener that cannot leave, or the bus's; the listener then still leaves
	// as soon as the bus lets it.
	Leave(ctx context.Context) error
}

// A Delivery is one message on arrival. Its Message belongs to the receiver.
type Delivery struct {
	Message *Message

	// To is how the message was addressed, as far as the bus tells: Kind Topic with or without Server, Fanout, Reply, or
	// Notification with the topic it was sent to, whatever the listener's pool.
	To Address

	// Redelivered says that the bus has handed this message to some listener before.
	Redelivered bool

	// Deliveries is how often the bus has handed this message to some listener, this time included, whatever became of it there;
	// 0 = the bus does not count.
	Deliveries int

	// Last says that the message is lost to listeners if it is given back: it has been handed over as often as its queue allows,
	// and the bus drops it then, or puts it where it puts dead letters. Not every bus tells.
	Last bool

	// Undelivered is set on a Reply listener only: the bus, or a server with no room for it, gave back the
	// request whose Message.ID this is, and Undelivered says why: it wraps ErrNoListener or ErrRejected.
	// Nothing else of Message is meaningful then.
	Undelivered error

	// Settler settles the delivery. It is never nil.
	Settler
}

// A Settler tells the bus what became of a delivery. Exactly one of its methods is called, once.
type Settler interface {
	// Ack removes the message from the bus.
	Ack(ctx context.Context) error
	// Requeue gives the message back, to be delivered again to this or another listener. On a bus or for
	// a kind of message that cannot take it back the error is errors.ErrUnsupported.
	Requeue(ctx context.Context) error
}

// A BatchSettler is a Settler that acknowledges several deliveries for less than one by one.
type BatchSettler interface {
	// AckAll removes its own message and those of others, settlers of the same transport, from the bus, as Ack does. An error is of
	// one or more of them.
	AckAll(ctx context.Context, others []Settler) error
}

// A Recycler is a Settler that uses deliveries again, and their messages. Not every one of its deliveries need be.
type Recycler interface {
	// Recycle is called after the delivery was settled, at the most once, by a receiver that keeps neither it nor its Message. What the fields of the
	// message refer to stays as it is.
	Recycle()
}

// An Inspector is a Transport that can tell what the bus knows about an address, with no more rights
// than sending needs. Used to explain failures, never on the way of a message.
type Inspector interface {
	Inspect(ctx context.Context, at Address) (AddressState, error)
}

// AddressState is what a bus knows about an address at one moment.
type AddressState struct {
	Exists    bool // someone has listened here, and the bus still remembers
	Listeners int  // who listen now; -1 when the bus cannot tell
	Waiting   int  // messages not yet taken; -1 when the bus cannot tell

	// Blocked is why the bus takes no messages at this moment, in its own words (RabbitMQ's "low on memory"); "" = it
	// takes them, or cannot tell.
	Blocked string
	// Rebuilt is when this transport's own listener at the address last found its queue gone and made it anew:
	// what had been sent there before is lost. Zero: never, or no listener of this transport's.
	Rebuilt time.Time
}

// A Redeliverer is a Transport that can say what becomes of deliveries that are never settled. A server that acknowledges
// after its handlers (at least once) needs one.
type Redeliverer interface {
	Redelivery() Redelivery
}

// Redelivery is what a bus does with a delivery to a Topic address that was handed to a listener and not settled when the
// listener's process dies. A Fanout delivery is its listener's own copy, and goes with it on every bus.
type Redelivery struct {
	Casts bool // a cast is delivered again, to the same or another listener
	Calls bool // so is a call

	// Within is how long a delivery may stay unsettled although its listener lives; then the bus delivers it again. 0 = for
	// ever. It is the bus's default where the bus does not tell.
	Within time.Duration
	// WithinName is what operators know Within as, for logs; "" when Within is 0.
	WithinName string
}

// A Namer is a Transport that knows the names of topics which have listeners, in no order, for "did you mean".
type Namer interface {
	Topics(ctx context.Context, exchange string) ([]string, error)
}

// Kind says how an Address is meant.
type Kind uint8

// The kinds of address.
const (
	Topic        Kind = iota + 1 // one server: the one named, else any one of the topic's
	Fanout                       // every server of the topic
	Reply                        // the one listener that asked
	Notification                 // one listener of each pool of the topic, whenever it comes
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Topic:
		return "topic"
	case Fanout:
		return "fanout"
	case Reply:
		return "reply"
	case Notification:
		return "notification"
	}
	return "invalid"
}

// An Address is a place on the bus.
type Address struct {
	Kind     Kind
	Exchange string // "" means the transport's default exchange (oslo's control_exchange, "openstack")
	Topic    string // for a Reply, the Message.ReplyTo of the request; of a Notification with the priority: "notifications.info"
	Server   string // of a Topic address only
	Pool     string // of a Notification address that is listened at only; "" = the listeners without a pool
}

// String is the form used in errors and logs: topic, topic.server, "topic (fanout)", "topic (pool P)", with the exchange in front when it is not
// the default one.
func (a Address) String() string {
	s := a.Topic
	if a.Server != "" {
		s += "." + a.Server
	}
	if a.Exchange != "" {
		s = a.Exchange + "/" + s
	}
	if a.Kind == Fanout {
		s += " (fanout)"
	}
	if a.Pool != "" {
		s += " (pool " + a.Pool + ")"
	}
	return s
}

// A Message is a request, a reply, a heartbeat or a notification, as every bus carries it. A notification has an Event; a
// request has a Method or, from a peer that forgot it, at least Args; a message with none of them is a reply. The raw JSON of one that has arrived is
// shared, as is a Context anywhere: nobody changes their bytes. The other raw JSON of one that was sent is the sender's again, who may write over it.
// A bus may rewrite the text of JSON, not what it says: blanks, and how characters are escaped.
type Message struct {
	// Of a request.
	Method    string
	Namespace string          // "" = none
	Version   string          // "" = none when sending; on arrival a missing version reads "1.0" (oslo's default) and an explicit null ""
	Args      json.RawMessage // an object of named arguments; nil = {}
	Context   json.RawMessage // an object, the request context; nil = {}
	ReplyTo   string          // the caller's reply address; "" for a cast
	Monitor   time.Duration   // the caller gives up when it hears neither reply nor heartbeat for so long; 0 = unmonitored
	Expires   time.Duration   // the caller stops waiting after so long; 0 = never. A bus may drop the request then
	// Headers travel beside what oslo.messaging defines, for tracing and the like: services of ours see them, Python peers neither see nor pass
	// them on. nil = none, and costs nothing. CheckHeaders says what they may hold; Send refuses others with ErrRejected. A reply has none.
	Headers map[string]string

	// Of a reply. Ending is false in a heartbeat.
	Result  json.RawMessage // nil = null
	Failure json.RawMessage // the remote exception as a JSON object (see wire.Failure); nil = success
	Ending  bool
	Answers string // the method that a reply answers, for the sender's log; it does not travel
	// A heartbeat has the request's Monitor, after which it is of no use; a bus may drop it then. It need not travel.

	// Of a notification, which has Context, Headers and UniqueID besides.
	Event *Event

	// Of a request and a reply.
	ID string // pairs a reply with its call; "" for a cast
	// Of all.
	UniqueID string // tells a message from its duplicate; "" when sending = one that the bus makes up, where it has any use for it
}
