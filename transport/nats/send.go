package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// Headers of ours; those of a message have other names, in lower case. Calls and replies have none of these, since headers cost NATS clients
// dearly.
const (
	headerTTL         = "Goslo-Ttl"         // of a cast: Message.Expires in milliseconds
	headerProbe       = "Goslo-Probe"       // asks a listener to answer with its server's name
	headerUndelivered = "Goslo-Undelivered" // of a call given back by a listener that is full: why
	headerNATSTTL     = "Nats-TTL"          // JetStream's own, in seconds
)

// JetStream's error codes that concern a sender.
const (
	codeNoJetStreamForAccount = 10039
	codeNoStream              = 10059
	codeNoJetStream           = 10076
	codeTTLDisabled           = 10166 // the stream was made without AllowMsgTTL
)

// replyPatience bounds how long a reply waits for the connection to come back.
const replyPatience = 30 * time.Second

const (
	// probePause is the time between two looks whether servers are back after the bus was away.
	probePause = 50 * time.Millisecond
	// callbackPause lets nats.go's callback tell that the connection is away, which its methods know first.
	callbackPause = time.Millisecond
)

// lookTimeout bounds one look whether a stream exists.
const lookTimeout = 2 * time.Second

// errLinkLost: the connection broke while an answer was awaited.
var errLinkLost = errors.New("the connection was lost")

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Send implements [transport.Transport]. A call to nobody is told to the caller's reply listener; a call's
// and a fanout message's nil means written to the connection, a cast's and a notification's that it is stored.
func (c *Conn) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if err := c.send(ctx, to, m); err != nil {
		return fmt.Errorf("nats: send to %s: %w", to, err)
	}
	return nil
}

func (c *Conn) send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if c.isClosed() {
		return transport.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx))
	}
	if to.Topic == "" {
		return fmt.Errorf("%w: the address has no topic", transport.ErrRejected)
	}
	if err := transport.CheckNotification(to, m); err != nil {
		return err
	}
	if err := transport.CheckHeaders(m.Headers); err != nil {
		return err
	}
	buffer := buffers.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= 1<<20 {
			buffers.Put(buffer)
		}
	}()
	encode := wire.AppendMessage
	if m.Event != nil {
		encode = wire.AppendNotification
		if m.UniqueID == "" { // by which it is stored once
			own := *m
			own.UniqueID = wire.NewID()
			m = &own
		}
	}
	room, err := encode((*buffer)[:0], m)
	if err != nil {
		return fmt.Errorf("%w: %w", transport.ErrRejected, err)
	}
	const headers = 256 // as many bytes as most messages' take at the most
	room = slices.Grow(room, len(c.prefix)+2*longestLine/10+headers)
	body := room
	start := len(room)
	switch to.Kind {
	case transport.Reply:
		room = appendToken(append(append(append(room, c.prefix...), replyToken...), '.'), to.Topic)
		room = appendToken(append(room, '.'), m.ID)
		err = c.reply(ctx, room[start:], body)
	case transport.Fanout:
		to.Server = ""
		room = c.appendSubject(room, fanoutToken, to)
		err = c.publish(ctx, room[start:], nil, ownHeader(room, m), body)
	case transport.Notification:
		err = c.notify(ctx, to, m, room, body)
	case transport.Topic:
		if m.ReplyTo == "" {
			room = c.appendSubject(room, castToken, to)
			err = c.store(ctx, room[start:], m, ownHeader(room, m), body)
			break
		}
		room = c.appendSubject(room, callToken, to)
		reply := len(room)
		room = c.appendReplyTo(room, m)
		err = c.call(ctx, room[start:reply], room[reply:], ownHeader(room, m), body)
	default:
		err = fmt.Errorf("%w: the address is of no known kind", transport.ErrRejected)
	}
	*buffer = room
	return err
}

