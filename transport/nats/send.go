package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	body, err := encode((*buffer)[:0], m)
	if err != nil {
		return fmt.Errorf("%w: %w", transport.ErrRejected, err)
	}
	*buffer = body
	switch {
	case to.Kind == transport.Reply:
		ctx, cancel := context.WithTimeout(ctx, replyPatience)
		defer cancel()
		return c.publish(ctx, c.prefix+replyToken+"."+string(appendToken(append(appendToken(nil, to.Topic), '.'), m.ID)), "", nil, body)
	case to.Kind == transport.Fanout:
		to.Server = ""
		return c.publish(ctx, c.subject(fanoutToken, to), "", headers(m), body)
	case to.Kind == transport.Notification:
		return c.notify(ctx, to, m, body)
	case to.Kind != transport.Topic:
		return fmt.Errorf("%w: the address is of no known kind", transport.ErrRejected)
	case m.ReplyTo != "":
		return c.call(ctx, to, m, body)
	default:
		return c.store(ctx, c.subject(castToken, to), m, body)
	}
}

// publish writes one plain message, waiting for the connection.
func (c *Conn) publish(ctx context.Context, subject, reply string, header nats.Header, body []byte) error {
	for {
		if _, err := c.await(ctx); err != nil {
			return err
		}
		err := c.hand(subject, reply, header, body)
		if !errors.Is(err, nats.ErrReconnectBufExceeded) {
			if err == nil {
				c.counters.published.Add(1)
			}
			return c.publishError(err, len(body))
		}
		if err := c.rest(ctx, callbackPause); err != nil {
			return err
		}
	}
}

// hand gives a message to nats.go. One without headers makes no garbage.
func (c *Conn) hand(subject, reply string, header nats.Header, body []byte) error {
	if header == nil {
		return c.nc.PublishRequest(subject, reply, body)
	}
	return c.nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Header: header, Data: body})
}

// headers are a message's; nil for none.
func headers(m *transport.Message) nats.Header {
	if len(m.Headers) == 0 {
		return nil
	}
	h := make(nats.Header, len(m.Headers))
	for name, value := range m.Headers {
		h[name] = []string{value}
	}
	return h
}

func (c *Conn) publishError(err error, size int) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: the message has %d bytes, the server's max_payload is %d", transport.ErrRejected, size, c.nc.MaxPayload())
	case errors.Is(err, nats.ErrConnectionClosed):
		return transport.ErrClosed
	default:
		return fmt.Errorf("%w: %w", transport.ErrNotSent, err)
	}
}

// call sends a request whose reply subject pairs the server's word that nobody listens with the call, and
// carries the time that the caller waits.
func (c *Conn) call(ctx context.Context, to transport.Address, m *transport.Message, body []byte) error {
	subject := c.subject(callToken, to)
	reply := make([]byte, 0, len(c.prefix)+len(replyToken)+len(m.ReplyTo)+len(m.ID)+16)
	reply = append(append(append(reply, c.prefix...), replyToken...), '.')
	reply = appendToken(append(appendToken(reply, m.ReplyTo), '.'), m.ID)
	if m.Expires > 0 {
		reply = strconv.AppendInt(append(reply, '.'), max(m.Expires.Milliseconds(), 1), 10)
	}
	l, err := c.await(ctx)
	if err != nil {
		return err
	}
	if l.settling() {
		if err := c.awaitServer(ctx, l, subject); err != nil {
			return err
		}
	}
	return c.publish(ctx, subject, string(reply), headers(m), body)
}

// awaitServer waits until a server of the subject is back, or nobody can be on the way back any more.
func (c *Conn) awaitServer(ctx context.Context, l *link, subject string) error {
	for l.settling() {
		answer, err := c.asks.ask(ctx, l, &nats.Msg{Subject: subject, Header: nats.Header{headerProbe: {"1"}}})
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

// store has the server store a cast or a notification, and waits for its word that it did.
func (c *Conn) store(ctx context.Context, subject string, m *transport.Message, body []byte) error {
	msg := &nats.Msg{Subject: subject, Header: headers(m), Data: body}
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	if m.UniqueID != "" {
		msg.Header["Nats-Msg-Id"] = []string{m.UniqueID}
	}
	if m.Expires > 0 {
		msg.Header[headerTTL] = []string{strconv.FormatInt(max(m.Expires.Milliseconds(), 1), 10)}
		msg.Header["Nats-TTL"] = []string{strconv.FormatInt(int64((m.Expires-1)/time.Second)+1, 10)}
	}
	for {
		l, err := c.await(ctx)
		if err != nil {
			return err
		}
		answer, err := c.asks.ask(ctx, l, msg)
		c.counters.asked(err)
		switch {
		case errors.Is(err, nats.ErrReconnectBufExceeded):
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
			if err := c.nobody(ctx, l, msg.Subject); err != nil {
				c.counters.returned.Add(1)
				return err
			}
			continue
		}
		if len(answer.Data) > len(confirmed) && string(answer.Data[:len(confirmed)]) == confirmed {
			c.counters.confirmed.Add(1)
			return nil
		}
		var s stored
		if err := json.Unmarshal(answer.Data, &s); err != nil {
			return fmt.Errorf("%w: the server's confirmation cannot be read: %w", transport.ErrInDoubt, err)
		}
		switch {
		case s.Error == nil:
			c.counters.confirmed.Add(1)
			return nil
		case s.Error.ErrCode == codeTTLDisabled && msg.Header.Get("Nats-TTL") != "":
			msg.Header.Del("Nats-TTL") // the listener still honours headerTTL
		default:
			c.counters.refused.Add(1)
			return fmt.Errorf("%w: stream %s: %s (code %d)", transport.ErrRejected, streamName(msg.Subject), s.Error.Description, s.Error.ErrCode)
		}
	}
}

// nobody finds out why no stream took a cast. Nil means that there is one and that it may be tried again, after a
// rest: it was made this moment, or its cluster is about to choose who leads it.
func (c *Conn) nobody(ctx context.Context, l *link, subject string) error {
	name := streamName(subject)
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	answer, err := c.asks.ask(look, l, &nats.Msg{Subject: "$JS.API.STREAM.INFO." + name})
	why := "stream " + name + " exists but takes nothing: nobody leads it, or it was made for another subject than " + subject
	var s stored
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: whether there is a stream %s is unknown: %w", transport.ErrNotSent, name, context.Cause(ctx))
	case err != nil:
		why = "whether there is a stream " + name + " cannot be found out: " + err.Error()
	case noResponders(answer):
		return fmt.Errorf("%w: %w", transport.ErrRejected, errNoJetStream)
	case json.Unmarshal(answer.Data, &s) != nil:
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
