package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// lookers is how many channels look at queues at once: what counts is how long the way to the broker takes.
const lookers = 16

// look fills in what the broker knows of the queues: consumers and messages, and the state of those that cannot answer.
func (p *Prober) look(ctx context.Context, all []*Answer) error {
	jobs := make(chan *Answer)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var looking sync.WaitGroup
	for range min(lookers, len(all)) {
		looking.Go(func() {
			l := looker{conn: p.conn}
			defer l.close()
			for a := range jobs {
				if err := l.queue(a); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
hand:
	for _, a := range all {
		select {
		case jobs <- a:
		case <-ctx.Done():
			break hand
		}
	}
	close(jobs)
	looking.Wait()
	return context.Cause(ctx)
}

// exchanges says which of the servers' exchanges exist.
func (p *Prober) exchanges(servers []Server) (map[string]bool, error) {
	exist := make(map[string]bool)
	l := looker{conn: p.conn}
	defer l.close()
	for _, s := range servers {
		if _, known := exist[s.Exchange]; known {
			continue
		}
		there, err := l.exchange(s.Exchange)
		if err != nil {
			return nil, err
		}
		exist[s.Exchange] = there
	}
	return exist, nil
}

// A looker has a channel for passive declarations, which the broker closes with each thing that is not there.
type looker struct {
	conn *amqp.Connection
	ch   *amqp.Channel
}

func (l *looker) channel() (*amqp.Channel, error) {
	if l.ch != nil && !l.ch.IsClosed() {
		return l.ch, nil
	}
	var err error
	l.ch, err = l.conn.Channel()
	return l.ch, err
}

func (l *looker) close() {
	if l.ch != nil {
		_ = l.ch.Close() // it may be closed by now
	}
}

func (l *looker) queue(a *Answer) error {
	ch, err := l.channel()
	if err != nil {
		return err
	}
	q, err := ch.QueueDeclarePassive(a.Queue(), false, false, false, false, nil)
	var refused *amqp.Error
	switch {
	case err == nil:
		a.Consumers, a.Ready = q.Consumers, q.Messages
		if q.Consumers == 0 {
			a.State = NoConsumer
		}
	case errors.As(err, &refused) && refused.Code == amqp.NotFound:
		a.Consumers, a.Ready, a.State = 0, 0, NoQueue
	default:
		return fmt.Errorf("look at queue %s: %w", a.Queue(), err)
	}
	return nil
}

// exchange says whether there is one.
func (l *looker) exchange(name string) (bool, error) {
	if name == "" {
		return true, nil
	}
	ch, err := l.channel()
	if err != nil {
		return false, err
	}
	err = ch.ExchangeDeclarePassive(name, amqp.ExchangeTopic, false, false, false, false, nil)
	var refused *amqp.Error
	if errors.As(err, &refused) && refused.Code == amqp.NotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at exchange %s: %w", name, err)
	}
	return true, nil
}
