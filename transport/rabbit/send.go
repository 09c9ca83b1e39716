package rabbit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// maxRefusals is how often a message is sent again after the broker closed its channel for a reason that it does not tell more
// about.
const maxRefusals = 3

// missingFor is how long the exchange of a message may be missing although it is declared again each time: while RabbitMQ
// deletes one it answers to a declaration as if it had obeyed, and does not.
const missingFor = 10 * time.Second

// bodies keeps buffers for message bodies. The library has copied a body when publishing returns, but a
// request is kept until it is confirmed, to be sent again.
type bodies struct{ pool sync.Pool }

// keepBody is the largest buffer that goes back to the pool.
const keepBody = 64 << 10

func (b *bodies) get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, 0, 2048)
	return &p
}

// put takes a buffer back, if there is one.
func (b *bodies) put(p *[]byte) {
	if p != nil && cap(*p) <= keepBody {
		*p = (*p)[:0]
		b.pool.Put(p)
	}
}

// Send publishes m. A request or fanout is confirmed by the broker before Send returns; where the connection
// breaks in between it is published again on the next one, with the same unique id, by which receivers drop
// duplicates, until ctx ends. A reply is taken by the connection, not confirmed; see replies.
//
// Errors wrap transport.ErrNoListener (a request that no queue takes, a reply to a queue that is gone for
// good), ErrNotSent, ErrInDoubt (ctx ended between publishing and the confirm), ErrRejected (too large, a
// broker's nack or refusal) or ErrClosed.
func (t *Transport) Send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if !t.sending.enter() {
		return fmt.Errorf("rabbit: send to %s: %w", to, transport.ErrClosed)
	}
	defer t.sending.leave()
	if err := t.send(ctx, to, m); err != nil {
		return fmt.Errorf("rabbit: send to %s: %w", to, err)
	}
	return nil
}

func (t *Transport) send(ctx context.Context, to transport.Address, m *transport.Message) error {
	if to.Topic == "" {
		return reject(errors.New("the address has no topic"))
	}

	err := transport.CheckNotification(to, m)
	if err == nil {
		err = transport.CheckHeaders(m.Headers)
	}
	if err != nil {
		return err
	}
	p := publication{buf: t.bodies.get(), message: m, headers: m.Headers}
	defer func() { t.bodies.put(p.buf) }()
	if m.Event != nil {
		p.body, err = wire.AppendNotification((*p.buf)[:0], m)
	} else {
		p.body, err = wire.AppendEnvelope((*p.buf)[:0], m)
	}
	*p.buf = p.body
	if err != nil {
		return reject(err)
	}
	if codec := t.settings.compression; codec != "" {
		if p.body, p.compression, err = compress(codec, p.body); err != nil {
			return reject(err)
		}
	}
	switch to.Kind {
	case transport.Topic:
		p.exchange, p.key = t.settings.topology.topic(to), to.Topic
		if to.Server != "" {
			p.key += "." + to.Server
		}
		p.mandatory = true
		if m.ReplyTo != "" {
			p.expires = max(m.Expires, 0)
		}
		return t.request(ctx, &p)
	case transport.Fanout:
		p.exchange = t.settings.topology.fanout(to)
		return t.publish(ctx, t.fanouts, &p)
	case transport.Reply:
		p.key, p.mandatory = to.Topic, t.settings.replies.mandatory
		return t.reply(ctx, &p)
	case transport.Notification:
		return t.notify(ctx, to, &p)
	}
	return reject(errors.New("the address has no kind"))
}

func reject(why error) error { return fmt.Errorf("%w: %w", transport.ErrRejected, why) }