// publish writes one plain message, waiting for the connection.
func (c *Conn) publish(ctx context.Context, subject, reply []byte, h header, body []byte) error {
	for {
		if _, err := c.await(ctx); err != nil {
			return err
		}
		err := c.hand(subject, reply, h, body)
		if !errors.Is(err, errAway) {
			return c.published(err, len(body))
		}
		if err := c.rest(ctx, callbackPause); err != nil {
			return err
		}
	}
}

// reply publishes a reply, waiting for the connection for as long as replies do.
func (c *Conn) reply(ctx context.Context, subject, body []byte) error {
	if c.link.Load() != nil && c.socket.Load().crowd() == nil {
		if err := c.hand(subject, nil, nil, body); !errors.Is(err, errAway) {
			return c.published(err, len(body))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, replyPatience)
	defer cancel()
	return c.publish(ctx, subject, nil, nil, body)
}

// hand gives a message to the connection. The error is that of socket.publish.
func (c *Conn) hand(subject, reply []byte, h header, body []byte) error {
	if len(h) == 0 {
		h = nil
	}
	return c.socket.Load().publish(subject, reply, h, body)
}

// ownHeader has a message's own headers, in the room behind b where that is enough. What it has when it is empty is none.
func ownHeader(b []byte, m *transport.Message) header {
	h := header(b[len(b):])
	for name, value := range m.Headers {
		h = h.add(name, value)
	}
	return h
}

// published counts a plain message.
func (c *Conn) published(err error, size int) error {
	if err == nil {
		c.counters.published.Add(1)
	}
	return c.publishError(err, size)
}

func (c *Conn) publishError(err error, size int) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: the message has %d bytes, the server's max_payload is %d", transport.ErrRejected, size, c.socket.Load().server.Load().MaxPayload)
	case errors.Is(err, nats.ErrBadSubject):
		return fmt.Errorf("%w: the names of the addresses make no subject, or one of more than %d bytes: %w", transport.ErrRejected, longestLine, err)
	case errors.Is(err, errAway) && c.isClosed():
		return transport.ErrClosed
	default:
		return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
	}
}

// appendReplyTo writes the subject that a call's reply comes to. It pairs the server's word that nobody listens with the call, and
// carries the time that the caller waits.
func (c *Conn) appendReplyTo(b []byte, m *transport.Message) []byte {
	b = append(append(append(b, c.prefix...), replyToken...), '.')
	b = appendToken(append(appendToken(b, m.ReplyTo), '.'), m.ID)
	if m.Expires > 0 {
		b = strconv.AppendInt(append(b, '.'), max(m.Expires.Milliseconds(), 1), 10)
	}
	return b
}

// call sends a request.
func (c *Conn) call(ctx context.Context, subject, reply []byte, h header, body []byte) error {
	l, err := c.await(ctx)
	if err != nil {
		return err
	}
	if l.settling() {
		if err := c.awaitServer(ctx, l, subject); err != nil {
			return err
		}
	}
	return c.publish(ctx, subject, reply, h, body)
}

// awaitServer waits until a server of the subject is back, or nobody can be on the way back any more.
func (c *Conn) awaitServer(ctx context.Context, l *link, subject []byte) error {
	for l.settling() {
		answer, err := c.asks.ask(ctx, l, subject, header(nil).add(headerProbe, "1"), nil)
		if err == nil && !noResponders(answer) || errors.Is(err, errLinkLost) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx))
		}
		if err := c.rest(ctx, probePause); err != nil {
			return err
		}
	}
	return nil
}

// rest waits. The error wraps ErrNotSent or ErrClosed.
func (c *Conn) rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.closed:
		return transport.ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", transport.ErrNotSent, context.Cause(ctx))
	}
}

// confirmed begins JetStream's answer when the message is stored; an error's begins otherwise.
const confirmed = `{"stream":"`

