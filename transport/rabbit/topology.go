package rabbit

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// topology is what exchanges and queues look like. It is oslo's to the letter: peers declare the same ones,
// and a broker refuses a declaration that differs (rows RMQ-TOPO-01 to 23).
type topology struct {
	exchange string // of addresses that name none

	durable    bool   // amqp_durable_queues
	autoDelete bool   // amqp_auto_delete
	mirrored   bool   // rabbit_ha_queues
	quorum     bool   // rabbit_quorum_queue: what peers share
	limits     limits // of quorum queues

	ttl              time.Duration // rabbit_transient_queues_ttl
	transientQuorum  bool          // rabbit_transient_quorum_queue: what is ours alone
	stream           bool          // rabbit_stream_fanout
	cancelOnFailover bool          // enable_cancel_on_failover
	names            *namer        // use_queue_manager; nil = random names
}

// limits are those of quorum queues, 0 = none (RMQ-TOPO-14).
type limits struct{ deliveries, length, bytes int }

// A queue as it is declared, bound and consumed from.
type queue struct {
	name       string
	key        string // its binding; unused when exchange is nil
	exchange   *exchange
	durable    bool
	autoDelete bool
	own        bool // nobody else's: deleted when its listener closes
	kept       bool // own, and left to the next process of this name
	stream     bool // everybody reads all of it, from where they were
	args       amqp.Table
	consume    amqp.Table        // arguments of its consumers
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
	return exchange{name: a.Topic + "_fanout", kind: amqp.ExchangeFanout, durable: t.transientQuorum || t.stream, autoDelete: true}
}

// queues are those that a listener at a consumes from, in the order in which they are declared (RMQ-TOPO-01).
// The name of what is its own ends with unique.
func (t topology) queues(a transport.Address, unique string) []queue {
	if a.Kind == transport.Reply {
		q := t.own("reply_" + unique)
		q.to = transport.Address{Kind: transport.Reply, Topic: q.name}
		return []queue{q}
	}
	if a.Kind == transport.Notification {
		return []queue{t.notified(a)}
	}
	topic, exchange := t.topic(a), t.fanout(a)
	fanout := t.own(exchange.name + "_" + unique)
	if t.stream {
		fanout = t.streamed(exchange.name)
	}
	fanout.key, fanout.exchange = a.Topic, &exchange
	fanout.to = transport.Address{Kind: transport.Fanout, Exchange: a.Exchange, Topic: a.Topic}
	return []queue{t.shared(a, "", &topic), t.shared(a, a.Server, &topic), fanout}
}

// shared is the queue of a topic, or of one of its servers (RMQ-TOPO-03).
func (t topology) shared(a transport.Address, server string, x *exchange) queue {
	name := a.Topic
	if server != "" {
		name += "." + server
	}
	return queue{
		name: name, key: name, exchange: x, durable: x.durable, autoDelete: t.autoDelete,
		args: t.arguments(t.quorum, 0), consume: cancelling(!t.quorum),
		to: transport.Address{Kind: transport.Topic, Exchange: a.Exchange, Topic: a.Topic, Server: server},
	}
}

// own is a reply or fanout queue (RMQ-TOPO-05, 06, 13).
func (t topology) own(name string) queue {
	return queue{
		name: name, own: true, kept: t.names != nil, durable: t.transientQuorum,
		args: t.arguments(t.transientQuorum, t.ttl), consume: cancelling(t.cancelOnFailover && !t.transientQuorum),
	}
}

// streamed is the one queue of a fanout that all its servers read (RMQ-TOPO-16).
func (t topology) streamed(name string) queue {
	args := amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeStream}
	if t.ttl > 0 {
		args[amqp.StreamMaxAgeArg] = strconv.Itoa(int(t.ttl.Seconds())) + "s"
	}
	return queue{name: name, durable: true, stream: true, args: args}
}

// arguments are those of a queue that is no stream (RMQ-TOPO-11, 12, 14, 15).
func (t topology) arguments(quorum bool, ttl time.Duration) amqp.Table {
	args := amqp.Table{}
	if t.mirrored {
		args["x-ha-policy"] = "all"
	}
	if quorum {
		args[amqp.QueueTypeArg] = amqp.QueueTypeQuorum
		for name, n := range map[string]int{
			limitArgument: t.limits.deliveries, "x-max-in-memory-length": t.limits.length, "x-max-in-memory-bytes": t.limits.bytes,
		} {
			if n > 0 {
				args[name] = integer(n)
			}
		}
	}
	if ttl > 0 {
		args[amqp.QueueTTLArg] = int32(ttl.Milliseconds()) // of the type that Python uses; options keep it in range
	}
	if len(args) == 0 {
		return nil
	}
	return args
}

// integer is n in the type that Python's library gives it on the wire.
func integer(n int) any {
	if n <= math.MaxInt32 {
		return int32(n)
	}
	return int64(n)
}

// cancelOnLoss has the broker end a consumer whose queue is gone. Without it RabbitMQ before 4.0 consumes for it once more, by itself,
// from a queue that somebody has made of that name meanwhile, and then throws away what that one delivers
// (rabbit_channel.erl, handle_consuming_queue_down_or_eol): a listener that is deaf, and looks well from outside.
const cancelOnLoss = "x-cancel-on-ha-failover"

// cancelling are the arguments of a consumer (RMQ-TOPO-19); those of a stream's are its listener's. Queues that others declare too always
// have cancelOnLoss; upstream has it where enable_cancel_on_failover says so. Quorum queues refuse it, and keep their consumers.
func cancelling(yes bool) amqp.Table {
	if !yes {
		return nil
	}
	return amqp.Table{cancelOnLoss: true}
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
		case f := <-s.besides:
			s.running.Go(f)
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