// publish returns when the broker has confirmed p, sending it as often as connections break.
func (t *Transport) publish(ctx context.Context, via *publisher, p *publication) error {
	if err := p.fits(); err != nil {
		return err
	}
	class, published := transport.ErrNotSent, false
	var refused refusals
	for {
		o, err := via.outlet(ctx)
		if err != nil {
			if errors.Is(err, transport.ErrClosed) && !published {
				return err
			}
			return fmt.Errorf("%w: %w", class, err)
		}
		if limit := o.session.limit.Load(); int64(len(p.body)) > limit {
			return p.tooBig(limit)
		}
		if err := t.ready(ctx, o, p); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%w: %w", class, via.link.state(ctx.Err()))
			}
			if o.lost() {
				continue
			}
			var answer *amqp.Error
			if !published && errors.As(err, &answer) && answer.Server && answer.Code == amqp.AccessRefused {
				return reject(err)
			}
			return fmt.Errorf("%w: %w", class, err)
		}
		confirm := t.confirmations.get()
		if o.ch.publish(p, confirm) == nil {
			t.counters.published.Add(1)
			if published {
				t.counters.resent.Add(1)
			}
			class, published = transport.ErrInDoubt, true
			ok, heard := false, true
			select {
			case ok = <-confirm.done:
			case <-o.gone:
				select { // the confirm may have been the last that came
				case ok = <-confirm.done:
				default:
					heard = false
				}
			case <-ctx.Done():
				return fmt.Errorf("%w: waited for the broker's confirm: %w", class, via.link.state(ctx.Err()))
			}
			if heard {
				t.confirmations.put(confirm)
				back := ok && o.back.take(p.body)
				t.counters.settled(ok, back)
				switch {
				case !ok:
					err := t.apart(ctx, via, o.session, p)
					if err != nil && o.lost() && ctx.Err() == nil {
						continue
					}
					return err
				case back:
					return noListener(p)
				}
				return nil
			}
		}
		// The channel is gone, and p with it or not.
		select {
		case <-o.gone:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", class, via.link.state(ctx.Err()))
		}
		if o.lost() || !p.blamed(o.why) {
			continue
		}
		if err := refused.again(o, p); err != nil {
			return err
		}
	}
}

// blamed says whether the broker may have closed a channel because of p, and not of another message on it.
func (p *publication) blamed(why *amqp.Error) bool {
	if why == nil {
		return false
	}
	switch why.Code {
	case amqp.NotFound, amqp.AccessRefused:
		names := func(word, name string) bool {
			return !strings.Contains(why.Reason, word+" '") || strings.Contains(why.Reason, word+" '"+name+"'")
		}
		return names("exchange", p.exchange.name) && names("topic", p.key)
	case amqp.PreconditionFailed:
		_, mine := limitIn(why.Reason, len(p.body))
		return mine || !strings.Contains(why.Reason, "message size")
	}
	return true
}

// refusals are the channels that the broker has closed because of one message.
type refusals struct {
	times int
	first time.Time
}

// again returns an error unless p, for which the broker closed the channel, deserves another attempt.
func (r *refusals) again(o *outlet, p *publication) error {
	if limit, ok := limitIn(o.why.Reason, len(p.body)); ok {
		o.session.limit.Store(limit)
		return p.tooBig(limit)
	}
	r.times++
	if r.times == 1 {
		r.first = time.Now()
	}
	enough := r.times > maxRefusals
	switch o.why.Code {
	case amqp.AccessRefused:
		enough = true
	case amqp.NotFound:
		enough = time.Since(r.first) > missingFor
	}
	if enough {
		return reject(o.why)
	}
	return nil
}

func noListener(p *publication) error {
	if p.exchange.name == "" {
		return fmt.Errorf("%w: queue %s does not exist (any more)", transport.ErrNoListener, p.key)
	}
	return fmt.Errorf("%w: no queue takes %q on exchange %q", transport.ErrNoListener, p.key, p.exchange.name)
}

// ready waits until o has room for p and its exchange is declared (RMQ-TOPO-09: once, and no queue, unless p is a
// notification).
func (t *Transport) ready(ctx context.Context, o *outlet, p *publication) error {
	if err := o.session.sock.room(ctx); err != nil {
		return err
	}
	if p.exchange.name == "" {
		return nil
	}
	what, ok := o.session.has(p)
	if ok {
		return nil
	}
	return t.prepare(ctx, o.session, what, p.exchange, p.queue)
}

// prepare declares the queue or, where it is nil, the exchange. It is not given the publication, which so stays on its sender's stack.
func (t *Transport) prepare(ctx context.Context, s *session, what route, x exchange, q *queue) error {
	return s.do(ctx, func(su *setup) error {
		if s.declared.has(what) {
			return nil // by another sender, while this one waited for its turn
		}
		var err error
		if q != nil {
			err = t.declarer.queue(su, *q)
		} else {
			err = t.declarer.exchange(su, x)
		}
		if err == nil {
			s.declared.add(what)
		}
		return err
	})
}
