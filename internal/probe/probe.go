// Package probe asks servers on RabbitMQ whether they are alive: many at once, over one connection, with nothing enabled on them
// and nothing left behind.
//
// It owns the question and what the answers mean. The question is a call of a method that nobody has, whose name ends in
// _ignore_errors: a Python server refuses that without a word in its log, provided that it has an endpoint of the namespace and the version
// asked for (oslo_messaging/rpc/server.py, _process_incoming); [Known] is the table of those. A question for another version is
// answered just as well, and leaves a traceback, so a server whose version nobody knows is not asked. The question has no _timeout: a server starts
// a thread of heartbeats for one that has, and forgets to end it when there is no such method (oslo_messaging/rpc/dispatcher.py).
//
// Before a server is asked its queue is looked at, by a passive declaration, unless somebody else has done that, and where nobody consumes from
// it nothing is sent. A question
// expires in its queue when nobody waits for the answer any more. What cannot be taken back is a question in the hands of a process that stands
// still: it stays unacknowledged, and when the process goes on it finds no queue for its answer, tries for a minute and says so in one line of its
// log. Therefore a Prober that lives on asks such a server once, and waits.
//
// A Prober has a goroutine for each channel on which it looks, and one that publishes, while it asks; [Prober.Ask] waits for all of them.
package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// A State is what is known of a server after it was asked.
type State string

// The states.
const (
	OK         State = "ok"
	Slow       State = "slow"        // it answered, later than it should
	Deaf       State = "deaf"        // its queue has a consumer, and there was no answer
	Unbound    State = "unbound"     // its queue is there, and its exchange does not know the way: no request reaches it
	NoConsumer State = "no-consumer" // its queue is there, and nobody consumes from it
	NoQueue    State = "no-queue"    // its queue does not exist
	NotAsked   State = "not-asked"   // its queue has a consumer; what version to ask for is not known
)

// Bad says whether something is wrong with a server in this state.
func (s State) Bad() bool { return s != OK && s != NotAsked }

// A Server is who is asked.
type Server struct {
	Exchange string // of its topic
	Topic    string
	Name     string
	Endpoint Endpoint // what to ask for; the zero Endpoint = do not ask, see [Known]
	// Consumers are those that its queue is known to have. Default: 0, it is looked at before anything is sent.
	Consumers int
	// Stuck says that the server is known to hold messages and to take none of them. It is [Deaf] then and is not asked, since it would
	// hold the question too.
	Stuck bool
}

func (s Server) key() string { return s.Exchange + " " + s.Queue() }

// Queue is the queue that is its own (RMQ-TOPO-03).
func (s Server) Queue() string { return s.Topic + "." + s.Name }

// An Answer is what became of a question.
type Answer struct {
	Server
	State     State
	RTT       time.Duration // 0 = there was no answer
	Consumers int           // of its queue
	Ready     int           // messages in its queue that nobody has taken; 0 where there was no need to look
	// Objection is the class of what the server answered, where that is not that it has no such method. After UnsupportedVersion a Python
	// server has a traceback in its log. "" = none.
	Objection string
}

// Options are the bounds of time.
type Options struct {
	Timeout time.Duration // how long to wait for answers. Default: 3 s
	Slow    time.Duration // answers that take longer are [Slow]. Default: 1 s
}

const (
	defaultTimeout = 3 * time.Second
	defaultSlow    = time.Second
)

// Method is what servers are asked for.
const Method = "goslo_ping_ignore_errors"

// A Prober asks servers over one connection. Its reply queue is its own alone, and goes with [Prober.Close], or with the connection
// where nobody is left to call that. It does one thing at a time.
type Prober struct {
	conn    *amqp.Connection
	ch      *amqp.Channel
	queue   string
	replies <-chan amqp.Delivery
	returns chan amqp.Return
	blocked chan amqp.Blocking
	began   time.Time
	pending map[string]*question // by exchange and queue: of earlier rounds, which nobody has answered yet
}

