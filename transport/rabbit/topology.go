package rabbit

import (
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// topology is what exchanges and queues look like. It is oslo's to the letter: peers declare the same ones,
// and a broker refuses a declaration that differs (rows RMQ-TOPO-01 to 15).
type topology struct {
	exchange   string // of addresses that name none
	durable    bool   // amqp_durable_queues
	autoDelete bool   // amqp_auto_delete
	quorum     bool   // rabbit_quorum_queue
	ttl        time.Duration
}

// A queue as it is declared, bound and consumed from.
type queue struct {
	name       string
	key        string // its binding; unused when exchange is nil
	exchange   *exchange
	durable    bool
	autoDelete bool
	own        bool // nobody else's: deleted when its listener closes
	args       amqp.Table
	to         transport.Address // how a message found here was addressed
}

type exchange struct {
	name, kind          string
	durable, autoDelete bool
}

// topic is the exchange of an address that is not a fanout (RMQ-TOPO-02, 10).
func (t topology) topic(a transport.Address) exchange {
	name := a.Exchange
	if name == "" {
		name = t.exchange
	}
	return exchange{name: name, kind: amqp.ExchangeTopic, durable: t.durable || t.quorum, autoDelete: t.autoDelete}
}

// fanout is the exchange of a topic's fanout; the address's own exchange plays no part (RMQ-TOPO-04).
func (t topology) fanout(a transport.Address) exchange {
	return exchange{name: a.Topic + "_fanout", kind: amqp.ExchangeFanout, autoDelete: true}
}

// queues are those that a listener at a consumes from, in the order in which they are declared (RMQ-TOPO-01).
func (t topology) queues(a transport.Address) []queue {
	if a.Kind == transport.Reply {
		name := "reply_" + wire.NewID()
		return []queue{{name: name, own: true, args: t.expiry(), to: transport.Address{Kind: transport.Reply, Topic: name}}}
	}
	topic, fanout := t.topic(a), t.fanout(a)
	shared := func(name, server string) queue {
		q := queue{name: name, key: name, exchange: &topic, durable: topic.durable, autoDelete: t.autoDelete}
		q.to = transport.Address{Kind: transport.Topic, Exchange: a.Exchange, Topic: a.Topic, Server: server}
		if t.quorum {
			q.args = amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}
		}
		return q
	}
	return []queue{
		shared(a.Topic, ""),
		shared(a.Topic+"."+a.Server, a.Server),
		{
			name: fanout.name + "_" + wire.NewID(), key: a.Topic, exchange: &fanout, own: true, args: t.expiry(),
			to: transport.Address{Kind: transport.Fanout, Exchange: a.Exchange, Topic: a.Topic},
		},
	}
}

// expiry is the one argument of queues that are a process's own (RMQ-TOPO-15).
func (t topology) expiry() amqp.Table {
	if t.ttl == 0 {
		return nil
	}
	return amqp.Table{amqp.QueueTTLArg: int32(t.ttl.Milliseconds())} // of the type that Python uses; options keep it in range
}

// A job is declaring, deleting or asking, in the goroutine that owns a session's setup channel.
type job struct {
	run    func(*setup) error
	result chan error
}

// do runs f on the session's setup channel. When ctx ends before f does, f goes on unheard.
func (s *session) do(ctx context.Context, f func(*setup) error) error {
	j := job{run: f, result: make(chan error, 1)}
	select {
	case s.jobs <- j:
	case <-s.gone:
		return s.why
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-j.result:
		return err
	case <-s.gone:
		return s.why
	case <-ctx.Done():
		return ctx.Err()
	}
}

// work runs jobs until the session ends. It may wait for the broker as long as the connection lives; those
// who asked do not have to.
func (s *session) work() {
	su := setup{session: s}
	for {
		select {
		case j := <-s.jobs:
			j.result <- j.run(&su)
		case <-s.gone:
			return
		}
	}
}

// setup is a channel for declarations, apart from those that carry messages because the broker answers a
// refused declaration by closing the channel.
type setup struct {
	session *session
	ch      *amqp.Channel
	asked   bool // see lasting.ask
}

// channel returns a live channel, a new one where the last was closed.
func (su *setup) channel() (*amqp.Channel, error) {
	if su.ch != nil && !su.ch.IsClosed() {
		return su.ch, nil
	}
	ch, _, err := su.session.sock.channel(su.session.conn)
	su.ch = ch
	return ch, err
}

func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