// stored is JetStream's answer to a publication.
type stored struct {
	Error *struct {
		Code        int    `json:"code"`
		ErrCode     int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
	Stream string `json:"stream"`
}

// store has the server store a cast or a notification, and waits for its word that it did. The room behind own is used.
func (c *Conn) store(ctx context.Context, subject []byte, m *transport.Message, own header, body []byte) error {
	h := storing(own, m, true)
	for {
		l, err := c.await(ctx)
		if err != nil {
			return err
		}
		answer, err := c.asks.ask(ctx, l, subject, h, body)
		c.counters.asked(err)
		switch {
		case errors.Is(err, errAway):
			if err := c.rest(ctx, callbackPause); err != nil {
				return err
			}
			continue
		case errors.Is(err, errLinkLost):
			return fmt.Errorf("%w: %w before the server confirmed", transport.ErrInDoubt, err)
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("%w: the server has not confirmed: %w", transport.ErrInDoubt, err)
		case err != nil:
			return c.publishError(err, len(body))
		case noResponders(answer) && l.settling():
			if err := c.rest(ctx, probePause); err != nil {
				return err
			}
			continue
		case noResponders(answer):
			if err := c.nobody(ctx, l, string(subject)); err != nil {
				c.counters.returned.Add(1)
				return err
			}
			continue
		}
		if len(answer.data) > len(confirmed) && string(answer.data[:len(confirmed)]) == confirmed {
			c.counters.confirmed.Add(1)
			return nil
		}
		var s stored
		if err := json.Unmarshal(answer.data, &s); err != nil {
			return fmt.Errorf("%w: the server's confirmation cannot be read: %w", transport.ErrInDoubt, err)
		}
		switch {
		case s.Error == nil:
			c.counters.confirmed.Add(1)
			return nil
		case s.Error.ErrCode == codeTTLDisabled && h.get(headerNATSTTL) != "":
			h = storing(ownHeader(nil, m), m, false) // the listener still honours headerTTL
		default:
			c.counters.refused.Add(1)
			return fmt.Errorf("%w: stream %s: %s (code %d)", transport.ErrRejected, streamName(string(subject)), s.Error.Description, s.Error.ErrCode)
		}
	}
}

// storing adds what JetStream and listeners are told of a cast or a notification: its id, and when it is of no use any more. A stream that
// knows no such time refuses ttl.
func storing(h header, m *transport.Message, ttl bool) header {
	if m.UniqueID != "" {
		h = h.add("Nats-Msg-Id", m.UniqueID)
	}
	if m.Expires > 0 {
		h = h.addNumber(headerTTL, max(m.Expires.Milliseconds(), 1))
		if ttl {
			h = h.addNumber(headerNATSTTL, int64((m.Expires-1)/time.Second)+1)
		}
	}
	return h
}

// nobody finds out why no stream took a cast. Nil means that there is one and that it may be tried again, after a
// rest: it was made this moment, or its cluster is about to choose who leads it.
func (c *Conn) nobody(ctx context.Context, l *link, subject string) error {
	name := streamName(subject)
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	answer, err := c.asks.ask(look, l, []byte("$JS.API.STREAM.INFO."+name), nil, nil)
	why := "stream " + name + " exists but takes nothing: nobody leads it, or it was made for another subject than " + subject
	var s stored
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: whether there is a stream %s is unknown: %w", transport.ErrNotSent, name, context.Cause(ctx))
	case err != nil:
		why = "whether there is a stream " + name + " cannot be found out: " + err.Error()
	case noResponders(answer):
		return fmt.Errorf("%w: %w", transport.ErrRejected, errNoJetStream)
	case json.Unmarshal(answer.data, &s) != nil:
		why = "what the server says of stream " + name + " cannot be read"
	case s.Error != nil && s.Error.ErrCode == codeNoStream:
		return fmt.Errorf("%w: no server has ever listened there", transport.ErrNoListener)
	case s.Error != nil && (s.Error.ErrCode == codeNoJetStream || s.Error.ErrCode == codeNoJetStreamForAccount):
		return fmt.Errorf("%w: %w", transport.ErrRejected, errNoJetStream)
	}
	if err := c.rest(ctx, probePause); err != nil {
		return fmt.Errorf("%s: %w", why, err)
	}
	return nil
}

var errNoJetStream = errors.New("the server has no JetStream, which casts and notifications need; start nats-server with -js, or put jetstream {} into its configuration")