// New declares the reply queue. The connection stays the caller's.
func New(conn *amqp.Connection) (*Prober, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("probe: open a channel: %w", err)
	}
	p := &Prober{conn: conn, ch: ch, queue: "reply_" + wire.NewID(), began: time.Now(), pending: make(map[string]*question)}
	p.returns = ch.NotifyReturn(make(chan amqp.Return, 64))
	p.blocked = conn.NotifyBlocked(make(chan amqp.Blocking, 64))
	if _, err = ch.QueueDeclare(p.queue, false, true, true, false, nil); err == nil {
		p.replies, err = ch.Consume(p.queue, "", true, true, false, false, nil)
	}
	if err != nil {
		_ = ch.Close()
		return nil, fmt.Errorf("probe: declare queue %s for replies, as everybody does who calls servers: %w", p.queue, err)
	}
	return p, nil
}

// Close removes the reply queue.
func (p *Prober) Close() error {
	err := p.ch.Close()
	for range p.replies { // what comes too late is dropped
	}
	if errors.Is(err, amqp.ErrClosed) {
		return nil // and with it the queue
	}
	return err
}

// Ask asks all the servers at once, and returns what became of each, in their order. heard, which may be nil, is told each answer as
// soon as it is known, and how many are still to come.
//
// The error is that of the connection or of ctx, or says that the broker takes no messages, in which case nothing is known of anybody.
// The connection is closed then, and with it the Prober: there is no other way not to wait for a broker that says nothing.
func (p *Prober) Ask(ctx context.Context, servers []Server, o Options, heard func(a Answer, left int)) ([]Answer, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Slow <= 0 {
		o.Slow = defaultSlow
	}
	stop := context.AfterFunc(ctx, func() { _ = p.conn.CloseDeadline(time.Now().Add(farewell)) })
	defer stop()
	answers, err := p.ask(ctx, servers, o, heard)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("probe: %w", err)
	}
	return answers, nil
}

// farewell is how long a broker has to agree that a connection is closed.
const farewell = time.Second

func (p *Prober) ask(ctx context.Context, servers []Server, o Options, heard func(a Answer, left int)) ([]Answer, error) {
	answers := make([]Answer, len(servers))
	all := make([]*Answer, len(servers))
	var unseen []*Answer
	for i, s := range servers {
		answers[i].Server, answers[i].Consumers, all[i] = s, s.Consumers, &answers[i]
		if s.Consumers == 0 {
			unseen = append(unseen, &answers[i])
		}
	}
	if err := p.look(ctx, unseen); err != nil {
		return nil, err
	}
	exchanges, err := p.exchanges(servers)
	if err != nil {
		return nil, err
	}
	r := round{options: o, heard: heard, left: len(servers), open: make(map[string]*question)}
	for _, a := range all {
		switch {
		case a.State != "":
		case !exchanges[a.Exchange]:
			a.State = Unbound
		case a.Stuck:
			a.State = Deaf
		case a.Endpoint == Endpoint{}:
			a.State = NotAsked
		default:
			q := p.question(a)
			r.open[q.id] = q
			continue
		}
		delete(p.pending, a.key()) // who is not asked may be another process by the next round
		r.settled(a)
	}
	return answers, p.call(ctx, &r)
}

// question is a new one for the server, or one that it should have answered before.
func (p *Prober) question(a *Answer) *question {
	q := &question{id: wire.NewID(), answer: a, patience: firstPatience}
	if old := p.pending[a.key()]; old != nil {
		if p.now()-old.at() < old.patience {
			old.answer = a
			return old
		}
		q.patience = min(2*old.patience, mostPatience)
	}
	return q
}

func (p *Prober) now() time.Duration { return time.Since(p.began) }

// A round is one Ask. It belongs to that goroutine, less what is said otherwise.
type round struct {
	options Options
	heard   func(Answer, int)
	left    int
	open    map[string]*question // those without an answer, by their ids

	returned []*question // those that no queue took
}

// A question is one on its way.
type question struct {
	id       string
	answer   *Answer
	patience time.Duration // how long after it no other is sent
	sent     atomic.Int64  // when, in ns since the Prober began; set by the goroutine that publishes; 0 = not yet
}

func (q *question) at() time.Duration { return time.Duration(q.sent.Load()) }

// A server that does not answer is asked again so long after, and each time after twice as long, up to so long: it may be another process, or a
// question of long ago may have expired before it got there.
const (
	firstPatience = 15 * time.Second
	mostPatience  = 4 * time.Minute
)

func (r *round) settled(a *Answer) {
	r.left--
	if r.heard != nil {
		r.heard(*a, r.left)
	}
}

