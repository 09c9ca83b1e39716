package rabbit

import (
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"
)

// What was missing of a listener's exchanges, queues and bindings, by name, and has been made anew.
type rebuilt struct {
	exchanges, queues, bindings []string

	unattended []string // queues that nobody consumes from, which were there
}

// restore makes what is missing of the queues: first exchanges, then queues, then bindings. A binding that was deleted
// while its exchange and queue were not is made anew too, and cannot be told from one that was there: AMQP has no
// way to ask.
func (d *declarer) restore(su *setup, queues []queue) (made rebuilt, err error) {
	kinds := make(map[string]string)
	gone := make(map[string]bool) // of both kinds: they have different names
	for _, q := range queues {
		if q.exchange == nil || kinds[q.exchange.name] != "" {
			continue
		}
		x := *q.exchange
		err := su.try(func(ch *amqp.Channel) error {
			return ch.ExchangeDeclarePassive(x.name, x.kind, x.durable, x.autoDelete, false, false, nil)
		})
		if err != nil && !missing(err) {
			return made, wrap(err, "look at exchange "+x.name)
		}
		if err == nil {
			kinds[x.name] = d.kind(x)
			continue
		}
		if kinds[x.name], err = d.declareExchange(su, x); err != nil {
			return made, wrap(err, "declare exchange "+x.name)
		}
		gone[x.name] = true
		made.exchanges = append(made.exchanges, x.name)
	}
	for _, q := range queues {
		var state amqp.Queue
		err := su.try(func(ch *amqp.Channel) (err error) {
			state, err = ch.QueueDeclarePassive(q.name, q.durable, q.autoDelete, false, false, q.args)
			return err
		})
		switch {
		case missing(err):
			if err := d.declareQueue(su, d.lasting.queue(q)); err != nil {
				return made, wrap(err, "declare queue "+q.name)
			}
			gone[q.name] = true
			made.queues = append(made.queues, q.name)
		case err != nil:
			return made, wrap(err, "look at queue "+q.name)
		case state.Consumers == 0 && !q.stream: // of a stream's the broker counts none
			made.unattended = append(made.unattended, q.name)
		}
	}
	for _, q := range queues {
		if q.exchange == nil {
			continue
		}
		if err := d.bind(su, q, kinds[q.exchange.name]); err != nil {
			return made, err
		}
		if gone[q.name] || gone[q.exchange.name] {
			made.bindings = append(made.bindings, q.binding())
		}
	}
	return made, nil
}

// kind is the type that an exchange has, which a peer may have chosen.
func (d *declarer) kind(x exchange) string {
	if known, ok := d.adopted.Load("exchange " + x.name); ok {
		return known.(form).kind
	}
	return x.kind
}

// binding is the name of q's, for people.
func (q queue) binding() string { return q.exchange.name + "->" + q.name }

// none says that nothing was missing.
func (r *rebuilt) none() bool { return len(r.exchanges)+len(r.queues)+len(r.bindings) == 0 }

// add takes in what another attempt has made, or found without a consumer.
func (r *rebuilt) add(more rebuilt) {
	join := func(to *[]string, names []string) {
		for _, name := range names {
			if !slices.Contains(*to, name) {
				*to = append(*to, name)
			}
		}
	}
	join(&r.exchanges, more.exchanges)
	join(&r.queues, more.queues)
	join(&r.bindings, more.bindings)
	join(&r.unattended, more.unattended)
}
