package tap_test

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/tap"
)

// Whatever travels on a bus, it is an event that a collector can take in, or none.
func FuzzEventOf(f *testing.F) {
	f.Add("publish.nova", "nova", "compute.cmp-1", "2000", []byte(`{"oslo.version":"2.0","oslo.message":"{\"method\":\"m\",\"_unique_id\":\"u\",\"_msg_id\":\"i\",\"_reply_q\":\"q\"}"}`))
	f.Add("deliver.reply_q", "", "reply_q", "", []byte(`{"oslo.version":"2.0","oslo.message":"{\"_msg_id\":\"i\",\"ending\":true,\"failure\":\"x\"}"}`))
	f.Add("publish.", "_fanout", ".", "-1", []byte(`{"method":"m"}`))
	f.Fuzz(func(t *testing.T, key, exchange, routing, expiration string, body []byte) {
		d := amqp.Delivery{RoutingKey: key, Body: body, Headers: amqp.Table{
			"exchange_name": exchange, "routing_keys": []any{routing, 1}, "routed_queues": []any{routing}, "properties": amqp.Table{"expiration": expiration},
		}}
		e, ok := tap.EventOf(tap.Message{Delivery: d, Time: time.Unix(1, 0)})
		if !ok {
			return
		}
		var c tap.Collector
		for range 2 {
			if s := c.Add(e); s != nil && s.Took(time.Unix(2, 0)) < 0 {
				t.Errorf("it took %s", s.Took(time.Unix(2, 0)))
			}
		}
	})
}
