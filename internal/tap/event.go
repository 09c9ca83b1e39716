package tap

import (
	"context"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// traceExchange is where the broker copies messages to while the firehose is on: with the key publish.EXCHANGE what is published, and
// with deliver.QUEUE what is handed to a consumer, which it does as many times as there are some (rabbit_trace.erl).
const traceExchange = "amq.rabbitmq.trace"

// Traced finds the routes of the firehose. They take nothing from anybody.
func Traced(context.Context, Looker) ([]Route, error) {
	return []Route{{Exchange: traceExchange, Key: "publish.#"}, {Exchange: traceExchange, Key: "deliver.#"}}, nil
}

// An Event is what happened to one message, as the firehose tells.
type Event struct {
	Time       time.Time // when the tap had it
	Queue      string    // that it was delivered from; "" = it was published
	Queues     []string  // that it was published into; taps are left out
	Redelivery bool
	Connection string // the broker's name of that on which it came or went
	Size       int
	Message    *transport.Message

	at address
}

// EventOf reads a message of the firehose, and whether it is about a request or a reply.
func EventOf(m Message) (Event, bool) {
	h := m.Headers
	e := Event{Time: m.Time, Connection: text(h["connection"]), Size: len(m.Body)}
	if queue, ok := strings.CutPrefix(m.RoutingKey, "deliver."); ok {
		if strings.HasPrefix(queue, QueuePrefix) {
			return e, false
		}
		e.Queue = queue
		redelivered, _ := h["redelivered"].(int32)
		e.Redelivery = redelivered != 0
	}
	for _, queue := range texts(h["routed_queues"]) {
		if !strings.HasPrefix(queue, QueuePrefix) {
			e.Queues = append(e.Queues, queue)
		}
	}
	properties, _ := h["properties"].(amqp.Table)
	headers, _ := properties["headers"].(amqp.Table)
	e.at = address{exchange: text(h["exchange_name"]), expiration: text(properties["expiration"])}
	if keys := texts(h["routing_keys"]); len(keys) > 0 {
		e.at.key = keys[0]
	}
	var err error
	e.Message, err = decode(headers, m.Body)
	return e, err == nil && (e.Message.Method != "" || e.Message.ID != "")
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

func texts(value any) (all []string) {
	list, _ := value.([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			all = append(all, s)
		}
	}
	return all
}
