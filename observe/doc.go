// Package observe makes traces and metrics of calls, casts and fanouts, and traces of notifications, on both sides of a bus.
//
// It is attached to what packages rpc and notify have, and to nothing else:
//
//	o, err := observe.New(observe.Config{Traces: provider, Metrics: registry, System: "rabbitmq"})
//	client := rpc.NewClient(bus, o.Client(rpc.ClientConfig{}))
//	server := rpc.NewServer(bus, o.Server(rpc.ServerConfig{...}), endpoints...)
//	notifier := notify.NewNotifier(o.Notifier(notify.NotifierConfig{...}))
//	listener := notify.NewListener(bus, o.Listener(notify.ListenerConfig{...}), handlers...)
//	err = o.Transport("", bus)
//
// Without an Observer nothing of this runs. Package otlp, within it, sends the traces to a collector; package oslolog writes logs as
// oslo.log does.
//
// # Traces
//
// A call has a span of kind CLIENT with its caller, a cast or fanout one of kind PRODUCER that ends when the bus has the request. Its server
// makes two more, both children of it: "queue <method>", from the time of sending to that of taking it, and one of kind SERVER or CONSUMER
// around the handler. The context travels in the request's headers (rpc.Request.Headers) as W3C defines it: traceparent, tracestate, baggage.
// A Python peer does not pass it on. What follows such a peer is joined by the request id: where there is no other trace, the UUID of an
// OpenStack request id (req-<uuid>) is the trace id; see [TraceID] and package otlp.
//
// A notification has a span of kind PRODUCER with who tells it ([Observer.Notifier]), and each listener one of kind CONSUMER around its handlers
// ([Observer.Listener]): its child, or, for a batch, a span of its own trace with links to all of them.
//
// # Time in the queue
//
// The time of sending travels in the header "goslo-sent", by the sender's clock; the wait is what passed until the server took the request, by
// the server's clock. It is as exact as the two clocks agree, which with NTP is milliseconds. A request that comes before it was sent shows a
// sender whose clock is ahead: it counts as no wait at all, and goslo_server_clock_skew_total counts it. Nothing is guessed beyond that: an
// offset estimated from the messages themselves could not be told from a queue.
//
// # Metrics
//
// docs/operating.md has them all, with what is normal and what to do. Labels are bounded: requests for methods that the server does not have count under
// "_OTHER", and so does everything beyond 1000 pairs of topic and method, or 50 classes of errors.
//
// The package starts no goroutine.
package observe