// call asks the open questions, and collects the answers until all are there, or time is up.
func (p *Prober) call(ctx context.Context, r *round) error {
	if len(r.open) == 0 {
		return nil
	}
	fresh := make([]*question, 0, len(r.open))
	for _, q := range r.open {
		if q.sent.Load() == 0 {
			fresh = append(fresh, q)
		}
	}
	published := make(chan struct{})
	var err error // of publishing, once that channel is closed
	go func() {
		defer close(published)
		err = p.publish(ctx, r.options, fresh)
	}()
	problem := p.collect(ctx, r, published)
	if problem != nil {
		_ = p.conn.CloseDeadline(time.Now().Add(farewell)) // the broker may have stopped reading
	}
	<-published
	return cmp.Or(err, problem)
}

func (p *Prober) collect(ctx context.Context, r *round, published <-chan struct{}) error {
	var late <-chan time.Time
	for len(r.open) > 0 {
		select {
		case d, ok := <-p.replies:
			if !ok {
				return amqp.ErrClosed
			}
			p.replied(r, d.Body)
		case back, ok := <-p.returns:
			if !ok {
				return amqp.ErrClosed
			}
			if q := r.open[back.MessageId]; q != nil {
				delete(r.open, q.id)
				r.returned = append(r.returned, q)
			}
		case b := <-p.blocked:
			if b.Active {
				return fmt.Errorf("the broker takes no messages (%s), and nobody can be asked; rabbitmqctl status names its alarms", b.Reason)
			}
		case <-published:
			published = nil
			late = time.After(r.options.Timeout)
		case <-late:
			return p.unanswered(ctx, r)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return p.unanswered(ctx, r)
}

// publish sends the questions. Those that no queue takes come back.
func (p *Prober) publish(ctx context.Context, o Options, all []*question) error {
	for _, q := range all {
		s := q.answer.Server
		body, err := wire.AppendEnvelope(nil, &transport.Message{
			Method: Method, Namespace: s.Endpoint.Namespace, Version: s.Endpoint.Version, ID: q.id, ReplyTo: p.queue, UniqueID: wire.NewID(),
		})
		if err != nil {
			return err
		}
		m := amqp.Publishing{
			ContentType: "application/json", ContentEncoding: "utf-8", MessageId: q.id, Body: body,
			Expiration: strconv.FormatInt(max(o.Timeout.Milliseconds(), 1), 10),
		}
		q.sent.Store(int64(p.now()))
		if err := p.ch.PublishWithContext(ctx, s.Exchange, s.Queue(), true, false, m); err != nil {
			return err
		}
	}
	return nil
}

// replied takes in what came to the reply queue.
func (p *Prober) replied(r *round, body []byte) {
	m, err := wire.Parse(body)
	if err != nil {
		return // nobody who was asked writes that
	}
	q := r.open[m.ID]
	if q == nil {
		return // an answer to a question that was asked again
	}
	a := q.answer
	a.RTT = p.now() - q.at()
	a.State = OK
	if a.RTT > r.options.Slow {
		a.State = Slow
	}
	if f, err := wire.ParseFailure(m.Failure); err == nil && f.Class != "NoSuchMethod" {
		a.Objection = f.Class
	}
	p.settled(r, q)
}

func (p *Prober) settled(r *round, q *question) {
	delete(r.open, q.id)
	delete(p.pending, q.answer.key())
	r.settled(q.answer)
}

// unanswered says what is the matter with those from whom nothing was heard, and whose questions came back.
func (p *Prober) unanswered(ctx context.Context, r *round) error {
	silent := slices.Collect(maps.Values(r.open))
	all := make([]*Answer, 0, len(silent)+len(r.returned))
	for _, q := range slices.Concat(silent, r.returned) {
		all = append(all, q.answer)
	}
	if err := p.look(ctx, all); err != nil {
		return err
	}
	for _, q := range r.returned {
		if q.answer.State == "" {
			q.answer.State = Unbound
		}
		p.settled(r, q)
	}
	for _, q := range silent {
		deaf := q.answer.State == ""
		if deaf {
			q.answer.State = Deaf
		}
		p.settled(r, q)
		if deaf {
			p.pending[q.answer.key()] = q
		}
	}
	return nil
}
