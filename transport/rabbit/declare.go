package rabbit

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A declarer declares exchanges, queues and bindings. What peers share is taken as it exists, and what the
// broker refuses by its own rules is replaced with what it takes; either is reported once.
type declarer struct {
	log     *slog.Logger
	adopted sync.Map // what (see adopt) to the form in which it exists, once it was found to differ from ours
	told    sync.Map // conflicts that were reported
	lasting lasting
}

func (d *declarer) exchange(su *setup, x exchange) error {
	_, err := d.declareExchange(su, x)
	return wrap(err, "declare exchange "+x.name)
}

// declareExchange returns the type of the exchange as it is.
func (d *declarer) declareExchange(su *setup, x exchange) (kind string, err error) {
	if err := d.lasting.ask(su, x, d.log); err != nil {
		return "", err
	}
	x = d.lasting.exchange(x)
	f, err := d.take(su, adoption{
		what: "exchange " + x.name, fanout: x.kind == amqp.ExchangeFanout,
		wanted: form{kind: x.kind, durable: x.durable, autoDelete: x.autoDelete},
		declare: func(ch *amqp.Channel, f form) error {
			return ch.ExchangeDeclare(x.name, f.kind, f.durable, f.autoDelete, false, false, f.args)
		},
		passive: func(ch *amqp.Channel) error {
			return ch.ExchangeDeclarePassive(x.name, x.kind, x.durable, x.autoDelete, false, false, nil)
		},
	})
	if err == nil && len(bindingKeys(x.kind, f.kind, "")) == 0 {
		err = fmt.Errorf("it exists as one of type %s, which would hand each message to every queue; "+
			"delete it, or choose another exchange (control_exchange)", f.kind)
	}
	return f.kind, err
}

// queues declares queues with their exchanges and bindings.
func (d *declarer) queues(su *setup, all []queue) error {
	for _, q := range all {
		if err := d.queue(su, q); err != nil {
			return err
		}
	}
	return nil
}

// queue declares q with its exchange and its binding.
func (d *declarer) queue(su *setup, q queue) error {
	var kind string
	if q.exchange != nil {
		var err error
		if kind, err = d.declareExchange(su, *q.exchange); err != nil {
			return wrap(err, "declare exchange "+q.exchange.name)
		}
	}
	if err := d.declareQueue(su, d.lasting.queue(q)); err != nil {
		return wrap(err, "declare queue "+q.name)
	}
	if q.exchange == nil {
		return nil
	}
	return d.bind(su, q, kind)
}

// bind binds q to its exchange, which is of type kind.
func (d *declarer) bind(su *setup, q queue, kind string) error {
	for _, key := range bindingKeys(q.exchange.kind, kind, q.key) {
		ch, err := su.channel()
		if err != nil {
			return err
		}
		if err := ch.QueueBind(q.name, key, q.exchange.name, false, nil); err != nil {
			return wrap(err, "bind queue "+q.name+" to exchange "+q.exchange.name)
		}
	}
	return nil
}

func (d *declarer) declareQueue(su *setup, q queue) error {
	a := adoption{
		what:   "queue " + q.name,
		wanted: form{durable: q.durable, autoDelete: q.autoDelete, args: q.args},
		declare: func(ch *amqp.Channel, f form) error {
			_, err := ch.QueueDeclare(q.name, f.durable, f.autoDelete, false, false, f.args)
			return err
		},
		passive: func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclarePassive(q.name, q.durable, q.autoDelete, false, false, q.args)
			return err
		},
	}
	if q.own {
		a.remove = func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(q.name, true, false, false)
			return err
		}
	}
	_, err := d.take(su, a)
	if missing(err) && (!q.durable || q.own) {
		// It is there, and its process is not: it crashed, or its node went away. It has lost its messages (RMQ-TOPO-30). A
		// durable one has not, and waits for its node, whatever upstream does; but not one of ours, without which we are deaf.
		d.log.Warn("deleting a queue that is stuck, to declare it again", "queue", q.name, "broker", err)
		if deleted := su.try(func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(q.name, false, false, false)
			return err
		}); deleted != nil {
			return errors.Join(err, wrap(deleted, "delete it"))
		}
		_, err = d.take(su, a)
	}
	if d.lasting.refused(err) && !q.durable {
		d.lasting.begin(d.log, err)
	}
	return err
}

// bindingKeys are the keys that make an exchange of type has do what one of type wants does, none where that
// cannot be. Fanouts are published with an empty key (RMQ-PUB-01), all else with the queue's own.
func bindingKeys(wants, has, key string) []string {
	switch {
	case wants == has:
		return []string{key}
	case wants == amqp.ExchangeTopic && has == amqp.ExchangeDirect, wants == amqp.ExchangeDirect && has == amqp.ExchangeTopic:
		return []string{key}
	case wants == amqp.ExchangeFanout && has == amqp.ExchangeTopic:
		return []string{"#"}
	case wants == amqp.ExchangeFanout && has == amqp.ExchangeDirect:
		return []string{""}
	case wants == amqp.ExchangeFanout && has == amqp.ExchangeHeaders: // a binding that asks for no header takes all
		return []string{key}
	}
	return nil
}

// declarations are exchanges, and queues with their exchanges; a route without a key is an exchange alone.
type declarations struct {
	mu    sync.RWMutex
	known map[route]struct{}
}

func (d *declarations) has(what route) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, ok := d.known[what]
	return ok
}

func (d *declarations) add(what route) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = make(map[route]struct{})
	}
	d.known[what] = struct{}{}
}

func (d *declarations) forget(what route) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, what)
}

func (d *declarations) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.known)
}
