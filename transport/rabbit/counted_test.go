package rabbit

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/transport"
)

// What brokers of several versions say of a message that has come back (RabbitMQ 4 is not at hand), and whether it may do so once more.
func TestCountedDeliveries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version    string
		args       amqp.Table // as we declare it
		adopted    amqp.Table // as it exists
		headers    amqp.Table
		deliveries int
		last       bool
	}{
		"for the first time":             {version: "4.1.0"},
		"no limit before 4.0":            {version: "3.13.7", headers: amqp.Table{returnsHeader: int64(99)}, deliveries: 100},
		"before the limit":               {version: "3.10.8", args: amqp.Table{limitArgument: int32(3)}, headers: amqp.Table{returnsHeader: int32(2)}, deliveries: 3},
		"at the limit":                   {version: "3.10.8", args: amqp.Table{limitArgument: int32(3)}, headers: amqp.Table{returnsHeader: int32(3)}, deliveries: 4, last: true},
		"at that of the queue as it is":  {version: "3.10.8", adopted: amqp.Table{limitArgument: int64(5)}, headers: amqp.Table{returnsHeader: int64(5)}, deliveries: 6, last: true},
		"at the limit that 4.0 brings":   {version: "4.0.1", headers: amqp.Table{returnsHeader: int64(20)}, deliveries: 21, last: true},
		"before it":                      {version: "4.0.1", headers: amqp.Table{returnsHeader: int64(19)}, deliveries: 20},
		"with no limit on purpose":       {version: "4.2.0", adopted: amqp.Table{limitArgument: int64(-1)}, headers: amqp.Table{returnsHeader: int64(500)}, deliveries: 501},
		"failures are apart, as of 4.3":  {version: "4.3.0", headers: amqp.Table{returnsHeader: int64(2), handedHeader: int64(40)}, deliveries: 41},
		"and what has never failed, too": {version: "4.3.0", headers: amqp.Table{handedHeader: int64(40)}, deliveries: 41},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &declarer{}
			q := queue{name: "stock.info", args: c.args, to: transport.Address{Kind: transport.Notification}}
			if c.adopted != nil {
				d.adopted.Store("queue stock.info", form{args: c.adopted})
			}
			l := &listener{declarer: d, queues: []queue{q}}
			sub := &subscription{session: &session{conn: &amqp.Connection{Properties: amqp.Table{"version": c.version}}}}
			if n, last := l.counted(sub, 0, &amqp.Delivery{Headers: c.headers}); n != c.deliveries || last != c.last {
				t.Errorf("got %d deliveries, the last: %t, want %d, %t", n, last, c.deliveries, c.last)
			}
		})
	}
}
