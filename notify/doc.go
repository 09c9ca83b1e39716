// Package notify tells the world what happened in a service, and hears it: notifications, as oslo.messaging has them and on the same
// wire. Meters, auditors and dashboards listen; who tells waits for none of them.
//
// An event is described once, by an [Event] that both sides share:
//
//	var Created = notify.NewEvent[Instance]("compute.instance.create.end")
//
// The service tells it through a [Notifier]:
//
//	notifier := notify.NewNotifier(notify.NotifierConfig{
//		Publisher: "compute.host-1",
//		Drivers:   []notify.Driver{notify.NewMessaging(bus, notify.MessagingConfig{})},
//	})
//	err := Created.Emit(ctx, notifier, notify.Info, instance)
//
// A [Listener] hears it:
//
//	l := notify.NewListener(bus, notify.ListenerConfig{Pool: "meter"}, Created.Handle(meter.Created))
//	err := l.Run(ctx)
//
// A notification that the bus has confirmed waits until a listener has handled it, also where no listener has ever been: its
// queue is made by who sends it. Handling is at least once: a notification whose listener dies is handled again, and handlers must
// bear that.
//
// The package owns formats, priorities, filters, batches, retries and their bounds. It knows no bus: queues and connections
// belong to the [transport.Transport] it is given. A Notifier starts no goroutine, a Backlog one. A Listener's Run starts one for each topic and
// priority that it listens to, Workers that run handlers, one that makes batches and one that waits with what failed; it waits for all of
// them. What it holds in memory is bounded by ListenerConfig.Prefetch.
//
// The request context (user, project, request id) travels inside context.Context, see [rpc.RequestContext]. Of it a notification
// carries only what is no secret, see [Notifier.Notify].
package notify
