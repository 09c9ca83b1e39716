package interop_test

import (
	"context"
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/rpc"
)

// The tests of RabbitMQ once more, over AMQP 1.0: Python's driver for it and ours, in the three ways to choose
// addresses. Proton's broker has no multicast, so that nothing is cast to all; transport/amqp1's own tests do that on
// RabbitMQ, where Python's driver does not work.
//
// conforms: AMQP1-01, AMQP1-02, AMQP1-03, AMQP1-05, AMQP1-06, AMQP1-07, AMQP1-14, AMQP1-17, DEB-14
func TestPythonAndGoOverAMQP1(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	for mode, rest := range map[string]string{
		"dynamic":  "",
		"legacy":   "v1?addressing_mode=legacy",
		"routable": "v2?addressing_mode=routable",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, node.URL()+rest)
			for name, test := range map[string]func(*testing.T){
				"big":             func(t *testing.T) { w.big(t, 1<<12) },
				"requests":        func(t *testing.T) { w.requests(t, cases) },
				"contexts":        w.contexts,
				"passed contexts": w.passedContexts,
				"passed failures": w.passedFailures,
				"casts":           func(t *testing.T) { w.casts(t, ways[:2]) },
				"order":           w.inOrder,
				"together":        w.together,
				"timeouts":        w.timeouts,
				"dead servers":    w.deadServers,
				"nobody":          w.nobody,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t)
				})
			}
		})
	}
}

// A target's own exchange is part of its addresses; without one it is the driver's option, which legacy addresses do not
// know, or the default.
//
// conforms: AMQP1-08
func TestExchangesOverAMQP1(t *testing.T) {
	t.Parallel()
	node := brokertest.NewProton(t)
	client, server := startPython(t, "client.py"), startPython(t, "server.py")
	for mode, options := range map[string]string{
		"default": "", "legacy with the option": "?addressing_mode=legacy&default_rpc_exchange=mine", "routable": "?addressing_mode=routable",
		"routable with the option": "?addressing_mode=routable&default_rpc_exchange=mine",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			vhost := strings.ReplaceAll(mode, " ", "-")
			w := &town{url: node.URL() + vhost + options, client: client}
			w.join(t, golang)
			server.Do(t, "start", map[string]any{"url": w.url, "topic": "abroad", "server": "python", "exchange": "elsewhere"}, nil)
			server.Do(t, "start", map[string]any{"url": w.url, "topic": "abroad", "server": "python_here"}, nil)
			whoami := rpc.NewCall[none, string](rpc.Target{Exchange: "elsewhere", Topic: "abroad"}, "whoami")
			for exchange, want := range map[string]string{"elsewhere": "python", "": "python_here"} {
				target := whoami
				if exchange == "" {
					target = rpc.NewCall[none, string](rpc.Target{Topic: "abroad"}, "whoami")
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				if got, err := target.Call(ctx, w.caller, none{}); err != nil || got != want {
					t.Errorf("exchange %q: Go called %q, %v; want %s", exchange, got, err, want)
				}
				order := w.order("abroad", request{method: "whoami"})
				if exchange != "" {
					order["exchange"] = exchange
				}
				var o outcome
				if w.client.Do(t, "call", order, &o); o.Value != quoted(want) {
					t.Errorf("exchange %q: Python called %+v, want %s", exchange, o, want)
				}
			}
		})
	}
}

// contexts arrive as they were sent; our servers add how the call is monitored, as they do on each bus.
func (w *town) contexts(t *testing.T) {
	t.Helper()
	const sent = `"user": "Anné 櫛", "project": null, "roles": ["member", "reader"], "nested": {"a": [1, {"b": null}]}, "is_admin": false, "": "empty key", "n": 1180591620717411303424, "msg_id": "x", "reply_q": "y"`
	both(t, func(t *testing.T, client, server peer) {
		want := `{` + sent + `}`
		if server == golang {
			want = `{"client_timeout": null, ` + sent + `}`
		}
		got := w.call(t, client, server.topic(), request{method: "context", context: `{` + sent + `}`}).tidy(t)
		if want := canonical(t, []byte(want)); got.Value != want {
			t.Errorf("got %+v\nwant %s", got, want)
		}
	})
}

// nobody is what a call to nobody comes to: the broker keeps the request, so that the deadline ends it.
func (w *town) nobody(t *testing.T) {
	t.Helper()
	nowhere := request{method: "whoami", timeout: seconds(2)}
	if o := w.call(t, python, "nosuch", nowhere); o.member("class") != `"MessagingTimeout"` {
		t.Errorf("Python: %+v", o)
	}
	if o := w.call(t, golang, "nosuch", nowhere); o.member("type") != `"*rpc.TimeoutError"` || o.member("phase") == quoted(string(rpc.Running)) {
		t.Errorf("Go: %+v", o)
	}
}
