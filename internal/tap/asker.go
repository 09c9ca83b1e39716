package tap

import (
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"
)

// An asker is a channel for questions that the broker may answer by closing it. It is for one goroutine.
type asker struct {
	conn *amqp.Connection
	ch   *amqp.Channel
}

// do runs f on the channel, which is opened again where it has to be.
func (a *asker) do(f func(*amqp.Channel) error) error {
	if a.ch == nil || a.ch.IsClosed() {
		ch, err := a.conn.Channel()
		if err != nil {
			return err
		}
		a.ch = ch
	}
	return f(a.ch)
}

// Queue looks at a queue by passive declaration, which changes nothing. One that another connection has for itself is there, and its
// consumers are not known: -1.
func (a *asker) Queue(name string) (consumers int, exists bool, err error) {
	err = a.do(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(name, false, false, false, false, nil)
		consumers = q.Consumers
		return err
	})
	switch refusedWith(err) {
	case amqp.NotFound:
		return 0, false, nil
	case amqp.ResourceLocked:
		return -1, true, nil
	}
	return consumers, err == nil, err
}

// refusedWith is the code with which the broker closed the channel, 0 for none.
func refusedWith(err error) int {
	var refusal *amqp.Error
	if errors.As(err, &refusal) && refusal.Server {
		return refusal.Code
	}
	return 0
}
