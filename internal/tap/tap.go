// Package tap listens in on a RabbitMQ virtual host: what is asked of whom, by what is bound beside the queues of services, or by the
// broker's firehose, which shows replies and deliveries too.
//
// It owns the tap's queue and its bindings, the firehose's switch, what is read from either, and the spans that follow from it. Who shows it,
// and to whom, is for others to say; what it returns holds secrets, see package mask.
//
// # What a tap is on the broker
//
// An exclusive queue, which the broker deletes with the connection, however that ends, and which is bounded: beyond its length the oldest messages
// go. They go to a second queue of the same kind, whose length says how many they were; see [Tap.Lost].
//
// # What a tap does to others
//
// A message that is published as mandatory comes back to its sender when no queue takes it; that is how a Go client fails at once where nobody
// listens. A tap's queue takes messages as any other. So a [Tap] is bound only with keys by which messages reach a queue that is there anyway, and
// looks after these queues: where one goes, its key is unbound within [CheckEvery], and a [Notice] tells which requests came in between, to the
// tap alone. Routes without a queue ([Route.Queue] is empty) are bound as they are, for those who ask for them.
//
// The firehose is the broker's own copy of each message, and takes none from anybody. It costs the broker throughput while it is on.
//
// # Goroutines
//
// A Tap has one that looks after its queues, from Open to Close, and the AMQP library's. A [Firehose] has a process of its own, the guard, which
// switches it off when this one is gone; it has one that waits for that.
package tap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/wire"
)

// Defaults of [Config].
const (
	DefaultMessages = 10_000
	DefaultBytes    = 64 << 20
)

// CheckEvery is how often a tap looks whether the queues are there whose keys it is bound with. Of more than checkedAtOnce it takes turns.
const CheckEvery = time.Second

const checkedAtOnce = 200

// maxLost is how many lost messages are counted within CheckEvery.
const maxLost = 100_000

// maxNamed is how many requests a notice names.
const maxNamed = 20

// prefetch is how many messages are on the way to us; half of them are acknowledged at once.
const prefetch = 512

// QueuePrefix begins the names of taps' queues: what follows is the process's id and a random one.
const QueuePrefix = "goslo.tap."

// A Dialer opens a connection of its caller's own, such as [github.com/goslo/goslo/transport/rabbit.Config.Dial].
type Dialer func(context.Context) (*amqp.Connection, error)

// Config says what to listen to, and how much of it the broker may hold for us.
type Config struct {
	// Dial connects.
	Dial Dialer
	// Routes tells by which ways messages reach queues now. It is asked when the tap is opened, and again every FindEvery.
	Routes Finder
	// FindEvery is how often Routes is asked. Default: 10 s.
	FindEvery time.Duration
	// Messages and Bytes bound what waits at the broker; beyond either the oldest messages go. Defaults: 10,000 and 64 MiB.
	Messages, Bytes int
	// Notice hears what there is to be known beside messages, from the tap's goroutine. Default: nobody does.
	Notice func(Notice)
}

// A Notice is about the tap itself.
type Notice struct {
	Time time.Time
	Text string // for people
	// Of a route whose queue went away: how many requests came to the tap since it was last there, and perhaps to nobody else.
	Since      time.Time
	Route      Route
	Unanswered int
}

// A Tap listens in, from Open to Close. Next is for one goroutine; the rest is safe for concurrent use.
type Tap struct {
	config Config
	conn   *amqp.Connection
	broken chan *amqp.Error
	own    queues

	deliveries <-chan amqp.Delivery
	reading    *amqp.Channel
	unacked    int // Next's
	last       uint64

	tending asker // the goroutine's
	stop    context.CancelFunc
	done    chan struct{}

	mu sync.Mutex
	state
}

// queues are the names of the tap's own.
type queues struct{ messages, lost string }

// state is guarded by the tap's lock.
type state struct {
	bound   map[binding]*bound
	lost    int
	more    bool // than lost
	largest int  // bytes of a body
	topics  topics
	gone    map[binding]bool // unbound because their queues went
}

// A binding is what a queue is bound with.
type binding struct{ exchange, key string }

// A bound route, and when its queue was last there.
type bound struct {
	Route
	seen   time.Time
	came   int             // since then
	recent []amqp.Delivery // the first of them
}

// Open connects, makes the queue, and binds it with what Routes finds; none is an error that wraps [ErrNoRoutes]. It is the caller's to Close.
func Open(ctx context.Context, c Config) (*Tap, error) {
	c.Messages, c.Bytes, c.FindEvery = cmp.Or(c.Messages, DefaultMessages), cmp.Or(c.Bytes, DefaultBytes), cmp.Or(c.FindEvery, 10*time.Second)
	if c.Notice == nil {
		c.Notice = func(Notice) {}
	}
	conn, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	t := &Tap{config: c, conn: conn, broken: conn.NotifyClose(make(chan *amqp.Error, 1)), tending: asker{conn: conn}, done: make(chan struct{})}
	t.bound, t.gone = map[binding]*bound{}, map[binding]bool{}
	id := fmt.Sprintf("%s%d.%s", QueuePrefix, os.Getpid(), wire.NewID())
	t.own = queues{messages: id, lost: id + ".lost"}
	// What the library does knows no context: closing under it is the way to end it.
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer release()
	if err := t.begin(ctx); err != nil {
		_ = conn.Close() // and with it what was made; the error is told
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("tap: %w", err)
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t.stop = cancel
	go t.tend(own)
	return t, nil
}

func (t *Tap) begin(ctx context.Context) error {
	if err := t.declare(); err != nil {
		return err
	}
	routes, err := t.config.Routes(ctx, &t.tending)
	if err != nil {
		return err
	}
	if err := t.follow(routes); err != nil {
		return err
	}
	if len(t.bound) == 0 {
		return ErrNoRoutes
	}
	return t.consume()
}

// ErrNoRoutes says that there is no queue to listen beside.
var ErrNoRoutes = errors.New("there is no such queue to listen beside")

// declare makes both queues. Messages that do not fit, or expire, are handed on by the broker to the second.
func (t *Tap) declare() error {
	return t.tending.do(func(ch *amqp.Channel) error {
		for name, args := range map[string]amqp.Table{
			t.own.lost: {"x-max-length": int32(maxLost), "x-max-length-bytes": int64(t.config.Bytes)},
			t.own.messages: {
				"x-max-length": int32(t.config.Messages), "x-max-length-bytes": int64(t.config.Bytes), "x-overflow": "drop-head",
				"x-dead-letter-exchange": "", "x-dead-letter-routing-key": t.own.lost,
			},
		} {
			args[amqp.QueueTypeArg] = amqp.QueueTypeClassic // whatever the virtual host's default is
			if _, err := ch.QueueDeclare(name, false, true, true, false, args); err != nil {
				return fmt.Errorf("declare queue %s: %w", name, err)
			}
		}
		return nil
	})
}

func (t *Tap) consume() error {
	ch, err := t.conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel: %w", err)
	}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return fmt.Errorf("bound what is on the way: %w", err)
	}
	t.reading = ch
	t.deliveries, err = ch.Consume(t.own.messages, "", false, true, false, false, nil)
	if err != nil {
		return fmt.Errorf("consume from queue %s: %w", t.own.messages, err)
	}
	return nil
}

// Next returns the next message as it came. The error is ctx's, or says why the tap has ended.
func (t *Tap) Next(ctx context.Context) (Message, error) {
	select {
	case d, ok := <-t.deliveries:
		if !ok {
			return Message{}, t.ending()
		}
		return t.take(d)
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

// A Message is a delivery, and when it was read.
type Message struct {
	amqp.Delivery
	Time time.Time
	// Unanswered says that the queue was gone for which the message was meant: it came here alone, and its sender may not have been told so.
	Unanswered bool
}

func (t *Tap) take(d amqp.Delivery) (Message, error) {
	t.last = d.DeliveryTag
	if t.unacked++; t.unacked >= prefetch/2 {
		if err := t.reading.Ack(t.last, true); err != nil {
			return Message{}, fmt.Errorf("tap: acknowledge: %w", err)
		}
		t.unacked = 0
	}
	m := Message{Delivery: d, Time: time.Now()}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.largest = max(t.largest, len(d.Body))
	at := binding{d.Exchange, d.RoutingKey}
	if b := t.bound[at]; b != nil && b.Queue != "" {
		if b.came++; len(b.recent) < maxNamed {
			b.recent = append(b.recent, d)
		}
	}
	m.Unanswered = t.gone[at]
	return m, nil
}

// ending says why deliveries have ended.
func (t *Tap) ending() error {
	select {
	case err := <-t.broken:
		if err != nil {
			return fmt.Errorf("tap: the connection was lost: %w", err)
		}
	default:
	}
	return errors.New("tap: it was closed, or the broker took its queue away")
}

// Lost is how many messages were dropped so far because they were more than the tap may hold, or expired in it. It is brought up to date
// every second; exact says whether it is a number, or the least that it can be.
func (t *Tap) Lost() (n int, exact bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lost, !t.more
}

// Topic splits a routing key into the topic and the server, by the topics that are known.
func (t *Tap) Topic(key string) (topic, server string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.topics.split(key)
}

// Close removes the tap from the broker, and waits for that.
func (t *Tap) Close() error {
	t.stop()
	err := t.conn.Close()
	<-t.done
	if err != nil && !errors.Is(err, amqp.ErrClosed) {
		return fmt.Errorf("tap: close the connection: %w", err)
	}
	return nil
}
